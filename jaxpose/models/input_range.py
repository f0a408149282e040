"""Conversion from the normalisation of this library's images to the range of other weights."""

import jax
import jax.numpy as jnp
import numpy as np

# ImageNet's figures (torchvision), on 0 to 1.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)


def to_range(images: jax.Array, low: float, high: float) -> jax.Array:
    """Images normalised by ImageNet's figures -> black is `low`, white is `high`; float32.

    Models of this library take RGB images `[B, H, W, 3]` with ImageNet's normalisation, whatever
    their weights were trained with, so that data, training, prediction and export are the same for
    all. Weights for another range need it inside of the model: where a convolution pads with zeros,
    the change of range cannot be folded into its kernel.
    """
    shares = images.astype(jnp.float32) * _STD[None, None, None] + _MEAN[None, None, None]
    return low + (high - low) * shares
