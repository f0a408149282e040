"""SRCNN on heatmaps: three convolutions that enlarge and sharpen coarse maps."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.upsample import enlarge


class SRCNN(nn.Module):
    """Three convolutions of SRCNN (Dong et al. 2014, arXiv:1501.00092) and an enlargement.

    Patch extraction (9x9), non-linear mapping (1x1 or 5x5) and reconstruction (5x5), with a ReLU
    after each of the first two. The convolutions mix the maps of all keypoints, so that the
    positions of the other joints help to locate each joint.

    Attributes:
      scale: enlargement of each side.
      sizes: sides of the three kernels: (9, 5, 5) or (9, 1, 5) in the paper.
      widths: channels between the convolutions.
      enlarge_first: True convolves the maps after bilinear enlargement, as in the paper. False
        convolves the coarse maps, and the last convolution makes `scale**2` values per pixel (Shi
        et al. 2016, arXiv:1609.05158, eq. 4): `scale**2` times cheaper, and the kernels cover an
        area `scale` times as wide.
      residual: True adds the convolutions' output, which is zero at first, to the bilinearly
        enlarged maps (Kim et al. 2016, arXiv:1511.04587); False is SRCNN as published.
      dtype: compute dtype.
    """

    scale: int = 2
    sizes: tuple[int, int, int] = (9, 5, 5)
    widths: tuple[int, int] = (64, 32)
    enlarge_first: bool = True
    residual: bool = True
    dtype: str = "float32"

    @nn.compact
    def __call__(self, heatmaps: jax.Array) -> jax.Array:
        """`[B, h, w, K]` -> `[B, scale * h, scale * w, K]` float32."""
        batch, height, width, keypoints = heatmaps.shape
        n = self.scale
        enlarged = enlarge(heatmaps.astype(jnp.float32), n)
        x = (enlarged if self.enlarge_first else heatmaps).astype(self.dtype)
        for i, (channels, size) in enumerate(zip(self.widths, self.sizes, strict=False)):
            x = nn.relu(self._conv(channels, size, f"conv_{i}", nn.initializers.he_normal())(x))
        last = nn.initializers.zeros_init() if self.residual else nn.initializers.normal(0.001)
        channels = keypoints * (1 if self.enlarge_first else n * n)
        x = self._conv(channels, self.sizes[2], "conv_2", last)(x).astype(jnp.float32)
        if not self.enlarge_first:
            x = x.reshape(batch, height, width, n, n, keypoints).transpose(0, 1, 3, 2, 4, 5)
            x = x.reshape(batch, n * height, n * width, keypoints)
        return enlarged + x if self.residual else x

    def _conv(self, width: int, size: int, name: str, init: nn.initializers.Initializer) -> nn.Conv:
        return nn.Conv(width, (size, size), dtype=self.dtype, kernel_init=init, name=name)


class RefinedHead(nn.Module):
    """Heatmap head followed by `SRCNN`; both are trained together.

    Attributes:
      head: head that returns coarse heatmaps.
      refiner: module that enlarges and sharpens them.
    """

    head: nn.Module
    refiner: SRCNN = SRCNN()

    @property
    def num_keypoints(self) -> int:
        """Number of keypoints of the head."""
        return self.head.num_keypoints  # type: ignore[attr-defined]

    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> heatmaps, `refiner.scale` times as large as the head's."""
        return self.refiner(self.head(features, train))
