"""Conversion of whole images to model input: random in training, fixed in evaluation.

One affine map per image transforms its pixels, its people and its ignored regions.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.codecs.sample import Sample
from jaxpose.data.instances import IGNORE_STRIDE
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered
from jaxpose.tasks.topdown.augment import normalize

Batch = dict[str, Any]


@dataclass(frozen=True)
class ImageAugmentation:
    """Random variation of whole images; all distributions are uniform.

    Rotations of 30 degrees and factors of 0.75 to 1.5 are those of HigherHRNet (arXiv:1908.10357,
    section 4.1), whose factors are on the side of the crop, relative to an image's shorter side,
    and whose shifts are larger, 0.2.

    Attributes:
      flip: probability of mirroring left and right.
      rotation_degrees: largest rotation in either direction.
      scale: smallest and largest factor, relative to the scale at which the canvas fills the input.
      shift: largest shift along each axis in either direction, as a fraction of the input.
    """

    flip: float = 0.5
    rotation_degrees: float = 30.0
    scale: tuple[float, float] = (0.75, 1.5)
    shift: float = 0.08

    def __post_init__(self) -> None:
        if not 0 <= self.flip <= 1:
            raise InputError(f"augmentation.flip is {self.flip}, not in [0, 1].")
        if self.rotation_degrees < 0 or self.shift < 0:
            raise InputError("augmentation.rotation_degrees and shift must be at least 0.")
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(
                f"augmentation.scale is {self.scale}; it must be (lowest, highest), above 0."
            )


STILL = ImageAugmentation(flip=0.0, rotation_degrees=0.0, scale=(1.0, 1.0), shift=0.0)
"""Augmentation without any change: images as in evaluation."""


def augment(
    key: jax.Array,
    batch: Batch,
    *,
    augmentation: ImageAugmentation,
    input_hw: tuple[int, int],
    heatmap_hw: tuple[int, int],
    permutation: np.ndarray,
    udp: geometry.Udp = True,
    border: int = 0,
) -> tuple[jax.Array, Sample, jax.Array]:
    """Compute inputs of the model, and the labels in their pixels.

    Image i, at place i of the global batch, draws from `fold_in(key, i)`, so the result does not
    depend on the number of devices.

    Args:
      key: random key of this step; no effect with `STILL`.
      batch: arrays as in `data.instances`.
      augmentation, input_hw: static.
      heatmap_hw: static; size of the codec's maps.
      permutation: int `[K]`, which exchanges left and right keypoints.
      udp, border: static; convention of the codec's input (see `crop_matrix`), and value around the
        image.

    Returns:
      Images float32 `[B, h, w, 3]`, normalised; the labels, whose `counted` has the size of the
      heatmaps and is False in padding rows; the affine maps `[B, 2, 3]` from canvas to input.
    """
    image = batch["image"]
    matrix, flip = _matrices(key, image.shape, augmentation, input_hw, udp)
    keypoints = geometry.apply_affine(matrix[:, None], batch["keypoints"])
    visible = jnp.asarray(batch["visible"])
    swap = flip[:, None, None]
    keypoints = jnp.where(swap[..., None], reordered(keypoints, permutation, axis=2), keypoints)
    visible = jnp.where(swap, reordered(visible, permutation, axis=2), visible)
    warp = functools.partial(geometry.warp, upright=augmentation.rotation_degrees == 0)
    ignored = warp(
        batch["ignore"][..., None], _ignore_matrix(matrix, input_hw, heatmap_hw), heatmap_hw
    )[..., 0]
    rows = batch["mask"]
    sample = Sample(
        visible,
        keypoints,
        box_xywh=_boxes(matrix, batch["box_xywh"]),
        area=batch["area"] * area_scale(matrix) / area_scale(batch["photo_from_canvas"]),
        valid=batch["valid"] & rows[:, None],
        crowd=batch["crowd"],
        counted=(ignored < 128) & rows[:, None, None],
    )
    return normalize(warp(image, matrix, input_hw, border=float(border))), sample, matrix


def _matrices(
    key: jax.Array,
    image_shape: tuple[int, ...],
    augmentation: ImageAugmentation,
    input_hw: tuple[int, int],
    udp: geometry.Udp,
) -> tuple[jax.Array, jax.Array]:
    """Draw maps `[B, 2, 3]` from canvas to input pixels; `[B]` is True for those that mirror."""
    batch, height, width = image_shape[:3]
    a = augmentation

    def draw(i: jax.Array) -> jax.Array:
        return jax.random.uniform(jax.random.fold_in(key, i), (5,))

    number = jax.vmap(draw)(jnp.arange(batch))
    edge = 1 if udp else 0
    size = jnp.array([[width - edge, height - edge]], jnp.float32)
    center = size / 2
    size = geometry.fix_aspect_ratio(size, (input_hw[1] - edge) / (input_hw[0] - edge))
    low, high = a.scale
    size = size / (low + (high - low) * number[:, :1])
    center = center + a.shift * (2 * number[:, 1:3] - 1) * size
    degrees = a.rotation_degrees * (2 * number[:, 3] - 1)
    matrix = geometry.crop_matrix(center, size, input_hw, degrees, udp=udp)
    flip = number[:, 4] < a.flip
    mirror = jnp.array([[[-1.0, 0.0, input_hw[1] - 1.0], [0.0, 1.0, 0.0]]], jnp.float32)
    mirrored = geometry.compose_affine(jnp.broadcast_to(mirror, matrix.shape), matrix)
    return jnp.where(flip[:, None, None], mirrored, matrix), flip


def _ignore_matrix(
    matrix: jax.Array, input_hw: tuple[int, int], heatmap_hw: tuple[int, int]
) -> jax.Array:
    """Maps `[B, 2, 3]` from pixels of `ignore` to pixels of the heatmaps."""
    s, half = float(IGNORE_STRIDE), (IGNORE_STRIDE - 1) / 2
    canvas = jnp.array([[[s, 0.0, half], [0.0, s, half]]], jnp.float32)
    x = (heatmap_hw[1] - 1) / (input_hw[1] - 1)
    y = (heatmap_hw[0] - 1) / (input_hw[0] - 1)
    heatmap = jnp.array([[[x, 0.0, 0.0], [0.0, y, 0.0]]], jnp.float32)
    inner = geometry.compose_affine(matrix, jnp.broadcast_to(canvas, matrix.shape))
    return geometry.compose_affine(jnp.broadcast_to(heatmap, matrix.shape), inner)


def area_scale(matrix: jax.Array) -> jax.Array:
    """Factor `[B, 1]` by which maps `[B, 2, 3]` enlarge an area."""
    return jnp.abs(matrix[:, 0, 0] * matrix[:, 1, 1] - matrix[:, 0, 1] * matrix[:, 1, 0])[:, None]


def _boxes(matrix: jax.Array, boxes_xywh: jax.Array) -> jax.Array:
    """Boxes `[B, P, 4]` (x, y, w, h) around the transformed corners of boxes `[B, P, 4]`."""
    low, size = boxes_xywh[..., :2], boxes_xywh[..., 2:]
    steps = jnp.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])[None, None]
    corners = low[:, :, None] + steps * size[:, :, None]
    moved = geometry.apply_affine(matrix[:, None], corners)
    least = moved.min(axis=2)
    return jnp.concatenate([least, moved.max(axis=2) - least], axis=-1)
