"""High-resolution network: parallel branches that exchange features at every module."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import ResidualBlock
from jaxpose.models.upsample import enlarge, repeat

_ENLARGE = {"nearest": repeat, "bilinear": enlarge}


class Fusion(nn.Module):
    """Fusion of branches: each output is the sum of all inputs, resized to its resolution.

    From a lower resolution: 1x1 convolution and enlargement. From a higher one: strided 3x3
    convolutions, the last of which changes the width. (arXiv:1902.09212, fig. 3)

    Attributes:
      outputs: number of branches that are returned.
      enlargement: "nearest" or "bilinear".
      dtype: compute dtype.
      separable: each strided convolution is a depthwise and a 1x1 convolution (HRFormer).
    """

    outputs: int
    enlargement: str
    dtype: str
    separable: bool = False

    @nn.compact
    def __call__(self, branches: tuple[jax.Array, ...], train: bool) -> tuple[jax.Array, ...]:
        """Branch j `[B, h / 2**j, w / 2**j, C_j]` -> the first `outputs` branches, same shapes."""
        fused = []
        for i in range(self.outputs):
            width = branches[i].shape[-1]
            terms = []
            for j, x in enumerate(branches):
                name = f"to_{i}_from_{j}"
                if j > i:
                    x = ConvNorm(width, 1, activation="none", dtype=self.dtype, name=name)(x, train)
                    x = _ENLARGE[self.enlargement](x, 2 ** (j - i))
                for k in range(i - j):
                    last = k == i - j - 1
                    if self.separable:
                        x = ConvNorm(
                            x.shape[-1],
                            3,
                            stride=2,
                            groups=x.shape[-1],
                            activation="none",
                            dtype=self.dtype,
                            name=f"{name}_{k}_depthwise",
                        )(x, train)
                    x = ConvNorm(
                        width if last else x.shape[-1],
                        1 if self.separable else 3,
                        stride=1 if self.separable else 2,
                        activation="none" if last else "relu",
                        dtype=self.dtype,
                        name=f"{name}_{k}",
                    )(x, train)
                terms.append(x)
            fused.append(nn.relu(sum(terms[1:], start=terms[0])))
        return tuple(fused)


class ExchangeModule(nn.Module):
    """Residual blocks on each branch, then one fusion."""

    blocks: int
    outputs: int
    enlargement: str
    remat: str
    dtype: str

    @nn.compact
    def __call__(self, branches: tuple[jax.Array, ...], train: bool) -> tuple[jax.Array, ...]:
        """Branch j `[B, h / 2**j, w / 2**j, C_j]` -> the first `outputs` branches, same shapes."""
        # The blocks keep the shape of a branch.
        block = _block(self.remat)
        processed = []
        for b, x in enumerate(branches):
            for k in range(self.blocks):
                x = block(x.shape[-1], False, self.dtype, name=f"branch_{b}_block_{k}")(x, train)
            processed.append(x)
        return Fusion(self.outputs, self.enlargement, self.dtype, name="fusion")(
            tuple(processed), train
        )


def _block(remat: str) -> type[ResidualBlock]:
    # Argument 2 is `train` (0 is the module itself).
    return nn.remat(ResidualBlock, static_argnums=(2,)) if remat == "block" else ResidualBlock


class HRNet(nn.Module):
    """HRNet backbone (Sun et al. 2019, arXiv:1902.09212).

    Attributes:
      channels: width of each branch, highest resolution first; branch j has stride `4 * 2**j`.
      modules: exchange modules of stages 2, 3, ...: one stage for each branch added.
      blocks: residual blocks per branch and module.
      stem_channels: width of the two strided convolutions at the start.
      stage1_channels, stage1_blocks: bottlenecks of stage 1 (their output is four times as wide).
      outputs: "high" returns the highest-resolution branch, "all" a tuple of all branches,
        "concat" all branches enlarged bilinearly to the highest resolution and concatenated, which
        is HRNetV2 (arXiv:1904.04514, fig. 1). "high" leaves out the unused parts of the last
        fusion, as HRNet for pose does.
      enlargement: "nearest" or "bilinear" enlargement of lower resolutions in the fusions.
      remat: "none", or "block" to recompute residual blocks in the backward pass.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    channels: tuple[int, ...] = (32, 64, 128, 256)
    modules: tuple[int, ...] = (1, 4, 3)
    blocks: int = 4
    stem_channels: int = 64
    stage1_channels: int = 64
    stage1_blocks: int = 4
    outputs: str = "high"
    enlargement: str = "nearest"
    remat: str = "none"
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem_\d+/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    def _check(self, images: jax.Array) -> None:
        stride = 4 * 2 ** (len(self.channels) - 1)
        if images.ndim != 4 or images.shape[1] % stride or images.shape[2] % stride:
            raise InputError(
                f"HRNet with {len(self.channels)} branches needs images [B, H, W, 3] with H and W "
                f"multiples of {stride}, but got {list(images.shape)}."
            )
        if len(self.modules) != len(self.channels) - 1:
            raise InputError(
                f"HRNet modules {self.modules} must have one entry fewer than channels "
                f"{self.channels}: stage 1 has one branch, every later stage adds one."
            )
        for name, value, known in (
            ("outputs", self.outputs, ("high", "all", "concat")),
            ("enlargement", self.enlargement, tuple(_ENLARGE)),
            ("remat", self.remat, ("none", "block")),
        ):
            if value not in known:
                raise InputError(f"HRNet {name} must be one of {', '.join(known)}, not {value!r}.")

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 4, W / 4, channels[0]]` in `dtype`.

        With `outputs="all"`, a tuple of `[B, H / (4 * 2**j), W / (4 * 2**j), channels[j]]`; with
        "concat", `[B, H / 4, W / 4, sum(channels)]`.
        """
        self._check(images)
        x = images.astype(self.dtype)
        for i in range(2):
            x = ConvNorm(self.stem_channels, 3, 2, dtype=self.dtype, name=f"stem_{i}")(x, train)
        block = _block(self.remat)
        for k in range(self.stage1_blocks):
            x = block(self.stage1_channels, True, self.dtype, name=f"stage_1_block_{k}")(x, train)

        branches: tuple[jax.Array, ...] = (x,)
        for s, modules in enumerate(self.modules, start=2):
            # A branch whose width does not change stays as it is; the new one has half the
            # resolution of the last.
            grown = []
            for b in range(s):
                width, new = self.channels[b], b == s - 1
                x = branches[-1] if new else branches[b]
                if new or x.shape[-1] != width:
                    stride = 2 if new else 1
                    x = ConvNorm(
                        width, 3, stride, dtype=self.dtype, name=f"stage_{s}_transition_{b}"
                    )(x, train)
                grown.append(x)
            branches = tuple(grown)
            for m in range(modules):
                last = s == len(self.channels) and m == modules - 1
                exchange = self._exchange(s, m, 1 if last and self.outputs == "high" else s)
                branches = exchange(branches, train)
        if self.outputs == "concat":
            enlarged = [enlarge(x, 2**j) for j, x in enumerate(branches[1:], start=1)]
            return jnp.concatenate([branches[0], *enlarged], axis=-1)
        return branches[0] if self.outputs == "high" else branches

    def _exchange(self, stage: int, module: int, outputs: int) -> nn.Module:
        """Make exchange module `module` of a stage, with the first `outputs` branches as output."""
        return ExchangeModule(
            blocks=self.blocks,
            outputs=outputs,
            enlargement=self.enlargement,
            remat=self.remat,
            dtype=self.dtype,
            name=f"stage_{stage}_module_{module}",
        )
