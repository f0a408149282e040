"""A model without weights that finds white dots on black, for tests of everything around it.

The skeleton has two keypoints, `left_dot` and `right_dot`. The model takes what is white in the
right half of its input for the left one (people face the camera), as a trained model would take
its left knee: mirrored pictures come out mirrored, with the sides exchanged.
"""

from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.heatmap import Heatmap
from jaxpose.hub.load import Trained
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.estimator import TopDownEstimator

INPUT_HW = (64, 48)
SKELETON = Skeleton(
    "dots",
    keypoints=("left_dot", "right_dot"),
    pairs=(("left_dot", "right_dot"),),
    limbs=(("left_dot", "right_dot"),),
)


def codec(udp: bool = True) -> Heatmap:
    return Heatmap(INPUT_HW, (32, 24), sigma=1.5, udp=udp, refine="dark", blur_kernel=3)


class Dots(nn.Module):
    """Brightness at half the resolution; channel 0 sees the right half, channel 1 the left."""

    udp: bool = True

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        height, width = images.shape[1:3]
        light = jax.nn.relu(images.mean(-1, keepdims=True)) / 2.4
        light = nn.avg_pool(jnp.pad(light, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3))
        half = (height // 2, width // 2)
        less = 1 if self.udp else 0
        # Heatmap pixel i lies at input pixel i * stride; resizing samples there exactly.
        scale = np.float32(
            [(h - less) / (s - less) for h, s in zip(half, (height, width), strict=True)]
        )
        maps = jax.image.scale_and_translate(
            light,
            (len(images), *half, 1),
            (1, 2),
            scale,
            0.5 - 0.5 * scale,
            "linear",
            antialias=False,
        )
        right = (jnp.arange(half[1]) >= half[1] / 2).astype(jnp.float32)[None, None, :, None]
        return jnp.concatenate([maps * right, maps * (1 - right)], axis=-1)


def trained(udp: bool = True) -> Trained:
    """The model as `hub.load` returns one."""
    return Trained(Path("dots"), TopDownEstimator(Dots(), codec(udp), SKELETON), {}, None)


def draw_dots(hw: tuple[int, int], dots: list[tuple[float, float]], radius: float) -> np.ndarray:
    """A black uint8 photo `[H, W, 3]` with soft white dots at (x, y)."""
    rows, columns = np.mgrid[: hw[0], : hw[1]]
    light = np.zeros(hw)
    for x, y in dots:
        light = np.maximum(light, np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2)))
    return np.repeat((255 * light).round().astype(np.uint8)[..., None], 3, axis=-1)
