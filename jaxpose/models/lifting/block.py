"""Transformer block of the lifters."""

import flax.linen as nn
import jax

from jaxpose.models.vit_block import MLP, Attention, drop_path


class Block(nn.Module):
    """Pre-norm attention and MLP over a set of tokens (arXiv:2010.11929, eq. 2-3).

    The drop rate is an argument, so that `nn.scan` can pass a different one to each layer.
    """

    heads: int
    mlp_hidden: int
    dtype: str
    stochastic: bool

    @nn.compact
    def __call__(self, x: jax.Array, drop_rate: jax.Array) -> jax.Array:
        """`[N, L, C]` -> `[N, L, C]`; if `stochastic`, drops a branch for whole rows n."""

        def residual(branch: jax.Array) -> jax.Array:
            if not self.stochastic:
                return branch
            return drop_path(branch, drop_rate, self.make_rng("dropout"))

        attend = Attention(self.heads, "xla", self.dtype, name="attention")
        x = x + residual(attend(nn.LayerNorm(1e-6, dtype=self.dtype, name="norm1")(x)))
        mlp = MLP(self.mlp_hidden, self.dtype, name="mlp")
        return x + residual(mlp(nn.LayerNorm(1e-6, dtype=self.dtype, name="norm2")(x)))
