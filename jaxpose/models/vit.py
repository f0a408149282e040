"""Vision transformer backbone of ViTPose: plain and non-hierarchical."""

from typing import ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.activation import product_of_gelu
from jaxpose.models.attention import HeadDense, self_attention
from jaxpose.models.moe import MixtureMLP
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, TRANSFORMER_TENSOR, ParameterRules
from jaxpose.models.patches import ConvStem, PatchEmbedding, kernel_init
from jaxpose.models.split import for_tpu

# `jax.checkpoint` policies by the value of the `remat` attribute.
_REMAT_POLICIES = {
    "block": None,  # keep only each block's input
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,  # keep the matmuls' results
}


class TokenFeatures(NamedTuple):
    """Outputs of a vision transformer with a class token.

    Attributes:
      map: features of the patches, `[B, h, w, D]`.
      token: features of the class token, for the whole image, `[B, D]`.
    """

    map: jax.Array
    token: jax.Array


def drop_path(x: jax.Array, rate: jax.Array | float, key: jax.Array) -> jax.Array:
    """Zero whole samples of a residual branch (stochastic depth, Huang et al. 2016).

    `x` is `[B, ...]`. A sample is dropped with probability `rate`, otherwise divided by `1 - rate`,
    so that the expectation is `x`. (arXiv:1603.09382)
    """
    keep = jax.random.bernoulli(key, 1.0 - rate, (x.shape[0],) + (1,) * (x.ndim - 1))

    def kept(x: jax.Array) -> jax.Array:
        return jnp.where(keep, x / jnp.asarray(1.0 - rate, x.dtype), jnp.zeros((), x.dtype))

    # Else the backward pass of layers in a loop would read `keep` broadcast to the size of `x`.
    return (jax.checkpoint(kept) if for_tpu() else kept)(x)


def layer_norm(epsilon: float, bias: bool, dtype: str, name: str) -> nn.Module:
    """Make a layer norm; without bias an RMS norm (arXiv:1910.07467), which does not centre."""
    kind = nn.LayerNorm if bias else nn.RMSNorm
    if for_tpu():  # keep the input alone for the backward pass, not float32 intermediate results
        kind = nn.remat(kind)
    return kind(epsilon=epsilon, dtype=dtype, name=name)


class Attention(nn.Module):
    """Multi-head self-attention with a fused query-key-value projection.

    The projection's kernel is `[dim, 3, heads, head_dim]`, so that tensor parallelism can shard
    the head axis; it is still one matmul.
    """

    heads: int
    implementation: Literal["xla", "cudnn"]
    dtype: str
    bias: bool = True
    qk_norm: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[B, N, D]` -> `[B, N, D]`; softmax in float32."""
        dim = x.shape[-1]
        qkv = HeadDense((3, self.heads, dim // self.heads), 1, self.bias, self.dtype, name="qkv")(x)
        if self.qk_norm:
            # Normalised over each head, so that logits cannot grow with the width.
            q = layer_norm(1e-6, self.bias, self.dtype, "query_norm")(qkv[:, :, 0])
            k = layer_norm(1e-6, self.bias, self.dtype, "key_norm")(qkv[:, :, 1])
            qkv = jnp.stack((q, k, qkv[:, :, 2]), 2)
        x = self_attention(qkv, self.implementation)
        return HeadDense((dim,), 2, True, self.dtype, name="out")(x)


class MLP(nn.Module):
    """Two linear layers with an exact (erf) GELU between."""

    hidden: int
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., D]` -> `[..., D]`."""
        dim = x.shape[-1]
        x = nn.Dense(self.hidden, dtype=self.dtype, kernel_init=kernel_init, name="fc1")(x)
        return nn.Dense(
            dim,
            dtype=self.dtype,
            kernel_init=kernel_init,
            dot_general=product_of_gelu,
            name="fc2",
        )(x)


class Block(nn.Module):
    """Pre-norm transformer block (Dosovitskiy et al. 2021, arXiv:2010.11929, eq. 2-3).

    `parallel`, `qk_norm` and `bias` as in ViT-22B (arXiv:2302.05442, section 2).
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
    bias: bool = True
    qk_norm: bool = False
    parallel: bool = False

    @nn.compact
    def __call__(
        self, x: jax.Array, drop_rate: jax.Array, dataset_index: jax.Array | None = None
    ) -> tuple[jax.Array, None]:
        """`[B, N, D]`, this layer's drop rate, datasets -> (`[B, N, D]`, None) for `nn.scan`."""

        def residual(branch: jax.Array) -> jax.Array:
            if not self.stochastic:
                return branch
            return drop_path(branch, drop_rate, self.make_rng("dropout"))

        def norm(name: str) -> nn.Module:
            return layer_norm(self.norm_eps, self.bias, self.dtype, name)

        def mlp(y: jax.Array) -> jax.Array:
            if not self.experts:
                return MLP(self.mlp_hidden, self.dtype, name="mlp")(y)
            mixture = (self.experts, self.part_features, self.dataset)
            return MixtureMLP(self.mlp_hidden, *mixture, self.dtype, name="mlp")(y, dataset_index)

        attend = Attention(
            self.heads, self.attention, self.dtype, self.bias, self.qk_norm, name="attention"
        )
        y = norm("norm1")(x)
        if self.parallel:
            return x + residual(attend(y) + mlp(y)), None
        x = x + residual(attend(y))
        return x + residual(mlp(norm("norm2")(x))), None


class ViT(nn.Module):
    """Plain vision transformer that returns its last feature map (ViTPose, arXiv:2204.12484).

    Parameters of all blocks are stored stacked, `[depth, ...]`, for every `unroll`.

    Attributes:
      input_hw: image height and width in pixels, multiples of `patch`.
      dim: width of the tokens.
      depth: number of blocks.
      heads: number of attention heads in each block.
      patch: patch side and stride of the output, in pixels (a power of two for the conv stem).
      patch_padding: pixels the patch grid is shifted up and left; 2 in ViTPose, 0 in ImageNet ViTs.
      stem: "patch" (one matmul) or "conv" (`ConvStem`).
      mlp_hidden: hidden width of the MLP; 0 for `4 * dim`.
      class_token: prepend a learnt token, as ImageNet models do; the output is `TokenFeatures`.
      knowledge_token: width of a learnt token that carries a teacher's knowledge to a student
        (ViTPose, arXiv:2204.12484, section 3.3): it is appended to the patches, without a position,
        and dropped from the output. A width other than `dim` is projected. 0 for no such token.
      experts: number of datasets with separate weights in each MLP (see `MixtureMLP`); 0 for a
        plain MLP.
      part_features: outputs of each MLP that are from the dataset's expert.
      dataset: index of the dataset that the model is used on; `clone(dataset=...)` is the same
        model, with the same parameters, for another dataset.
      drop_path: drop rate of the last block; the rate rises linearly from 0 at the first.
      norm_eps: epsilon of the layer norms.
      unroll: blocks per step of the scan. 0 means all of them up to depth 12, and one for deeper
        models: unrolled code runs faster, but its compile time grows with depth.
      remat: "none", "block" (keep block inputs, recompute the rest in the backward pass) or
        "dots" (keep matmul results too).
      attention: "xla" or "cudnn" (fused; NVIDIA and bfloat16 only).
      qk_norm: normalise queries and keys, which keeps very large models from diverging.
      parallel: attention and MLP in parallel, on the same normalised input.
      bias: False leaves out the biases of queries, keys and values and makes layer norms RMS
        norms. These three are the choices of ViT-22B (arXiv:2302.05442, section 2).
      dtype: compute dtype; parameters, norm statistics and softmax stay float32.
    """

    input_hw: tuple[int, int] = (256, 192)
    dim: int = 384
    depth: int = 12
    heads: int = 12
    patch: int = 16
    patch_padding: int = 2
    stem: str = "patch"
    mlp_hidden: int = 0
    class_token: bool = False
    knowledge_token: int = 0
    experts: int = 0
    part_features: int = 0
    dataset: int = 0
    drop_path: float = 0.0
    norm_eps: float = 1e-6
    unroll: int = 0
    remat: str = "none"
    attention: Literal["xla", "cudnn"] = "xla"
    qk_norm: bool = False
    parallel: bool = False
    bias: bool = True
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"patch_embed/.*|position_embedding|\w+_token",
        stacked=r"blocks/.*",
        no_decay=("position_embedding", r"\w+_token"),
        tensor=TRANSFORMER_TENSOR,
        matrices=TRANSFORMER_MATRICES,
    )

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the feature map."""
        return self.input_hw[0] // self.patch, self.input_hw[1] // self.patch

    def _check(self, images: jax.Array) -> None:
        if images.ndim != 4 or images.shape[1:3] != tuple(self.input_hw):
            raise InputError(
                f"This ViT was built for images [B, {self.input_hw[0]}, {self.input_hw[1]}, 3], "
                f"but got {list(images.shape)}. Set its input_hw to the size of the images."
            )
        if self.input_hw[0] % self.patch or self.input_hw[1] % self.patch:
            raise InputError(f"input_hw {self.input_hw} is no multiple of patch {self.patch}.")
        if self.dim % self.heads:
            raise InputError(f"ViT dim {self.dim} cannot be split into {self.heads} heads.")
        for name, value, known in (
            ("stem", self.stem, ("patch", "conv")),
            ("remat", self.remat, ("none", *_REMAT_POLICIES)),
            ("attention", self.attention, ("xla", "cudnn")),
        ):
            if value not in known:
                raise InputError(f"ViT {name} must be one of {', '.join(known)}, not {value!r}.")

        if self.experts and not (
            0 <= self.dataset < self.experts and 0 < self.part_features < self.dim
        ):
            raise InputError(
                f"A ViT of {self.experts} experts needs a dataset below {self.experts} and "
                f"part_features between 0 and dim {self.dim}; they are {self.dataset} and "
                f"{self.part_features}."
            )

    @nn.compact
    def __call__(
        self, images: jax.Array, train: bool = False, dataset_index: jax.Array | None = None
    ) -> jax.Array | TokenFeatures:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / patch, W / patch, dim]` in `dtype`.

        With `train=True` and `drop_path > 0`, needs `rngs={"dropout": key}`. `dataset_index`,
        integers `[B]`, is the dataset of each image in place of `dataset`, so that a batch may mix
        datasets.
        """
        self._check(images)
        if dataset_index is not None and not self.experts:
            raise InputError(
                "dataset_index needs a ViT with experts, and this one has none. Leave it out."
            )
        if self.stem == "conv":
            x = ConvStem(self.dim, self.patch, self.dtype, name="patch_embed")(images, train)
        else:
            x = PatchEmbedding(
                self.dim, self.patch, self.patch_padding, self.dtype, name="patch_embed"
            )(images)
        batch, height, width, _ = x.shape
        x = x.reshape(batch, height * width, self.dim)
        if self.class_token:
            token = self.param("class_token", kernel_init, (self.dim,), jnp.float32)
            token = jnp.broadcast_to(token[None, None].astype(x.dtype), (batch, 1, self.dim))
            x = jnp.concatenate([token, x], 1)
        position = self.param("position_embedding", kernel_init, x.shape[1:], jnp.float32)
        x = x + position[None].astype(x.dtype)
        if self.knowledge_token:
            token = self.param("knowledge_token", kernel_init, (self.knowledge_token,), jnp.float32)
            token = jnp.broadcast_to(token[None, None], (batch, 1, self.knowledge_token))
            if self.knowledge_token != self.dim:
                token = nn.Dense(self.dim, dtype=self.dtype, name="knowledge_projection")(token)
            x = jnp.concatenate([x, token.astype(x.dtype)], 1)

        block = Block
        if self.remat != "none":
            block = nn.remat(block, policy=_REMAT_POLICIES[self.remat], prevent_cse=False)
        unroll = self.unroll or (self.depth if self.depth <= 12 else 1)
        layers = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True, "dropout": True},
            in_axes=(0, nn.broadcast),
            length=self.depth,
            unroll=min(unroll, self.depth),
        )(
            heads=self.heads,
            mlp_hidden=self.mlp_hidden or 4 * self.dim,
            norm_eps=self.norm_eps,
            attention=self.attention,
            dtype=self.dtype,
            stochastic=train and self.drop_path > 0,
            experts=self.experts,
            part_features=self.part_features,
            dataset=self.dataset,
            bias=self.bias,
            qk_norm=self.qk_norm,
            parallel=self.parallel,
            name="blocks",
        )
        x, _ = layers(x, jnp.linspace(0.0, self.drop_path, self.depth), dataset_index)
        x = layer_norm(self.norm_eps, self.bias, self.dtype, "norm")(x)
        first = int(self.class_token)
        feature_map = x[:, first : first + height * width].reshape(batch, height, width, self.dim)
        return TokenFeatures(feature_map, x[:, 0]) if self.class_token else feature_map
