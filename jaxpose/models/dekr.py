"""Head of DEKR: a branch of heatmaps, and one adaptive branch of displacements per keypoint."""

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.conv import ConvNorm
from jaxpose.models.deformable_conv import GRID, between_pixels, grouped
from jaxpose.models.heads import Final
from jaxpose.models.norm import BatchNorm
from jaxpose.models.parameter_rules import ParameterRules
from jaxpose.models.residual import ResidualBlock


class AdaptiveConv(nn.Module):
    """3x3 convolution whose taps an affine map moves at each pixel, with a norm and a shortcut.

    The adaptive convolution of DEKR (arXiv:2104.02300, section 3.2), on `groups` separate groups of
    channels; each has a map of six numbers, from a 3x3 convolution. Moves are added to the places
    of the kernel's taps.
    """

    groups: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> the same shape in `dtype`."""
        batch, height, width, channels = x.shape
        groups, each = self.groups, channels // self.groups
        init = nn.initializers.normal(0.001)
        maps = nn.Conv(
            6 * groups,
            (3, 3),
            feature_group_count=groups,
            padding=1,
            dtype=self.dtype,
            kernel_init=init,
            name="maps",
        )(x)
        maps = maps.astype(jnp.float32).reshape(batch, height, width, groups, 2, 3)
        kernel = self.param("kernel", init, (9, groups, each, each), jnp.float32)
        parts = grouped(x.astype(self.dtype), groups)
        row, column = (jnp.arange(n, dtype=jnp.float32) for n in (height, width))
        total = jnp.zeros((batch, height, width, groups, each))
        for tap, (dy, dx) in enumerate(GRID):
            move = maps[..., 0] * dy + maps[..., 1] * dx + maps[..., 2]  # [B, h, w, G, 2]
            y = row[None, :, None, None] + dy + move[..., 0]
            x_place = column[None, None, :, None] + dx + move[..., 1]
            place = jnp.stack([y, x_place], axis=-1).transpose(0, 3, 1, 2, 4)
            place = place.reshape(batch * groups, height * width, 2)
            value = between_pixels(parts, place, (height, width))
            value = value.reshape(batch, groups, height, width, each).transpose(0, 2, 3, 1, 4)
            total += jnp.einsum(
                "bhwgc,gcf->bhwgf",
                value,
                kernel[tap].astype(self.dtype),
                preferred_element_type=jnp.promote_types(self.dtype, jnp.float32),
            )
        y = total.reshape(batch, height, width, channels).astype(self.dtype)
        y = BatchNorm(dtype=self.dtype, name="norm")(y, train)
        return nn.relu(y + x.astype(self.dtype))


class DEKRHead(nn.Module):
    """Heatmaps and displacements (Geng et al. 2021, arXiv:2104.02300, fig. 2).

    Attributes:
      num_keypoints: K.
      heatmap_channels: channels of the heatmaps' branch.
      keypoint_channels: channels of each keypoint's branch of displacements.
      dtype: compute dtype; the outputs are float32.
    """

    num_keypoints: int
    heatmap_channels: int = 32
    keypoint_channels: int = 15
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(
        output=r"(heatmaps|vectors)_final/.*"
    )

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`[B, h, w, C]` -> heatmaps `[B, h, w, K + 1]`, displacements `[B, h, w, 2 K]`."""
        count, wide = self.num_keypoints, self.heatmap_channels
        x = ConvNorm(wide, 1, dtype=self.dtype, name="heatmaps_stem")(features, train)
        x = ResidualBlock(wide, False, self.dtype, name="heatmaps_block")(x, train)
        heatmaps = Final(count + 1, dtype=self.dtype, name="heatmaps_final")(x)
        each = self.keypoint_channels
        y = ConvNorm(count * each, 1, dtype=self.dtype, name="vectors_stem")(features, train)
        for i in (0, 1):
            y = AdaptiveConv(count, self.dtype, name=f"vectors_block_{i}")(y, train)
        vectors = nn.Conv(
            2 * count,
            (1, 1),
            feature_group_count=count,
            kernel_init=nn.initializers.normal(0.001),
            dtype="float32",
            name="vectors_final",
        )(y)
        return heatmaps, vectors
