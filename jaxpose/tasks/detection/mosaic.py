"""Training images of a detector: canvases at random scale, alone or four together."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxpose import geometry
from jaxpose.errors import InputError

# Grey value outside the canvases, as in `detect.letterbox`.
_GREY = 114.0


@dataclass(frozen=True)
class Mosaic:
    """Random variation of a detector's training images; all distributions are uniform.

    The first half of a batch has one canvas per image. The other half has four canvases of random
    samples of the batch, two by two (YOLOv4, arXiv:2004.10934, section 3.3), each at half the size.

    Attributes:
      flip: probability of mirroring left and right.
      rotation_degrees: largest rotation in either direction.
      scale: smallest and largest factor, on a logarithmic scale, relative to the scale at which a
        canvas fits into its part of the image.
      shift: largest shift along each axis in either direction, as a fraction of the part.
      brightness: half-width of a factor around 1.
    """

    flip: float = 0.5
    rotation_degrees: float = 10.0
    scale: tuple[float, float] = (0.6, 2.0)
    shift: float = 0.2
    brightness: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise InputError(
                f"mosaic.scale is {self.scale}; it must be (lowest, highest), above 0."
            )
        for name in ("flip", "brightness"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"mosaic.{name} is {getattr(self, name)}, not in [0, 1].")


STILL = Mosaic(flip=0.0, rotation_degrees=0.0, scale=(1.0, 1.0), shift=0.0, brightness=0.0)
"""Images without random variation, except the choice of the samples of the second half."""


def compose(
    key: jax.Array, canvases: jax.Array, image_hw: tuple[int, int], mosaic: Mosaic
) -> jax.Array:
    """Compute training images float32 RGB `[B, h, w, 3]`, 0 to 255, of canvases `[B, H, W, 3]`.

    Args:
      key: random key of this step.
      canvases: uint8 RGB.
      image_hw: static; even height and width of the images.
      mosaic: static.
    """
    batch = canvases.shape[0]
    alone = batch - batch // 2
    single_key, choice_key, part_key = jax.random.split(key, 3)
    singles = _draw(single_key, canvases[:alone], image_hw, mosaic)
    if alone == batch:
        return singles
    chosen = jax.random.randint(choice_key, (4 * (batch - alone),), 0, batch)
    half = (image_hw[0] // 2, image_hw[1] // 2)
    parts = _draw(part_key, jnp.take(canvases, chosen, axis=0), half, mosaic)
    parts = parts.reshape(batch - alone, 2, 2, *half, 3).transpose(0, 1, 3, 2, 4, 5)
    return jnp.concatenate([singles, parts.reshape(batch - alone, *image_hw, 3)])


def _draw(
    key: jax.Array, canvases: jax.Array, image_hw: tuple[int, int], mosaic: Mosaic
) -> jax.Array:
    count, height, width = canvases.shape[:3]
    number = jax.random.uniform(key, (count, 6))
    low, high = mosaic.scale
    scale = low * (high / low) ** number[:, :1]
    fitted = geometry.fix_aspect_ratio(
        jnp.array([[width, height]], jnp.float32), image_hw[1] / image_hw[0]
    )
    size = fitted / scale
    center = jnp.array([[width / 2, height / 2]], jnp.float32)
    center = center + mosaic.shift * (2 * number[:, 1:3] - 1) * size
    degrees = mosaic.rotation_degrees * (2 * number[:, 3] - 1)
    matrix = geometry.crop_matrix(center, size, image_hw, degrees)
    images = geometry.warp(
        canvases, matrix, image_hw, upright=mosaic.rotation_degrees == 0, border=_GREY
    )
    gain = 1.0 + mosaic.brightness * (2 * number[:, 4] - 1)
    images = jnp.clip(images * gain[:, None, None, None], 0.0, 255.0)
    mirrored = (number[:, 5] < mosaic.flip)[:, None, None, None]
    return jnp.where(mirrored, images[:, :, ::-1], images)
