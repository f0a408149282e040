"""Small residual network with a path down to a coarse map and a path back up.

Every layer is a 3x3 convolution of stride 1 or a matmul: the image is split into patches, maps are
halved by merging 2x2 pixels, and the path up adds 1x1 projections. XLA's strided and dilated CPU
convolutions, and the backward pass of its pooling, take several times as long as these.
"""

import flax.linen as nn
import jax

from jaxpose.errors import InputError
from jaxpose.models.norm import BatchNorm
from jaxpose.models.upsample import repeat


class Merge(nn.Module):
    """Convolution of kernel and stride `size`, as one matmul: `size` x `size` pixels to one."""

    features: int
    size: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h / size, w / size, features]`, after batch norm and ReLU."""
        batch, height, width, channels = x.shape
        n = self.size
        x = x.reshape(batch, height // n, n, width // n, n, channels)
        x = x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // n, width // n, n * n * channels)
        x = nn.Dense(
            self.features,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.he_normal(),
            name="merge",
        )(x)
        return nn.relu(BatchNorm(dtype=self.dtype, name="norm")(x, train))


class Block(nn.Module):
    """Basic block of ResNet: two 3x3 convolutions with batch norm, and the identity.

    He et al. 2016, arXiv:1512.03385, fig. 5 left.
    """

    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """`[B, h, w, C]` -> `[B, h, w, C]`."""
        y = x
        for i in range(2):
            y = nn.relu(y) if i else y
            y = _conv(x.shape[-1], self.dtype, f"conv_{i}")(y)
            y = BatchNorm(dtype=self.dtype, name=f"norm_{i}")(y, train)
        return nn.relu(x + y)


class Pyramid(nn.Module):
    """Residual stages, each at half the resolution of the one before, and a top-down path.

    The stages follow ResNet (arXiv:1512.03385), the path follows Feature Pyramid Networks
    (Lin et al. 2017, arXiv:1612.03144, fig. 3): nearest enlargement plus a 1x1 projection of the
    stage of that size, then a 3x3 convolution. Batch norm and ReLU follow each sum and convolution.

    Attributes:
      patch: side in pixels of the patches that the image is split into; the stride of the output.
      widths: channels of each stage.
      depths: residual blocks of each stage.
      path_width: channels of the top-down path and of the output.
      dtype: compute dtype; parameters and norm statistics stay float32.
    """

    patch: int = 8
    widths: tuple[int, ...] = (96, 192, 384)
    depths: tuple[int, ...] = (2, 2, 2)
    path_width: int = 64
    dtype: str = "float32"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """`[B, H, W, 3]` normalised RGB -> `[B, H / patch, W / patch, path_width]` in `dtype`."""
        stages = _stages(images, self.patch, self.widths, self.depths, self.dtype, train)
        x = stages[-1]
        for s in reversed(range(len(stages) - 1)):
            below = repeat(self._project(x, f"path_{s}_from_below"), 2)
            x = below + self._project(stages[s], f"path_{s}_from_stage")
            x = nn.relu(BatchNorm(dtype=self.dtype, name=f"path_{s}_sum_norm")(x, train))
            x = _conv(self.path_width, self.dtype, f"path_{s}_conv")(x)
            x = nn.relu(BatchNorm(dtype=self.dtype, name=f"path_{s}_norm")(x, train))
        return x

    def _project(self, x: jax.Array, name: str) -> jax.Array:
        return nn.Dense(
            self.path_width,
            use_bias=False,
            dtype=self.dtype,
            kernel_init=nn.initializers.he_normal(),
            name=name,
        )(x)


class Stages(nn.Module):
    """The stages of a `Pyramid` without its path: a trunk for a neck that takes several maps.

    Attributes:
      patch, widths, depths, dtype: as in `Pyramid`.
    """

    patch: int = 8
    widths: tuple[int, ...] = (64, 128, 256)
    depths: tuple[int, ...] = (1, 1, 1)
    dtype: str = "float32"

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, ...]:
        """`[B, H, W, 3]` normalised RGB -> a map for each stage, by increasing stride."""
        return tuple(_stages(images, self.patch, self.widths, self.depths, self.dtype, train))


def _stages(
    images: jax.Array,
    patch: int,
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    dtype: str,
    train: bool,
) -> list[jax.Array]:
    """Maps of all stages; call it in a compact method."""
    if len(widths) != len(depths) or len(widths) < 2:
        raise InputError(
            f"Pyramid widths {widths} and depths {depths} must have one entry for each stage, and "
            "there must be at least two stages."
        )
    stride = patch * 2 ** (len(widths) - 1)
    if images.ndim != 4 or images.shape[1] % stride or images.shape[2] % stride:
        raise InputError(
            f"Pyramid with patch {patch} and {len(widths)} stages needs images [B, H, W, 3] with H "
            f"and W multiples of {stride}, but got {list(images.shape)}."
        )
    x = images.astype(dtype)
    maps = []
    for s, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        x = Merge(width, 2 if s else patch, dtype, name=f"stage_{s}_merge")(x, train)
        for k in range(depth):
            x = Block(dtype, name=f"stage_{s}_block_{k}")(x, train)
        maps.append(x)
    return maps


def _conv(features: int, dtype: str, name: str) -> nn.Conv:
    return nn.Conv(
        features,
        (3, 3),
        use_bias=False,
        dtype=dtype,
        kernel_init=nn.initializers.he_normal(),
        name=name,
    )
