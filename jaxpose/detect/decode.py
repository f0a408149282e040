"""Input and output conventions of each family of detectors: pixels in, boxes and scores out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.detect.letterbox import Letterbox, letterbox, stretch
from jaxpose.errors import InputError
from jaxpose.models.blaze import AnchoredHead
from jaxpose.models.detection import DetectionModel, RTMDetHead, YOLOXHead
from jaxpose.models.normalisation import IMAGENET_RGB
from jaxpose.models.picodet import PicoDetHead


@dataclass(frozen=True)
class Convention:
    """Input and output convention of a family of detectors.

    Attributes:
      mean, std: normalisation of images from 0 to 255, in the order of `order`.
      boxes: `(numbers [B, h, w, 4], corners [h, w, 2])` -> boxes (x1, y1, x2, y2), all in strides;
        `corners` are the upper left corners of the places.
      threshold: lowest score of a box that is reported, chosen on 60 COCO images so that the nano
        models find nine of ten people larger than 96 x 96 pixels.
      order: order of the channels.
      fit: `(image, input_hw)` -> the image on a canvas of the input's size.
      iou: overlap above which the better of two boxes is kept, of the published evaluation.
      strides: stride of each level: image pixels per place.
      geometric: the score is the square root of the product of the probabilities of class and
        objectness, instead of the product.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    boxes: Callable[[jax.Array, jax.Array], jax.Array]
    threshold: float
    order: Literal["BGR", "RGB"] = "BGR"
    fit: Callable[[np.ndarray, tuple[int, int]], Letterbox] = letterbox
    iou: float = 0.65
    strides: tuple[int, ...] = (8, 16, 32)
    geometric: bool = False

    def prepare(self, images: jax.Array) -> jax.Array:
        """Converts RGB uint8 `[B, H, W, 3]` to the model's input: float32, normalised."""
        shape = (1, 1, 1, 3)
        images = images[..., ::-1] if self.order == "BGR" else images
        centred = images.astype(jnp.float32) - jnp.array(self.mean).reshape(shape)
        return centred / jnp.array(self.std).reshape(shape)

    def decode(self, levels: Any, category: int) -> tuple[jax.Array, jax.Array]:
        """Boxes of all places, and the probability that each contains a `category`.

        Args:
          levels: a `Level` for each stride.
          category: index of the class.

        Returns:
          `[B, N, 4]` (x1, y1, x2, y2) in pixels of the image, and `[B, N]` in [0, 1]; the N places
          go level by level, row by row.
        """
        boxes, scores = [], []
        for level, stride in zip(levels, self.strides, strict=True):
            batch, height, width, _ = level.boxes.shape
            corners = jnp.stack(jnp.meshgrid(jnp.arange(width), jnp.arange(height)), axis=-1)
            corners = corners.astype(jnp.float32)[None]
            boxes.append((self.boxes(level.boxes, corners) * stride).reshape(batch, -1, 4))
            score = jax.nn.sigmoid(level.classes[..., category])
            if level.objectness is not None:
                score *= jax.nn.sigmoid(level.objectness[..., 0])
                score = jnp.sqrt(score) if self.geometric else score
            scores.append(score.reshape(batch, -1))
        return jnp.concatenate(boxes, axis=1), jnp.concatenate(scores, axis=1)


def _centres_and_sizes(numbers: jax.Array, corners: jax.Array) -> jax.Array:
    """Decodes YOLOX (arXiv:2107.08430, section 2.1): the centre's offset, logarithmic sizes."""
    centre, half = corners + numbers[..., :2], jnp.exp(numbers[..., 2:]) / 2
    return jnp.concatenate([centre - half, centre + half], axis=-1)


def _distances(numbers: jax.Array, corners: jax.Array) -> jax.Array:
    """Decodes RTMDet, after FCOS (arXiv:1904.01355, eq. 1): distances to the four sides."""
    return jnp.concatenate([corners - numbers[..., :2], corners + numbers[..., 2:]], axis=-1)


def _distances_from_centres(numbers: jax.Array, corners: jax.Array) -> jax.Array:
    """Decodes PicoDet: as RTMDet's, but distances begin at the places' centres."""
    return _distances(numbers, corners + 0.5)


@dataclass(frozen=True)
class AnchoredConvention(Convention):
    """Convention of detectors with anchors: RGB images, and boxes beside keypoints.

    `boxes` is not used: the host decodes the few places above the threshold (see `anchored`).
    """

    def decode(self, levels: Any, category: int) -> tuple[jax.Array, jax.Array]:
        """Outputs of all anchors `[B, N, 4 + 2K]`, and the probabilities `[B, N]` of an object."""
        return levels.boxes, jax.nn.sigmoid(jnp.clip(levels.logits[..., category], -100, 100))


YOLOX = Convention((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), _centres_and_sizes, 0.2)
RTMDET = Convention((103.53, 116.28, 123.675), (57.375, 57.12, 58.395), _distances, 0.3)
PICODET = Convention(
    (123.675, 116.28, 103.53),
    (58.395, 57.12, 57.375),
    _distances_from_centres,
    0.3,
    order="RGB",
    fit=stretch,
    iou=0.6,
    strides=(8, 16, 32, 64),
    geometric=True,
)


# The models convert ImageNet's normalisation to their own.
ANCHORED = AnchoredConvention(
    IMAGENET_RGB.mean, IMAGENET_RGB.std, _distances, 0.5, order="RGB", iou=0.3
)

_CONVENTIONS = (
    (YOLOXHead, YOLOX),
    (RTMDetHead, RTMDET),
    (PicoDetHead, PICODET),
    (AnchoredHead, ANCHORED),
)


def convention_of(model: DetectionModel) -> Convention:
    """Convention of the detector's head.

    Raises:
      InputError: the model is not a known detector.
    """
    head = getattr(model, "head", None)
    for kind, convention in _CONVENTIONS:
        if isinstance(head, kind):
            return convention
    raise InputError(
        f"{type(head or model).__name__} is not the head of a detector: build one with "
        "jaxpose.models.yolox, rtmdet or picodet"
    )
