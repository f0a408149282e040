"""Bilinear resampling of images by affine maps, in the form that suits each platform.

On CPUs and GPUs each output pixel gathers its four neighbours. A TPU reads single pixels one after
another, so there the same weighted sums are matrix products.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

from jaxpose.geometry.planar import invert_affine

_LARGEST_ON_TPU = 4 * 2**20
"""Bytes of an image above which a TPU gathers too: the kernel keeps two images in fast memory."""

_split: ContextVar[NamedSharding | None] = ContextVar("_split", default=None)


@contextmanager
def split_images(sharding: NamedSharding) -> Iterator[None]:
    """Let `warp` keep each image on its device where images `[B, ...]` have this sharding.

    To be entered while a program for several devices is traced. XLA cannot divide the TPU kernel
    of `warp`; with this, each device runs it on its part of the batch.
    """
    token = _split.set(sharding)
    try:
        yield
    finally:
        _split.reset(token)


def warp(
    images: jax.Array,
    matrices: jax.Array,
    output_hw: tuple[int, int],
    *,
    upright: bool = False,
    border: float = 0.0,
) -> jax.Array:
    """Resamples images by affine maps: bilinear, `border` outside the source (jit-able).

    A source pixel outside the image counts as `border` in the interpolation, so an edge fades over
    one pixel as in `cv2.warpAffine` with a constant border.

    On a TPU, maps that are not `upright` round the source's rows to 1/256 of a pixel, and values
    that are not whole numbers from -256 to 256 (after `border` is subtracted) to 16 bits.

    Args:
      images: `[B, H, W, C]`, uint8 or floating.
      matrices: `[B, 2, 3]`, source pixels to output pixels; must be invertible.
      output_hw: height and width of the output.
      upright: static; True if all maps only scale, mirror and shift, so that columns stay columns.
      border: static; a whole number for uint8 images.

    Returns:
      float32 `[B, h, w, C]` on the scale of the input (0 to 255 for uint8).
    """
    return _warp(images, matrices, output_hw, upright, border, _split.get())


@partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _warp(
    images: jax.Array,
    matrices: jax.Array,
    output_hw: tuple[int, int],
    upright: bool,
    border: float,
    split: NamedSharding | None,
) -> jax.Array:
    inverse = invert_affine(matrices)
    gather = partial(_gather, output_hw=output_hw, border=border)
    if upright:
        on_tpu = partial(_two_products, output_hw=output_hw, border=border)
    elif math.prod(images.shape[1:]) * images.dtype.itemsize <= _LARGEST_ON_TPU:
        on_tpu = partial(_kernel, output_hw=output_hw, border=border, split=split)
    else:
        on_tpu = gather
    warped: jax.Array = jax.lax.platform_dependent(images, inverse, tpu=on_tpu, default=gather)
    return warped


def _gather(
    images: jax.Array, inverse: jax.Array, output_hw: tuple[int, int], border: float
) -> jax.Array:
    """Sum of the four neighbours of each pixel, by their weights."""
    batch, source_h, source_w, channels = images.shape
    height, width = output_hw
    inverse = inverse[:, :, :, None, None]
    column = jnp.arange(width, dtype=jnp.float32)[None, None, :]
    row = jnp.arange(height, dtype=jnp.float32)[None, :, None]
    x, y = (inverse[:, i, 0] * column + inverse[:, i, 1] * row + inverse[:, i, 2] for i in (0, 1))
    left, weights_x = _neighbours(x, source_w)
    top, weights_y = _neighbours(y, source_h)

    flat = images.reshape(batch, source_h * source_w, channels)
    output = jnp.zeros((batch, height, width, channels), jnp.float32)
    for step_y in (0, 1):
        for step_x in (0, 1):
            x = jnp.clip(left + step_x, 0, source_w - 1)
            y = jnp.clip(top + step_y, 0, source_h - 1)
            index = (y * source_w + x).reshape(batch, height * width, 1)
            pixels = jnp.take_along_axis(flat, index, axis=1, mode="promise_in_bounds")
            pixels = pixels.astype(jnp.float32) - border
            weight = weights_x[step_x] * weights_y[step_y]
            output += weight[..., None] * pixels.reshape(output.shape)
    return output + border


def sampled(maps: jax.Array, place: jax.Array) -> jax.Array:
    """Values `[B, N, C]` at places between the pixels of maps `[B, h, w, C]`: bilinear, float32.

    By two products, which have no gathers and no scatters in their gradients.

    Args:
      maps: floats.
      place: `[B, N, 2]` x and y in pixels; those outside count as the nearest edge.
    """
    across, down = (
        _hat(jnp.clip(place[..., axis], 0, size - 1), size)
        for axis, size in ((0, maps.shape[2]), (1, maps.shape[1]))
    )
    product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    lines = product("bny,byxc->bnxc", down, maps.astype(jnp.float32))
    return product("bnx,bnxc->bnc", across, lines)


def _two_products(
    images: jax.Array, inverse: jax.Array, output_hw: tuple[int, int], border: float
) -> jax.Array:
    """One matrix for the rows of each image, and one for its columns."""
    rows = _weights(inverse[:, 1, 1], inverse[:, 1, 2], output_hw[0], images.shape[1])
    columns = _weights(inverse[:, 0, 0], inverse[:, 0, 2], output_hw[1], images.shape[2])
    product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    lines = product("byr,brsc->bysc", rows, images.astype(jnp.float32) - border)
    return product("bxs,bysc->byxc", columns, lines) + border


def _weights(scale: jax.Array, shift: jax.Array, count: int, size: int) -> jax.Array:
    """Weight of each of `size` source pixels in each of `count` output pixels, `[B, count, size]`.

    Output pixel i is at `scale i + shift` in the source, with `[B]` of both.
    """
    return _hat(scale[:, None] * jnp.arange(count, dtype=jnp.float32)[None] + shift[:, None], size)


def _hat(position: jax.Array, size: int) -> jax.Array:
    """Weight of each of `size` pixels `[B, N, size]` at positions `[B, N]` between them."""
    source = jnp.arange(size, dtype=jnp.float32)[None, None]
    return jnp.maximum(1.0 - jnp.abs(position[:, :, None] - source), 0.0)


def _kernel(
    images: jax.Array,
    inverse: jax.Array,
    output_hw: tuple[int, int],
    border: float,
    split: NamedSharding | None,
) -> jax.Array:
    """The TPU kernel on the device's own images; see `split_images`."""
    # Imported here because importing Pallas takes half a second.
    from jaxpose.geometry.tpu_resampling import warp_by_blocks

    run = partial(warp_by_blocks, output_hw=output_hw, border=border)
    if split is None or split.num_devices == 1:
        return run(images, inverse)
    count, spec = len(images), PartitionSpec(split.spec[0])
    axes = split.spec[0] if isinstance(split.spec[0], tuple) else (split.spec[0],)
    extra = -count % math.prod(split.mesh.shape[axis] for axis in axes)
    if extra:
        images, inverse = (
            jnp.pad(x, [(0, extra)] + [(0, 0)] * (x.ndim - 1), mode="edge")
            for x in (images, inverse)
        )
    each = jax.shard_map(
        run, mesh=split.mesh, in_specs=(spec, spec), out_specs=spec, check_vma=False
    )
    return each(images, inverse)[:count]


def _neighbours(position: jax.Array, size: int) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Pixel at or before each position along an axis, and the weights of it and the next.

    Weights of pixels outside `0 .. size - 1` are zero.
    """
    # Clipping first keeps far-away positions inside the range of int32 and does not change any
    # position that has a neighbour in the image.
    position = jnp.clip(position, -1.0, float(size))
    first = jnp.floor(position)
    fraction = position - first
    index = first.astype(jnp.int32)
    inside_first = (index >= 0) & (index < size)
    inside_next = (index >= -1) & (index < size - 1)
    return index, (
        jnp.where(inside_first, 1.0 - fraction, 0.0),
        jnp.where(inside_next, fraction, 0.0),
    )
