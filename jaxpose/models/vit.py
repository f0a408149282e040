"""Vision transformer backbones: plain and non-hierarchical, from ViTPose to today's large ones."""

from typing import ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, TRANSFORMER_TENSOR, ParameterRules
from jaxpose.models.patches import ConvStem, PatchEmbedding, kernel_init
from jaxpose.models.rope import Rope, Rotation
from jaxpose.models.vit_block import Block, LayerScales, MLPKind, Norm, QKVBias, make_norm

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
      registers: features of the register tokens, `[B, R, D]`; None for a model without them.
    """

    map: jax.Array
    token: jax.Array
    registers: jax.Array | None = None


class ViT(nn.Module):
    """Plain vision transformer that returns its last feature map (ViTPose, arXiv:2204.12484).

    Parameters of all blocks are stored stacked, `[depth, ...]`, for every `unroll`. If only some
    blocks have grouped queries, they are in three stacks, `blocks_0` to `blocks_2`.

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
      norm_eps: epsilon of the norms.
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
      registers: learnt tokens between class token and patches, without positions
        (arXiv:2309.16588).
      output: "tokens", or "map" for the patches' features alone although there is a class token: a
        pose head takes only these.
      positions: "all" (patches and class token have a learnt absolute position), "patches" (only
        they have one) or "none".
      rope: rotary position embedding in every block, in addition to `positions`, or None.
      norm: "layer", "rms", or "auto" for the kind that follows from `bias`.
      qkv_bias: "all", "query_value" (keys have none), "none", or "auto" for what follows from
        `bias`.
      linear_bias: biases of all other layers in a block.
      patch_bias: bias of the patch embedding.
      patch_norm: norm of the patch embedding (AIMv2, arXiv:2411.14402).
      first_norm: norm of all tokens before the first block (CLIP, arXiv:2103.00020).
      last_norm: norm of all tokens after the last block.
      post_norm: norms after attention and MLP rather than before (EVA-02 E, arXiv:2303.15389).
      sub_norm: "mlp" for a norm of the MLP's hidden units, "both" for one of the attention's result
        as well (sub-LN, arXiv:2210.06423), or "none".
      layer_scale: learnt factors on "both" residual branches, on "attention" alone, or "none".
      mlp: "gelu" (error function), "gelu_tanh" or "swiglu"; `MLP`.
      kv_heads: heads of keys and values (grouped queries, arXiv:2305.13245), a divisor of `heads`;
        0 for `heads`.
      ungrouped: number of blocks at each end that keep `heads` heads of keys and values.
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
    registers: int = 0
    output: Literal["tokens", "map"] = "tokens"
    positions: Literal["all", "patches", "none"] = "all"
    rope: Rope | None = None
    norm: Literal["auto", "layer", "rms"] = "auto"
    qkv_bias: Literal["auto", "all", "query_value", "none"] = "auto"
    linear_bias: bool = True
    patch_bias: bool = True
    patch_norm: bool = False
    first_norm: bool = False
    last_norm: bool = True
    post_norm: bool = False
    sub_norm: Literal["none", "mlp", "both"] = "none"
    layer_scale: LayerScales = "none"
    mlp: MLPKind = "gelu"
    kv_heads: int = 0
    ungrouped: int = 0

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"patch_embed/.*|position_embedding|\w+_tokens?|(patch|first)_norm/.*",
        stacked=r"blocks(?:_(\d+))?/.*",
        no_decay=("position_embedding", r"\w+_tokens?"),
        tensor=TRANSFORMER_TENSOR,
        matrices=TRANSFORMER_MATRICES,
    )

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Height and width of the feature map."""
        return self.input_hw[0] // self.patch, self.input_hw[1] // self.patch

    @property
    def norm_kind(self) -> Norm:
        """Kind of the norms."""
        if self.norm == "auto":
            return "layer" if self.bias else "rms"
        return self.norm

    @property
    def qkv_bias_kind(self) -> QKVBias:
        """Biases of queries, keys and values."""
        if self.qkv_bias == "auto":
            return "all" if self.bias else "none"
        return self.qkv_bias

    @property
    def stacks(self) -> tuple[tuple[str, int, int], ...]:
        """Name, number of blocks, and heads of keys and values of each stack of equal blocks."""
        grouped = self.kv_heads or self.heads
        middle = self.depth - 2 * self.ungrouped
        if grouped == self.heads or not self.ungrouped or middle <= 0:
            return (("blocks", self.depth, self.heads if middle <= 0 else grouped),)
        ends = self.ungrouped, self.heads
        return ("blocks_0", *ends), ("blocks_1", middle, grouped), ("blocks_2", *ends)

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
        if not 0 <= self.drop_path < 1:
            raise InputError(
                f"ViT drop_path must be from 0 to below 1, and is {self.drop_path}: it is the "
                "share of images for which the last block is left out."
            )
        if self.kv_heads < 0 or (self.kv_heads and self.heads % self.kv_heads):
            raise InputError(
                f"ViT kv_heads {self.kv_heads} must divide its {self.heads} heads: each head of "
                "keys and values serves the same number of heads of queries."
            )
        if self.kv_heads not in (0, self.heads) and self.qkv_bias_kind == "query_value":
            raise InputError('qkv_bias="query_value" is for models without grouped queries.')
        if self.experts and self.mlp != "gelu":
            raise InputError(f'A ViT with experts has mlp="gelu", not {self.mlp!r}.')
        for name, value, known in (
            ("stem", self.stem, ("patch", "conv")),
            ("remat", self.remat, ("none", *_REMAT_POLICIES)),
            ("attention", self.attention, ("xla", "cudnn")),
            ("output", self.output, ("tokens", "map")),
            ("positions", self.positions, ("all", "patches", "none")),
            ("norm", self.norm, ("auto", "layer", "rms")),
            ("qkv_bias", self.qkv_bias, ("auto", "all", "query_value", "none")),
            ("sub_norm", self.sub_norm, ("none", "mlp", "both")),
            ("layer_scale", self.layer_scale, ("none", "both", "attention")),
            ("mlp", self.mlp, ("gelu", "gelu_tanh", "swiglu")),
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
        x, before, after = self._tokens(images, train)
        rotation = None
        if self.rope is not None:
            head_dim = self.dim // self.heads
            rotation = self.rope.rotation(self.grid_hw, head_dim, before, after)
        x = self._blocks(x, train, dataset_index, rotation)
        if self.last_norm:
            x = self._norm("norm")(x)
        height, width = self.grid_hw
        patches = x[:, before : before + height * width]
        feature_map = patches.reshape(x.shape[0], height, width, self.dim)
        if not self.class_token or self.output == "map":
            return feature_map
        registers = x[:, 1:before] if self.registers else None
        return TokenFeatures(feature_map, x[:, 0], registers)

    def _norm(self, name: str) -> nn.Module:
        return make_norm(self.norm_kind, self.norm_eps, self.dtype, name)

    def _tokens(self, images: jax.Array, train: bool) -> tuple[jax.Array, int, int]:
        """Return all tokens before the first block, and their number before and after the patches.

        They are the class token, the registers, the patches and the knowledge token.
        """
        if self.stem == "conv":
            x = ConvStem(self.dim, self.patch, self.dtype, name="patch_embed")(images, train)
        else:
            x = PatchEmbedding(
                self.dim,
                self.patch,
                self.patch_padding,
                self.dtype,
                self.patch_bias,
                name="patch_embed",
            )(images)
        batch, height, width, _ = x.shape
        x = x.reshape(batch, height * width, self.dim)
        if self.patch_norm:
            x = self._norm("patch_norm")(x)
        before = []
        if self.class_token:
            token = self.param("class_token", kernel_init, (self.dim,), jnp.float32)
            token = jnp.broadcast_to(token[None, None].astype(x.dtype), (batch, 1, self.dim))
            before = [token]
        if self.positions == "all":
            x = self._with_positions(jnp.concatenate([*before, x], 1) if before else x)
            before, x = ([x[:, :1]], x[:, 1:]) if self.registers and before else ([], x)
        elif self.positions == "patches":
            x = self._with_positions(x)
        if self.registers:
            tokens = self.param(
                "register_tokens", kernel_init, (self.registers, self.dim), jnp.float32
            )
            shape = (batch, self.registers, self.dim)
            before.append(jnp.broadcast_to(tokens[None].astype(x.dtype), shape))
        after = []
        if self.knowledge_token:
            token = self.param("knowledge_token", kernel_init, (self.knowledge_token,), jnp.float32)
            token = jnp.broadcast_to(token[None, None], (batch, 1, self.knowledge_token))
            if self.knowledge_token != self.dim:
                token = nn.Dense(self.dim, dtype=self.dtype, name="knowledge_projection")(token)
            after = [token.astype(x.dtype)]
        x = jnp.concatenate([*before, x, *after], 1) if before or after else x
        if self.first_norm:
            x = self._norm("first_norm")(x)
        return x, int(self.class_token) + self.registers, len(after)

    def _with_positions(self, x: jax.Array) -> jax.Array:
        position = self.param("position_embedding", kernel_init, x.shape[1:], jnp.float32)
        return x + position[None].astype(x.dtype)

    def _blocks(
        self,
        x: jax.Array,
        train: bool,
        dataset_index: jax.Array | None,
        rotation: Rotation | None,
    ) -> jax.Array:
        block = Block
        if self.remat != "none":
            block = nn.remat(block, policy=_REMAT_POLICIES[self.remat], prevent_cse=False)
        unroll = self.unroll or (self.depth if self.depth <= 12 else 1)
        rates = jnp.linspace(0.0, self.drop_path, self.depth)
        first = 0
        for name, depth, kv_heads in self.stacks:
            layers = nn.scan(
                block,
                variable_axes={"params": 0},
                split_rngs={"params": True, "dropout": True},
                in_axes=(0, nn.broadcast, nn.broadcast),
                length=depth,
                unroll=min(unroll, depth),
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
                norm=self.norm_kind,
                qkv_bias=self.qkv_bias_kind,
                qk_norm=self.qk_norm,
                parallel=self.parallel,
                kv_heads=kv_heads,
                rope=self.rope,
                layer_scale=self.layer_scale,
                mlp=self.mlp,
                sub_norm=self.sub_norm,
                post_norm=self.post_norm,
                linear_bias=self.linear_bias,
                name=name,
            )
            x, _ = layers(x, rates[first : first + depth], dataset_index, rotation)
            first += depth
        return x


__getattr__ = moved_names(__name__)
