"""Block of a vision transformer: attention, MLP, norms and residual branches."""

from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.activation import product_of_gelu
from jaxpose.models.attention import HeadDense, self_attention
from jaxpose.models.moe import MixtureMLP
from jaxpose.models.patches import kernel_init
from jaxpose.models.rope import Rope, Rotation
from jaxpose.models.split import recomputes

Norm = Literal["layer", "rms"]
QKVBias = Literal["all", "query_value", "none"]
MLPKind = Literal["gelu", "gelu_tanh", "swiglu"]
LayerScales = Literal["none", "both", "attention"]


def drop_path(x: jax.Array, rate: jax.Array | float, key: jax.Array) -> jax.Array:
    """Zero whole samples of a residual branch (stochastic depth, Huang et al. 2016).

    `x` is `[B, ...]`. A sample is dropped with probability `rate`, otherwise divided by `1 - rate`,
    so that the expectation is `x`. (arXiv:1603.09382)
    """
    keep = jax.random.bernoulli(key, 1.0 - rate, (x.shape[0],) + (1,) * (x.ndim - 1))

    def kept(x: jax.Array) -> jax.Array:
        return jnp.where(keep, x / jnp.asarray(1.0 - rate, x.dtype), jnp.zeros((), x.dtype))

    # Else the backward pass of layers in a loop would read `keep` broadcast to the size of `x`.
    return (jax.checkpoint(kept) if recomputes() else kept)(x)


def maybe_dropped(block: nn.Module, branch: jax.Array, *, rate: float, train: bool) -> jax.Array:
    """Residual branch of a block after `drop_path` in training, by the block's key "dropout"."""
    if not train or not rate:
        return branch
    return drop_path(branch, rate, block.make_rng("dropout"))


def make_norm(kind: Norm, epsilon: float, dtype: str, name: str) -> nn.Module:
    """Make a layer norm, or an RMS norm (arXiv:1910.07467), which has no bias and no centring."""
    norm = nn.LayerNorm if kind == "layer" else nn.RMSNorm
    if recomputes():  # the input alone is kept, not float32 intermediate results
        norm = nn.remat(norm)
    return norm(epsilon=epsilon, dtype=dtype, name=name)


class Attention(nn.Module):
    """Multi-head self-attention with a fused query-key-value projection.

    The projection's kernel is `[dim, 3, heads, head_dim]`, so that tensor parallelism can shard
    the head axis; it is still one matmul. With grouped queries (arXiv:2305.13245), keys and values
    have fewer heads, each for several neighbouring heads of the queries; their kernel is then
    `[dim, 2, kv_heads, head_dim]`.

    Attributes:
      heads: number of heads.
      implementation: "xla" or "cudnn".
      dtype: compute dtype.
      bias: biases of the projection; "query_value" is for models whose keys have none.
      qk_norm: normalise queries and keys over each head.
      norm: kind of these norms.
      kv_heads: heads of keys and values; 0 for as many as of queries.
      rope: rotary position embedding of queries and keys, or None.
      out_norm: epsilon of a norm of the result before the last layer (sub-LN, arXiv:2210.06423);
        0 for no norm.
      out_bias: bias of the last layer.
    """

    heads: int
    implementation: Literal["xla", "cudnn"]
    dtype: str
    bias: QKVBias = "all"
    qk_norm: bool = False
    norm: Norm = "layer"
    kv_heads: int = 0
    rope: Rope | None = None
    out_norm: float = 0.0
    out_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, rotation: Rotation | None = None) -> jax.Array:
        """`[B, N, D]` -> `[B, N, D]`; softmax in float32. `rotation` is the table of `rope`."""
        dim = x.shape[-1]
        qkv = self._project(x, dim // self.heads, rotation)
        x = self_attention(qkv, self.implementation)
        if self.out_norm:
            flat = x.reshape(*x.shape[:2], dim)
            x = make_norm(self.norm, self.out_norm, self.dtype, "norm")(flat).reshape(x.shape)
        return HeadDense((dim,), 2, self.out_bias, self.dtype, name="out")(x)

    def _project(self, x: jax.Array, width: int, rotation: Rotation | None) -> jax.Array:
        """Queries, keys and values, `[B, N, 3, heads, width]`, as the product reads them."""

        def dense(shape: tuple[int, ...], name: str) -> jax.Array:
            projected: jax.Array = HeadDense(shape, 1, self.bias == "all", self.dtype, name=name)(x)
            return projected

        grouped = self.kv_heads not in (0, self.heads)
        turned = self.rope is not None and rotation is not None
        if grouped:
            key_value = dense((2, self.kv_heads, width), "key_value")
            q, k, v = dense((self.heads, width), "query"), key_value[:, :, 0], key_value[:, :, 1]
        else:
            qkv = dense((3, self.heads, width), "qkv")
            if not (self.qk_norm or turned or self.bias == "query_value"):
                return qkv
            q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        if self.bias == "query_value":
            zeros = nn.initializers.zeros_init()
            shape = (2, self.heads, width)
            bias = self.param("query_value_bias", zeros, shape, jnp.float32).astype(self.dtype)
            q, v = q + bias[None, None, 0], v + bias[None, None, 1]
        if self.qk_norm:
            # Normalised over each head, so that logits cannot grow with the width.
            q = make_norm(self.norm, 1e-6, self.dtype, "query_norm")(q)
            k = make_norm(self.norm, 1e-6, self.dtype, "key_norm")(k)
        if self.rope is not None and rotation is not None:
            q, k = self.rope.rotate(q, rotation), self.rope.rotate(k, rotation)
        if grouped:
            k, v = (jnp.repeat(part, self.heads // self.kv_heads, 2) for part in (k, v))
        return jnp.stack((q, k, v), 2)


class MLP(nn.Module):
    """Two linear layers with an activation between.

    Attributes:
      hidden: number of hidden units.
      dtype: compute dtype.
      kind: "gelu" with the error function, "gelu_tanh" with its approximation by tanh, or "swiglu"
        (arXiv:2002.05202): SiLU of one product times another. The kernel of both is
        `[dim, 2, hidden]`, the gate first.
      norm: epsilon and kind of a norm of the hidden units (sub-LN); None for no norm.
      bias: biases of the layers.
    """

    hidden: int
    dtype: str
    kind: MLPKind = "gelu"
    norm: tuple[float, Norm] | None = None
    bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., D]` -> `[..., D]`."""
        dim = x.shape[-1]

        def dense(shape: int | tuple[int, ...], name: str, dot_general: Any = None) -> nn.Module:
            return nn.DenseGeneral(
                shape,
                use_bias=self.bias,
                dtype=self.dtype,
                kernel_init=kernel_init,
                dot_general=dot_general,
                name=name,
            )

        if self.kind == "swiglu":
            both = dense((2, self.hidden), "gated")(x)
            x = nn.silu(both[..., 0, :]) * both[..., 1, :]
        else:
            x = dense(self.hidden, "fc1")(x)
            by_tanh = self.kind == "gelu_tanh"
            if self.norm is None:
                return dense(dim, "fc2", partial(product_of_gelu, approximate=by_tanh))(x)
            x = jax.nn.gelu(x, approximate=by_tanh)
        if self.norm is not None:
            epsilon, norm = self.norm
            x = make_norm(norm, epsilon, self.dtype, "norm")(x)
        return dense(dim, "fc2")(x)


class LayerScale(nn.Module):
    """Learnt factor for each value of a residual branch (arXiv:2103.17239)."""

    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., D]` -> `[..., D]`."""
        init = nn.initializers.constant(1e-5)
        scale = self.param("scale", init, (x.shape[-1],), jnp.float32).astype(self.dtype)
        return x * scale.reshape((1,) * (x.ndim - 1) + scale.shape)


class Block(nn.Module):
    """Pre-norm transformer block (Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 2-3).

    Attributes are those of `ViT`, where `norm` and `qkv_bias` are resolved. `kv_heads` is that of
    this block, and `stochastic` is True for training with drop path.
    """

    heads: int
    mlp_hidden: int
    norm_eps: float
    attention: Literal["xla", "cudnn"]
    dtype: str
    stochastic: bool
    experts: int = 0
    part_features: int = 0
    dataset: int = 0
    norm: Norm = "layer"
    qkv_bias: QKVBias = "all"
    qk_norm: bool = False
    parallel: bool = False
    kv_heads: int = 0
    rope: Rope | None = None
    layer_scale: LayerScales = "none"
    mlp: MLPKind = "gelu"
    sub_norm: Literal["none", "mlp", "both"] = "none"
    post_norm: bool = False
    linear_bias: bool = True

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        drop_rate: jax.Array,
        dataset_index: jax.Array | None = None,
        rotation: Rotation | None = None,
    ) -> tuple[jax.Array, None]:
        """`[B, N, D]`, this layer's drop rate, datasets -> (`[B, N, D]`, None) for `nn.scan`.

        `rotation` is the table of `rope`, for all layers.
        """

        def residual(branch: jax.Array) -> jax.Array:
            if not self.stochastic:
                return branch
            return drop_path(branch, drop_rate, self.make_rng("dropout"))

        def norm(name: str) -> nn.Module:
            return make_norm(self.norm, self.norm_eps, self.dtype, name)

        def attend(y: jax.Array) -> jax.Array:
            attention = Attention(
                self.heads,
                self.attention,
                self.dtype,
                self.qkv_bias,
                self.qk_norm,
                self.norm,
                self.kv_heads,
                self.rope,
                self.norm_eps if self.sub_norm == "both" else 0.0,
                self.linear_bias,
                name="attention",
            )
            y = attention(y, rotation)
            return y if self.layer_scale == "none" else LayerScale(self.dtype, name="scale1")(y)

        def mlp(y: jax.Array) -> jax.Array:
            if self.experts:
                mixture = (self.experts, self.part_features, self.dataset)
                experts = MixtureMLP(self.mlp_hidden, *mixture, self.dtype, name="mlp")
                return experts(y, dataset_index)
            sub_norm = None if self.sub_norm == "none" else (self.norm_eps, self.norm)
            part = (self.mlp, sub_norm, self.linear_bias)
            y = MLP(self.mlp_hidden, self.dtype, *part, name="mlp")(y)
            return LayerScale(self.dtype, name="scale2")(y) if self.layer_scale == "both" else y

        if self.post_norm:
            x = x + residual(norm("norm1")(attend(x)))
            return x + residual(norm("norm2")(mlp(x))), None
        y = norm("norm1")(x)
        if self.parallel:
            return x + residual(attend(y) + mlp(y)), None
        x = x + residual(attend(y))
        return x + residual(mlp(norm("norm2")(x))), None
