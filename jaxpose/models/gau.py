"""Gated attention unit and the scale norm before it."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class ScaleNorm(nn.Module):
    """Division of vectors by their root mean square, times one learnt number.

    Nguyen & Salazar 2019, arXiv:1910.05895, eq. 5. `epsilon` bounds the divisor from below.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., C]` -> the same shape, float32."""
        scale = self.param("scale", nn.initializers.ones_init(), (1,), jnp.float32)
        x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        # The bound is on the mean square: a square root has no finite derivative at zero.
        mean_square = jnp.square(x).mean(-1, keepdims=True)
        return x * jax.lax.rsqrt(jnp.maximum(mean_square, self.epsilon**2)) * scale[0]


class GatedAttentionUnit(nn.Module):
    """Gated attention of one head by squared ReLU (Hua et al. 2022, arXiv:2202.10447, fig. 2c).

    Attributes:
      key_dim: length of queries and keys, which share one projection.
      expansion: width of gates and values over that of the input.
      dtype: compute dtype of the matrix products; their sums are float32.
      positions: a learnt vector of each token is added to its query and its key.
    """

    key_dim: int = 128
    expansion: int = 2
    dtype: str = "float32"
    positions: bool = False

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        """`[B, N, C]` -> `[B, N, C]` float32."""
        channels = tokens.shape[-1]
        wide = channels * self.expansion
        x = ScaleNorm(name="norm")(tokens)
        x = nn.silu(self._linear(2 * wide + self.key_dim, "gate_value_key")(x))
        gate, value, base = jnp.split(x, [wide, 2 * wide], axis=-1)
        shape = (2, self.key_dim)
        gain = self.param("gain", nn.initializers.uniform(1.0), shape, jnp.float32)
        offset = self.param("offset", nn.initializers.uniform(1.0), shape, jnp.float32)
        query, key = (base * gain[i][None, None] + offset[i][None, None] for i in range(2))
        if self.positions:
            init = nn.initializers.normal(1.0)
            position = self.param("position", init, (tokens.shape[1], self.key_dim), jnp.float32)
            query, key = query + position[None], key + position[None]
        similarity = self._product("bqd,bkd->bqk", query, key)
        attention = jnp.square(nn.relu(similarity * self.key_dim**-0.5))
        x = gate * self._product("bqk,bkd->bqd", attention, value)
        residual_scale = self.param(
            "residual_scale", nn.initializers.ones_init(), (channels,), jnp.float32
        )
        return tokens * residual_scale[None, None] + self._linear(channels, "out")(x)

    def _linear(self, features: int, name: str) -> nn.Dense:
        init = nn.initializers.normal(0.01)
        return nn.Dense(features, use_bias=False, dtype=self.dtype, kernel_init=init, name=name)

    def _product(self, formula: str, a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.einsum(
            formula,
            a.astype(self.dtype),
            b.astype(self.dtype),
            preferred_element_type=jnp.promote_types(self.dtype, jnp.float32),
        )
