"""HRFormer: the branches of HRNet with attention in windows in place of convolutions."""

from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.conv import ConvNorm
from jaxpose.models.hrnet import Fusion, HRNet
from jaxpose.models.parameter_rules import TRANSFORMER_MATRICES, ParameterRules
from jaxpose.models.swin import WindowAttention
from jaxpose.models.vit_block import maybe_dropped


class HRFormerBlock(nn.Module):
    """Pre-norm block of attention in windows and an MLP with a 3x3 depthwise convolution.

    (arXiv:2110.09408, section 3 and fig. 2.) All layers of the MLP have a norm and a GELU, the last
    one, too.

    Attributes:
      heads: attention heads.
      window: side of a window in pixels of the map.
      mlp_ratio: hidden units of the MLP as a multiple of the width.
      drop_rate: drop rate of the block's residual branches.
      dtype: compute dtype; norm statistics and softmax are in float32.
    """

    heads: int
    window: int
    mlp_ratio: int
    drop_rate: float
    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, C]`."""
        residual = partial(maybe_dropped, self, rate=self.drop_rate, train=train)

        def conv(x: jax.Array, width: int, size: int, groups: int, name: str) -> jax.Array:
            return ConvNorm(
                width,
                size,
                groups=groups,
                activation="gelu",
                kernel_init_std=0.02,
                bias=True,
                dtype=self.dtype,
                name=name,
            )(x, train)

        width = x.shape[-1]
        hidden = self.mlp_ratio * width
        attention = WindowAttention(
            self.heads, self.window, (0, 0), self.dtype, centred=True, name="attention"
        )
        x = x + residual(attention(nn.LayerNorm(1e-6, dtype=self.dtype, name="norm1")(x)))
        y = nn.LayerNorm(1e-6, dtype=self.dtype, name="norm2")(x)
        y = conv(y, hidden, 1, 1, "fc1")
        y = conv(y, hidden, 3, hidden, "depthwise")
        return x + residual(conv(y, width, 1, 1, "fc2"))


class HRFormerModule(nn.Module):
    """Transformer blocks on each branch, then one fusion.

    Attributes:
      heads: attention heads of each branch.
      drop_rates: drop rate of each block; a branch has as many blocks.
      window, mlp_ratio, dtype: as in `HRFormerBlock`.
      outputs, enlargement: as in `Fusion`.
      remat: as in `HRNet`.
    """

    heads: tuple[int, ...]
    drop_rates: tuple[float, ...]
    window: int
    mlp_ratio: int
    outputs: int
    enlargement: str
    remat: str
    dtype: str

    @nn.compact
    def __call__(self, branches: tuple[jax.Array, ...], train: bool) -> tuple[jax.Array, ...]:
        """Branch j `[B, h / 2**j, w / 2**j, C_j]` -> the first `outputs` branches, same shapes."""
        # Argument 2 is `train` (0 is the module itself).
        remat = self.remat == "block"
        block = nn.remat(HRFormerBlock, static_argnums=(2,)) if remat else HRFormerBlock
        processed = []
        for b, x in enumerate(branches):
            for k, rate in enumerate(self.drop_rates):
                shape = (self.heads[b], self.window, self.mlp_ratio, rate, self.dtype)
                x = block(*shape, name=f"branch_{b}_block_{k}")(x, train)
            processed.append(x)
        fusion = Fusion(self.outputs, self.enlargement, self.dtype, separable=True, name="fusion")
        return fusion(tuple(processed), train)


class HRFormer(HRNet):
    """HRFormer backbone (Yuan et al. 2021, arXiv:2110.09408).

    The attributes of `HRNet` keep their meaning; `blocks` counts the transformer blocks per branch
    and module.

    Attributes:
      heads: attention heads of each branch.
      window: side of a window in pixels of the map.
      mlp_ratio: hidden units of an MLP as a multiple of its width.
      drop_path: drop rate of the last block; the rate rises linearly from 0 at the first.
    """

    blocks: int = 2
    stage1_blocks: int = 2
    modules: tuple[int, ...] = (1, 4, 2)
    enlargement: str = "bilinear"
    heads: tuple[int, ...] = (1, 2, 4, 8)
    window: int = 7
    mlp_ratio: int = 4
    drop_path: float = 0.0

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        embedding=r"stem_\d+/.*",
        stages=r"stage_(\d+)_\w+/.*",
        no_decay=(r".*position_bias",),
        matrices=TRANSFORMER_MATRICES,
    )

    def _check(self, images: jax.Array) -> None:
        super()._check(images)
        if len(self.heads) != len(self.channels) or any(
            width % heads for width, heads in zip(self.channels, self.heads, strict=True)
        ):
            raise InputError(
                f"HRFormer heads {self.heads} must be one number for each of its channels "
                f"{self.channels}, and divide it."
            )

    def _exchange(self, stage: int, module: int, outputs: int) -> HRFormerModule:
        rates = np.linspace(0.0, self.drop_path, sum(self.modules) * self.blocks)
        first = (sum(self.modules[: stage - 2]) + module) * self.blocks
        return HRFormerModule(
            self.heads,
            tuple(float(rate) for rate in rates[first : first + self.blocks]),
            self.window,
            self.mlp_ratio,
            outputs,
            self.enlargement,
            self.remat,
            self.dtype,
            name=f"stage_{stage}_module_{module}",
        )
