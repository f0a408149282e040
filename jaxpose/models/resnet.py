"""Residual networks: one feature map of stride 32."""

from typing import ClassVar, Literal

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm, Norm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import CalibratedBlock, ResidualBlock
from jaxpose.models.split_attention import SplitAttentionBlock


class ResNet(nn.Module):
    """ResNet backbone (He et al. 2016, arXiv:1512.03385).

    Attributes:
      blocks: residual blocks of each stage; stage s has stride `4 * 2**s`.
      bottleneck: True for bottlenecks (ResNet-50 and deeper), False for basic blocks.
      variant: "v1b" has a 7x7 stem and strided shortcuts, and takes each stage's stride in a 3x3
        convolution, as PyTorch's published weights do; "v1d" differs by a stem of three 3x3
        convolutions and pooled shortcuts (ResNet-D, arXiv:1812.01187, fig. 2).
      width: channels of the stem and of the 3x3 convolutions of the first stage.
      outputs: stages whose maps are returned, from 0; empty for the map of the last one.
      dtype: compute dtype; parameters and norm statistics stay float32.
      groups, squeeze: as in `ResidualBlock`: ResNeXt has 32 groups, SE-ResNet a squeeze of 16.
      kind: "residual" blocks, or bottlenecks of SCNet ("calibrated", `CalibratedBlock`) or of
        ResNeSt ("split", `SplitAttentionBlock`).
      norm: norm of the convolutions, as in `ConvNorm`; "batch" with other than residual blocks.
      output_stride: largest stride; stages beyond it are dilated instead (DeepLab,
        arXiv:1606.00915, section 3.1), the first block of a stage as the stage before, as in timm.
      stem_width: channels of the stem, if they are not `width`; 0 for `width`.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    variant: Literal["v1b", "v1d"] = "v1b"
    width: int = 64
    dtype: str = "float32"
    outputs: tuple[int, ...] = ()
    groups: int = 1
    squeeze: int = 0
    kind: Literal["residual", "calibrated", "split"] = "residual"
    norm: Norm = "batch"
    output_stride: int = 32
    stem_width: int = 0

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem_\d+/.*", stages=r"stage_(\d+)_\w+/.*"
    )

    def _check(self, images: jax.Array) -> None:
        stride = min(2 ** (len(self.blocks) + 1), self.output_stride)
        if images.ndim != 4 or images.shape[1] % stride or images.shape[2] % stride:
            raise InputError(
                f"ResNet with {len(self.blocks)} stages needs images [B, H, W, 3] with H and W "
                f"multiples of {stride}, but got {list(images.shape)}."
            )
        if self.variant not in ("v1b", "v1d"):
            raise InputError(f"ResNet variant must be v1b or v1d, not {self.variant!r}.")
        if self.kind == "calibrated" and min(images.shape[1:3]) < 4 * stride:
            raise InputError(
                f"Calibrated blocks need images of at least {4 * stride} pixels on each side: "
                f"they divide the last map by four. These are {list(images.shape[1:3])}."
            )
        if not self.bottleneck and (self.groups > 1 or self.kind != "residual"):
            raise InputError(f"A ResNet with groups or {self.kind} blocks needs bottleneck=True.")

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array | tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / 32, W / 32, C]` in `dtype` for four stages.

        C is `8 * width`, or `32 * width` with bottlenecks. With `outputs`, a tuple of their maps.
        """
        self._check(images)
        deep = self.variant == "v1d"
        x = images.astype(self.dtype)
        stem = self.stem_width or self.width
        half = stem // 2
        for i, width in enumerate((half, half, stem) if deep else (stem,)):
            x = ConvNorm(
                width,
                3 if deep else 7,
                2 if i == 0 else 1,
                kernel_init_std=None,
                dtype=self.dtype,
                norm=self.norm,
                name=f"stem_{i}",
            )(x, train)
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        maps, reached, dilation = [], 4, 1
        for s, blocks in enumerate(self.blocks):
            coarser = s > 0 and reached < self.output_stride
            before, dilation = dilation, dilation if s == 0 or coarser else 2 * dilation
            reached = 2 * reached if coarser else reached
            for k in range(blocks):
                width, stride = self.width * 2**s, 2 if coarser and k == 0 else 1
                name = f"stage_{s}_block_{k}"
                if self.kind != "residual":
                    block = CalibratedBlock if self.kind == "calibrated" else SplitAttentionBlock
                    x = block(width, self.dtype, stride, name=name)(x, train)
                    continue
                x = ResidualBlock(
                    width,
                    self.bottleneck,
                    self.dtype,
                    stride=stride,
                    shortcut="pooled" if deep else "strided",
                    kernel_init_std=None,
                    groups=self.groups,
                    squeeze=self.squeeze,
                    norm=self.norm,
                    dilation=before if k == 0 else dilation,
                    name=name,
                )(x, train)
            maps.append(x)
        return tuple(maps[s] for s in self.outputs) if self.outputs else x


class ResNeXt(ResNet):
    """ResNeXt 32x4d (Xie et al. 2017, arXiv:1611.05431): bottlenecks of 32 groups."""

    groups: int = 32


class SEResNet(ResNet):
    """SE-ResNet (Hu et al. 2018, arXiv:1709.01507): squeeze and excitation in each block."""

    squeeze: int = 16


class SCNet(ResNet):
    """SCNet (Liu et al. 2020, CVPR): blocks with self-calibrated convolutions."""

    kind: Literal["residual", "calibrated", "split"] = "calibrated"


class ResNeSt(ResNet):
    """ResNeSt (Zhang et al. 2020, arXiv:2004.08955): bottlenecks with split attention."""

    variant: Literal["v1b", "v1d"] = "v1d"
    kind: Literal["residual", "calibrated", "split"] = "split"
