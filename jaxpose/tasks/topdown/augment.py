"""Conversion of canvases to model input on the device: random in training, fixed in evaluation.

Both are pure functions to be called inside a jitted step. Crop, scale, rotation, shift and flip of
a sample are composed to one affine map, so each output pixel is interpolated once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered

IMAGENET_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
IMAGENET_STD = np.array([58.395, 57.12, 57.375], np.float32)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

Batch = dict[str, Any]


@dataclass(frozen=True)
class Augmentation:
    """Random variation of training crops; the defaults are ViTPose's recipe (arXiv:2204.12484).

    Distributions follow MMPose 1.x (`RandomBBoxTransform`, `RandomHalfBody`). "Truncated" is the
    standard normal distribution cut off at the given bounds, not clipped to them. ViTPose's code
    clips, which gives a third of its scales the values of the bounds.

    Attributes:
      flip: probability of mirroring left and right.
      rotation_degrees: standard deviation of the rotation, truncated at two standard deviations
        (MMPose 1.x has 80, truncated at one).
      rotation_probability: probability that there is a rotation.
      scale: the box is resized by 1 + scale * (truncated at -1 and 1); must be less than 1.
      shift: the centre moves by shift * padded box size * (truncated at -1 and 1) on each axis.
      shift_probability: probability that there is a shift.
      half_body: probability of a crop around only the upper or only the lower body, for samples
        with at least `half_body_min_keypoints` labelled keypoints.
      half_body_min_keypoints: see `half_body`.
      half_body_upper: probability of the upper body if both halves have enough labelled
        keypoints: 2 in the upper, 3 in the lower half.
      half_body_padding: size of the half-body crop relative to the extent of its keypoints, in
        place of `padding`; the centre of the crop is the mean of the keypoints.
      brightness: half-width of a uniform factor about 1 on the values. ViTPose changes no colours.
      contrast: the same for a factor on the distance of the values from the ImageNet mean.
      saturation: the same for a factor on their distance from the grey of the same pixel.
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
    def rotates(self) -> bool:
        """True if any crop may be rotated."""
        return self.rotation_degrees > 0 and self.rotation_probability > 0

    @property
    def changes_colour(self) -> bool:
        """True if any colour parameter is above 0."""
        return any((self.brightness, self.contrast, self.saturation, self.hue_degrees))


STILL = Augmentation(
    flip=0.0,
    rotation_degrees=0.0,
    rotation_probability=0.0,
    scale=0.0,
    shift_probability=0.0,
    half_body=0.0,
)
"""Augmentation without any change: crops as in evaluation."""


class Variation(NamedTuple):
    """Random numbers of one sample; with a leading axis `[B]` for a batch.

    `shift [2]` is in padded box sizes, `rotation` and `hue` are in degrees, `scale`, `brightness`,
    `contrast` and `saturation` are factors. With `half_body`, the crop is around half of the body
    if the sample has enough keypoints; with `upper`, the upper half is preferred.
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
    """Draw the random numbers of one sample."""
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
    """Normalise RGB images `[..., 3]` from 0..255 to float32, by ImageNet's mean and deviation."""
    shape = (1,) * (images.ndim - 1) + (3,)
    centred = images.astype(jnp.float32) - IMAGENET_MEAN.reshape(shape)
    return centred * (1.0 / IMAGENET_STD).reshape(shape)


class Augmented(NamedTuple):
    """Random crops, see `augmented`.

    Attributes:
      images: float32 `[B, h, w, 3]` normalised.
      keypoints: float32 `[B, K, 2]` in their pixels.
      visible: `[B, K]` of the type in the batch.
      variation: random numbers that made them.
      matrix: `[B, 2, 3]` from pixels of the canvas to theirs.
    """

    images: jax.Array
    keypoints: jax.Array
    visible: jax.Array
    variation: Variation
    matrix: jax.Array


def augment(
    key: jax.Array, batch: Batch, **settings: Any
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Images, keypoints and visible of `augmented`."""
    made = augmented(key, batch, **settings)
    return made.images, made.keypoints, made.visible


def augmented(
    key: jax.Array,
    batch: Batch,
    *,
    augmentation: Augmentation,
    input_hw: tuple[int, int],
    udp: geometry.Udp,
    permutation: np.ndarray,
    upper_body: np.ndarray,
    padding: float = 1.25,
) -> Augmented:
    """Cut random crops out of a batch of canvases.

    Sample i, at place i of the global batch, draws from `fold_in(key, i)`, so the result does not
    depend on the number of devices. A keypoint outside the crop keeps its coordinates (codecs give
    it no weight). Samples with `mask` False are finite and have no visible keypoints.

    Args:
      key: random key of this step.
      batch: `image [B, Hc, Wc, 3]` uint8 canvases; `keypoints [B, K, 2]` and `box_xywh [B, 4]`
        (the person, not padded) in canvas pixels; `visible [B, K]`; `mask [B]`, all True if absent.
      augmentation: static.
      input_hw: static; size of the model's input.
      udp: static; crop convention of the codec.
      permutation: int `[K]`, which exchanges left and right keypoints.
      upper_body: bool `[K]`, True for the keypoints of the upper half.
      padding: factor by which the box is enlarged.

    """
    image, keypoints, visible = batch["image"], batch["keypoints"], _visible(batch)
    variation = _variations(key, image.shape[0], augmentation)

    center, size = geometry.box_to_center_scale(batch["box_xywh"], padding)
    center, size = _half_body(
        variation, keypoints, visible, center, size, np.asarray(upper_body, bool), augmentation
    )
    center = center + variation.shift * size
    size = size * variation.scale[:, None]
    matrix = _crop(center, size, input_hw, variation.rotation, udp)
    matrix = jnp.where(variation.flip[:, None, None], _mirror(matrix, input_hw[1]), matrix)

    images = geometry.warp(image, matrix, input_hw, upright=not augmentation.rotates)
    if augmentation.changes_colour:
        images = recolour(images, variation)
    keypoints = geometry.apply_affine(matrix, keypoints)
    flip = variation.flip[:, None]
    keypoints = jnp.where(flip[:, :, None], reordered(keypoints, permutation, axis=1), keypoints)
    visible = jnp.where(flip, reordered(visible, permutation, axis=1), visible)
    return Augmented(normalize(images), keypoints, visible, variation, matrix)


def augment_depth(
    key: jax.Array, points: jax.Array, augmentation: Augmentation, permutation: np.ndarray
) -> jax.Array:
    """Depths `[B, K]` in the order of the keypoints that `augment` returns for the same key.

    Turning and scaling the crop leave the depth along the camera's axis as it is.

    `points`: `[B, K, 3]` millimetres in the camera's frame.
    """
    flip = _variations(key, points.shape[0], augmentation).flip[:, None]
    depth = points[..., 2]
    return jnp.where(flip, reordered(depth, permutation, axis=1), depth)


def augment_frames(key: jax.Array, batch: Batch, **settings: Any) -> jax.Array:
    """Frames beside the labelled one, cut, turned, mirrored and coloured as `augment` does that.

    `batch`: as of `augmented`, with `frames [B, F, Hc, Wc, 3]` uint8. Returns `[B, F, h, w, 3]`.
    """
    return _on_each_frame(batch, lambda one: augment(key, one, **settings)[0])


def crop_frames(batch: Batch, **settings: Any) -> jax.Array:
    """Frames beside the labelled one, cut as `center_crop` does; `[B, F, h, w, 3]`."""
    return _on_each_frame(batch, lambda one: center_crop(one, **settings)[0])


def _on_each_frame(batch: Batch, cut: Callable[[Batch], jax.Array]) -> jax.Array:
    frames = batch["frames"]
    # Every frame is cut with the same keypoints and key, hence by the same map.
    made = [cut({**batch, "image": frames[:, i]}) for i in range(frames.shape[1])]
    return jnp.stack(made, axis=1)


def _variations(key: jax.Array, number: int, augmentation: Augmentation) -> Variation:
    """Random numbers of a batch; sample i depends on the key and on i alone."""
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(number))
    drawn: Variation = jax.vmap(draw, in_axes=(0, None))(keys, augmentation)
    return drawn


def center_crop(
    batch: Batch, *, input_hw: tuple[int, int], udp: geometry.Udp, padding: float = 1.25
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Cut the crops of evaluation and prediction: the padded box without rotation.

    Arguments are those of `augment`.

    Returns:
      images float32 `[B, h, w, 3]` normalised; keypoints `[B, K, 2]` in their pixels; visible
      `[B, K]`; and the map `[B, 2, 3]` from canvas to input pixels.
    """
    center, size = geometry.box_to_center_scale(batch["box_xywh"], padding)
    matrix = _crop(center, size, input_hw, jnp.zeros(len(center)), udp)
    images = normalize(geometry.warp(batch["image"], matrix, input_hw, upright=True))
    return images, geometry.apply_affine(matrix, batch["keypoints"]), _visible(batch), matrix


def _visible(batch: Batch) -> jax.Array:
    visible = jnp.asarray(batch["visible"])
    if "mask" not in batch:
        return visible
    return jnp.where(batch["mask"][:, None], visible, jnp.zeros_like(visible))


def _crop(
    center: jax.Array,
    size: jax.Array,
    input_hw: tuple[int, int],
    rotation: jax.Array,
    udp: geometry.Udp,
) -> jax.Array:
    # At least one pixel: the box of a padding sample is empty, that of a half body may be.
    size = jnp.maximum(geometry.fix_aspect_ratio(size, input_hw[1] / input_hw[0]), 1.0)
    return geometry.crop_matrix(center, size, input_hw, rotation, udp)


def _mirror(matrix: jax.Array, width: int) -> jax.Array:
    """Compose maps `[B, 2, 3]` with a mirroring from column x to column width - 1 - x."""
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
    """Centre and padded size `[B, 2]`; of half the body if the sample drew it and has it."""
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


def recolour(images: jax.Array, variation: Variation) -> jax.Array:
    """Apply one affine map of RGB per sample to images `[B, h, w, 3]`; clips to 0..255."""
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
