"""Canvases to the model's input on the device: random for training, plain for evaluation.

Both are pure functions to be called inside a jitted step. All geometry of a sample is one affine
map (crop, scale, rotation, shift and flip composed), so each output pixel is interpolated once.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.errors import InputError

IMAGENET_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
IMAGENET_STD = np.array([58.395, 57.12, 57.375], np.float32)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

Batch = dict[str, Any]


@dataclass(frozen=True)
class Augmentation:
    """How training crops vary; the defaults are ViTPose's recipe (arXiv:2204.12484).

    Distributions follow MMPose 1.x (`RandomBBoxTransform`, `RandomHalfBody`). "Truncated" is the
    standard normal distribution cut off at the given bounds, not clipped to them: nothing piles up
    at the ends, where ViTPose's own code puts a third of its scales.

    Attributes:
      flip: probability of mirroring left and right.
      rotation_degrees: standard deviation of the rotation, truncated at two of them (MMPose 1.x
        has 80, truncated at one).
      rotation_probability: how often there is any rotation.
      scale: the box is resized by 1 + scale * (truncated at -1 and 1); must be less than 1.
      shift: the centre moves by shift * padded box size * (truncated at -1 and 1) on each axis.
      shift_probability: how often there is any shift.
      half_body: probability of a crop around the upper or the lower body alone, given to samples
        with at least `half_body_min_keypoints` labelled keypoints.
      half_body_min_keypoints: see `half_body`.
      half_body_upper: preference for the upper body where both halves have enough labelled
        keypoints: 2 in the upper, 3 in the lower one.
      half_body_padding: size of the half-body crop relative to the extent of its keypoints, in
        place of `padding`; its centre is their mean.
      brightness, contrast, saturation: half-width of a uniform factor about 1. Brightness scales
        the values, contrast their distance from the ImageNet mean, saturation their distance from
        their own grey. ViTPose changes no colours: 0.
      hue_degrees: half-width of a uniform rotation about the grey axis of RGB.
    """

    flip: float = 0.5
    rotation_degrees: float = 40.0
    rotation_probability: float = 0.6
    scale: float = 0.5
    shift: float = 0.16
    shift_probability: float = 0.3
    half_body: float = 0.3
    half_body_min_keypoints: int = 9
    half_body_upper: float = 0.7
    half_body_padding: float = 1.5
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue_degrees: float = 0.0

    def __post_init__(self) -> None:
        probabilities = (
            "flip",
            "rotation_probability",
            "shift_probability",
            "half_body",
            "half_body_upper",
        )
        for name in probabilities:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"augmentation.{name} is {getattr(self, name)}, not in [0, 1].")
        for name in ("scale", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"augmentation.{name} is {getattr(self, name)}, not in [0, 1).")
        for name in ("rotation_degrees", "shift", "hue_degrees"):
            if getattr(self, name) < 0:
                raise InputError(f"augmentation.{name} is {getattr(self, name)}; not below 0.")

    @property
    def changes_colour(self) -> bool:
        """Whether any colour parameter is in use."""
        return any((self.brightness, self.contrast, self.saturation, self.hue_degrees))


STILL = Augmentation(
    flip=0.0,
    rotation_degrees=0.0,
    rotation_probability=0.0,
    scale=0.0,
    shift_probability=0.0,
    half_body=0.0,
)
"""No change at all: crops as in evaluation."""


class Variation(NamedTuple):
    """What one sample draws; with a leading axis `[B]` for a batch.

    `shift [2]` is in padded box sizes, `rotation` in degrees, `scale`, `brightness`, `contrast`
    and `saturation` are factors, `hue` is in degrees; `half_body` says that the sample goes to a
    half if it has the keypoints, `upper` which half it prefers.
    """

    flip: jax.Array
    rotation: jax.Array
    scale: jax.Array
    shift: jax.Array
    half_body: jax.Array
    upper: jax.Array
    brightness: jax.Array
    contrast: jax.Array
    saturation: jax.Array
    hue: jax.Array


def draw(key: jax.Array, augmentation: Augmentation) -> Variation:
    """The random numbers of one sample."""
    chance_key, narrow_key, wide_key, colour_key = jax.random.split(key, 4)
    chance = jax.random.uniform(chance_key, (5,))
    narrow = jax.random.truncated_normal(narrow_key, -1.0, 1.0, (3,))
    wide = jax.random.truncated_normal(wide_key, -2.0, 2.0)
    colour = jax.random.uniform(colour_key, (4,), minval=-1.0, maxval=1.0)
    a = augmentation
    return Variation(
        flip=chance[0] < a.flip,
        rotation=jnp.where(chance[1] < a.rotation_probability, a.rotation_degrees * wide, 0.0),
        scale=1.0 + a.scale * narrow[0],
        shift=jnp.where(chance[2] < a.shift_probability, a.shift * narrow[1:], 0.0),
        half_body=chance[3] < a.half_body,
        upper=chance[4] < a.half_body_upper,
        brightness=1.0 + a.brightness * colour[0],
        contrast=1.0 + a.contrast * colour[1],
        saturation=1.0 + a.saturation * colour[2],
        hue=a.hue_degrees * colour[3],
    )


def normalize(images: jax.Array) -> jax.Array:
    """RGB images `[..., 3]` on 0 to 255 to float32 with ImageNet's mean 0 and deviation 1."""
    shape = (1,) * (images.ndim - 1) + (3,)
    centred = images.astype(jnp.float32) - IMAGENET_MEAN.reshape(shape)
    return centred * (1.0 / IMAGENET_STD).reshape(shape)


def augment(
    key: jax.Array,
    batch: Batch,
    *,
    augmentation: Augmentation,
    input_hw: tuple[int, int],
    udp: bool,
    permutation: np.ndarray,
    upper_body: np.ndarray,
    padding: float = 1.25,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Random crops of a batch of canvases.

    Sample i draws from `fold_in(key, i)`, i being its place in the global batch: how the batch is
    spread over devices does not change it. A keypoint that leaves the crop keeps its coordinates
    (codecs give it no weight). Samples with `mask` False come out finite, with nothing visible.

    Args:
      key: of this step.
      batch: `image [B, Hc, Wc, 3]` uint8 canvases; `keypoints [B, K, 2]` and `box_xywh [B, 4]`
        (the person, not padded) in canvas pixels; `visible [B, K]`; `mask [B]`, all True if absent.
      augmentation: static.
      input_hw: static; size of the model's input.
      udp: static; crop convention of the codec.
      permutation: int `[K]`, left and right keypoints exchanged.
      upper_body: bool `[K]`, which keypoints make the upper half.
      padding: context around the box.

    Returns:
      images float32 `[B, h, w, 3]` normalised; keypoints float32 `[B, K, 2]` in pixels of them;
      visible `[B, K]` of the type it came in.
    """
    image, keypoints, visible = batch["image"], batch["keypoints"], _visible(batch)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(image.shape[0]))
    variation = jax.vmap(draw, in_axes=(0, None))(keys, augmentation)

    center, size = geometry.box_to_center_scale(batch["box_xywh"], padding)
    center, size = _half_body(
        variation, keypoints, visible, center, size, np.asarray(upper_body, bool), augmentation
    )
    center = center + variation.shift * size
    size = size * variation.scale[:, None]
    matrix = _crop(center, size, input_hw, variation.rotation, udp)
    matrix = jnp.where(variation.flip[:, None, None], _mirror(matrix, input_hw[1]), matrix)

    images = geometry.warp(image, matrix, input_hw)
    if augmentation.changes_colour:
        images = _recolour(images, variation)
    keypoints = geometry.apply_affine(matrix, keypoints)
    flip = variation.flip[:, None]
    keypoints = jnp.where(flip[:, :, None], jnp.take(keypoints, permutation, axis=1), keypoints)
    visible = jnp.where(flip, jnp.take(visible, permutation, axis=1), visible)
    return normalize(images), keypoints, visible


def center_crop(
    batch: Batch, *, input_hw: tuple[int, int], udp: bool, padding: float = 1.25
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """The crops that evaluation and prediction use: the padded box, upright.

    Args: as for `augment`.

    Returns:
      images float32 `[B, h, w, 3]` normalised; keypoints `[B, K, 2]` in pixels of them; visible
      `[B, K]`; and the map `[B, 2, 3]` from canvas to input pixels.
    """
    center, size = geometry.box_to_center_scale(batch["box_xywh"], padding)
    matrix = _crop(center, size, input_hw, jnp.zeros(len(center)), udp)
    images = normalize(geometry.warp(batch["image"], matrix, input_hw))
    return images, geometry.apply_affine(matrix, batch["keypoints"]), _visible(batch), matrix


def _visible(batch: Batch) -> jax.Array:
    visible = jnp.asarray(batch["visible"])
    if "mask" not in batch:
        return visible
    return jnp.where(batch["mask"][:, None], visible, jnp.zeros_like(visible))


def _crop(
    center: jax.Array, size: jax.Array, input_hw: tuple[int, int], rotation: jax.Array, udp: bool
) -> jax.Array:
    # At least one pixel: the box of a padding sample is empty, and so may a half body's be.
    size = jnp.maximum(geometry.fix_aspect_ratio(size, input_hw[1] / input_hw[0]), 1.0)
    return geometry.crop_matrix(center, size, input_hw, rotation, udp)


def _mirror(matrix: jax.Array, width: int) -> jax.Array:
    """The maps `[B, 2, 3]` followed by column x to column width - 1 - x."""
    flip = jnp.asarray([[[-1.0, 0.0, width - 1.0], [0.0, 1.0, 0.0]]], jnp.float32)
    return geometry.compose_affine(jnp.broadcast_to(flip, matrix.shape), matrix)


def _half_body(
    variation: Variation,
    keypoints: jax.Array,
    visible: jax.Array,
    center: jax.Array,
    size: jax.Array,
    upper_body: np.ndarray,
    augmentation: Augmentation,
) -> tuple[jax.Array, jax.Array]:
    """Centre and padded size `[B, 2]`, of a half body where the sample drew one and has it."""
    labelled = visible > 0
    upper, lower = labelled & upper_body[None, :], labelled & ~upper_body[None, :]
    upper_enough = jnp.sum(upper, axis=1) >= 2
    lower_enough = jnp.sum(lower, axis=1) >= 3
    take_upper = upper_enough & (variation.upper | ~lower_enough)
    chosen = jnp.where(take_upper[:, None], upper, lower)[:, :, None]
    low = jnp.min(jnp.where(chosen, keypoints, jnp.inf), axis=1)
    high = jnp.max(jnp.where(chosen, keypoints, -jnp.inf), axis=1)
    count = jnp.maximum(jnp.sum(chosen, axis=1), 1)
    mean = jnp.sum(jnp.where(chosen, keypoints, 0.0), axis=1) / count
    use = (
        variation.half_body
        & (jnp.sum(labelled, axis=1) >= augmentation.half_body_min_keypoints)
        & (upper_enough | lower_enough)
    )[:, None]
    half_size = (high - low) * augmentation.half_body_padding
    return jnp.where(use, mean, center), jnp.where(use, half_size, size)


def _recolour(images: jax.Array, variation: Variation) -> jax.Array:
    """Images `[B, h, w, 3]` on 0 to 255 under one affine map of RGB per sample, clipped."""
    grey = jnp.asarray(np.stack([LUMA, LUMA, LUMA]))[None]
    identity = jnp.eye(3)[None]
    saturation = variation.saturation[:, None, None]
    saturate = grey + saturation * (identity - grey)

    # Rodrigues' rotation about the unit vector (1, 1, 1) / sqrt(3).
    angle = jnp.deg2rad(variation.hue)[:, None, None]
    cross = jnp.asarray([[[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]]) / np.sqrt(3.0)
    rotate = jnp.cos(angle) * identity + jnp.sin(angle) * cross + (1 - jnp.cos(angle)) / 3.0

    gain = (variation.brightness * variation.contrast)[:, None, None]
    matrix = gain * jnp.sum(rotate[:, :, :, None] * saturate[:, None, :, :], axis=2)
    offset = (1.0 - variation.contrast)[:, None] * IMAGENET_MEAN[None, :]
    result = offset[:, None, None, :]
    for channel in range(3):
        column = matrix[:, None, None, :, channel]
        result = result + images[..., channel, None] * column
    return jnp.clip(result, 0.0, 255.0)
