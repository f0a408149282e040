"""Normalisation of images, and the change from one to another inside a model."""

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, on 0 to 255, and the order of the channels."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    order: Literal["RGB", "BGR"] = "RGB"


# ImageNet's figures (torchvision), times 255.
IMAGENET_RGB = Normalisation((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
IMAGENET_BGR = Normalisation((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), "BGR")
PIXELS_BGR = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "BGR")
# 0 to 255 becomes 0 to 1.
UNIT_RGB = Normalisation((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))
# As OpenPose divides pixels: 0 to 255 becomes -0.5 to almost 0.5.
HALF_RGB = Normalisation((128.0, 128.0, 128.0), (256.0, 256.0, 256.0))
HALF_BGR = Normalisation((128.0, 128.0, 128.0), (256.0, 256.0, 256.0), "BGR")
PIXELS_RGB = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
# 0 to 255 becomes -1 to 1.
SIGNED_RGB = Normalisation((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))


def renormalise(images: jax.Array, wanted: Normalisation) -> jax.Array:
    """Change RGB images `[B, H, W, 3]` from ImageNet's normalisation to another one.

    Every model here takes images with ImageNet's normalisation, so that data, training and export
    are the same for all of them. A model whose weights were trained with another one calls this
    first. Folding it into the first convolution is no substitute: its padding is 0 after the
    published normalisation.
    """
    given = IMAGENET_RGB
    images = images.astype(jnp.float32)
    if wanted.order == "BGR":
        given, images = IMAGENET_BGR, images[..., ::-1]
    gain = np.array(given.std) / np.array(wanted.std)
    shift = (np.array(given.mean) - np.array(wanted.mean)) / np.array(wanted.std)
    return (
        images * gain.astype(np.float32)[None, None, None]
        + shift.astype(np.float32)[None, None, None]
    )
