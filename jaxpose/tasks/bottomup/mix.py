"""Training images of one-stage models, made of several images: mosaic, mixup and colours.

As in YOLOX (arXiv:2107.08430, section 2.1), on the device, from the images of one batch.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.sample import Sample
from jaxpose.data.instances import IGNORE_STRIDE
from jaxpose.errors import InputError
from jaxpose.tasks.bottomup.augment import Batch, ImageAugmentation, area_scale, augment
from jaxpose.tasks.topdown.augment import IMAGENET_MEAN, IMAGENET_STD, Augmentation, draw, recolour


@dataclass(frozen=True)
class ImageMix:
    """Mixture of whole images; all distributions are uniform.

    No person is dropped: a mosaic has four times as many rows of people, mixup one time more.

    Attributes:
      mosaic: four images of the batch around a common corner (YOLOv4, arXiv:2004.10934, section
        3.3), before the random affine map. The corner is in the middle half of the mosaic.
      mixup: the mean with another image of the batch (arXiv:1710.09412).
      mixup_scale: smallest and largest scale of the other image.
      brightness, saturation: half-widths of factors around 1.
      hue_degrees: half-width of a rotation about the grey axis of RGB.
    """

    mosaic: bool = True
    mixup: bool = True
    mixup_scale: tuple[float, float] = (0.8, 1.6)
    brightness: float = 0.12
    saturation: float = 0.12
    hue_degrees: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.mixup_scale[0] <= self.mixup_scale[1]:
            raise InputError(
                f"mix.mixup_scale is {self.mixup_scale}; it must be (lowest, highest), above 0."
            )


def mixed(
    key: jax.Array, batch: Batch, *, mix: ImageMix, augmentation: ImageAugmentation, **settings: Any
) -> tuple[jax.Array, Sample]:
    """Compute training images `[B, h, w, 3]`, normalised, and their labels.

    Args:
      key: random key of this step.
      batch: arrays as in `data.instances`.
      mix, augmentation: static; a scale of 1 is the one at which a single canvas fills the input,
        in a mosaic, too.
      settings: the other arguments of `augment`.
    """
    keys = jax.random.split(key, 5)
    source, spread = batch, augmentation
    if mix.mosaic:
        source = mosaic(keys[0], batch)
        low, high = augmentation.scale
        spread = replace(augmentation, scale=(2 * low, 2 * high))
    images, sample, _ = augment(keys[1], source, augmentation=spread, **settings)
    if mix.mixup:
        other = replace(augmentation, scale=mix.mixup_scale, rotation_degrees=0.0)
        order = jax.random.permutation(keys[2], len(images))
        shuffled = {name: jnp.take(values, order, axis=0) for name, values in batch.items()}
        more, people, _ = augment(keys[3], shuffled, augmentation=other, **settings)
        images, sample = (images + more) / 2, _joined(sample, people)
    return _recoloured(keys[4], images, mix), sample


def mosaic(key: jax.Array, batch: Batch) -> Batch:
    """Join each image and three others of the batch around a common corner.

    The canvases have twice the height and width, and each sample has four times as many people.
    """
    count, height, width = batch["image"].shape[:3]
    other_key, row_key, column_key = jax.random.split(key, 3)
    others = jax.random.randint(other_key, (count, 3), 0, count)
    chosen = jnp.concatenate([jnp.arange(count)[:, None], others], axis=1)
    margins = [side // 2 // IGNORE_STRIDE * IGNORE_STRIDE for side in (height, width)]
    starts = jnp.stack(
        [
            IGNORE_STRIDE * jax.random.randint(k, (count,), 0, 2 * m // IGNORE_STRIDE + 1)
            for k, m in zip((row_key, column_key), margins, strict=True)
        ],
        axis=1,
    )  # rows and columns of the corner of the mosaic within the joined images and their margins
    image = _tiles(batch["image"], chosen, starts, margins, 114)
    scale = IGNORE_STRIDE
    ignore = _tiles(
        batch["ignore"][..., None], chosen, starts // scale, [m // scale for m in margins], 0
    )[..., 0]
    tile = jnp.array([[0, 0], [width, 0], [0, height], [width, height]], jnp.float32)
    margin = jnp.array(margins[::-1], jnp.float32)
    shift = tile[None] + margin[None, None] - starts[:, None, ::-1].astype(jnp.float32)

    def people(name: str) -> jax.Array:
        values = jnp.take(batch[name], chosen, axis=0)  # [B, 4, P, ...]
        return values.reshape(count, -1, *values.shape[3:])

    rows = batch["valid"].shape[1]
    moved = jnp.repeat(shift, rows, axis=1)  # [B, 4 P, 2]
    boxes = people("box_xywh")
    own_area = batch["area"] / area_scale(batch["photo_from_canvas"])
    known = batch["valid"] & batch["mask"][:, None]
    batch = {**batch, "area": own_area, "valid": known}
    identity = jnp.broadcast_to(jnp.eye(2, 3)[None], (count, 2, 3))
    return {
        **{name: people(name) for name in ("visible", "area", "valid", "crowd")},
        "keypoints": people("keypoints") + moved[:, :, None],
        "box_xywh": jnp.concatenate([boxes[..., :2] + moved, boxes[..., 2:]], axis=-1),
        "image": image,
        "ignore": ignore,
        "photo_from_canvas": identity,
        "mask": batch["mask"],
    }


def _tiles(
    maps: jax.Array, chosen: jax.Array, starts: jax.Array, margins: list[int], border: int
) -> jax.Array:
    """Join four maps `[B, 2h, 2w, C]` of maps `[B, h, w, C]`, shifted within their margins."""
    height, width, channels = maps.shape[1:]
    four = jnp.take(maps, chosen, axis=0)
    four = four.reshape(-1, 2, 2, height, width, channels).transpose(0, 1, 3, 2, 4, 5)
    four = four.reshape(-1, 2 * height, 2 * width, channels)
    four = jnp.pad(
        four,
        ((0, 0), (margins[0],) * 2, (margins[1],) * 2, (0, 0)),
        constant_values=border,
    )

    def cut(image: jax.Array, start: jax.Array) -> jax.Array:
        size = (2 * height, 2 * width, channels)
        return jax.lax.dynamic_slice(image, (start[0], start[1], 0), size)

    return jax.vmap(cut)(four, starts)


def _joined(a: Sample, b: Sample) -> Sample:
    """People of both samples, and the regions that count in both."""

    def both(name: str) -> jax.Array:
        return jnp.concatenate([getattr(a, name), getattr(b, name)], axis=1)

    names = ("visible", "keypoints", "box_xywh", "area", "valid", "crowd")
    return Sample(**{name: both(name) for name in names}, counted=a.counted & b.counted)


def _recoloured(key: jax.Array, images: jax.Array, mix: ImageMix) -> jax.Array:
    colours = Augmentation(
        brightness=mix.brightness, saturation=mix.saturation, hue_degrees=mix.hue_degrees
    )
    if not colours.changes_colour:
        return images
    keys = jax.random.split(key, len(images))
    variation = jax.vmap(lambda k: draw(k, colours))(keys)
    std, mean = (np.asarray(x)[None, None, None] for x in (IMAGENET_STD, IMAGENET_MEAN))
    return (recolour(images * std + mean, variation) - mean) / std
