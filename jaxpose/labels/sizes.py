"""Sizes of a training recipe from the labels: input, boxes, batch and number of steps."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.labels.labels import LabelledImage, Labels
from jaxpose.labels.records import LEAST_SIDE, size_of

MULTIPLE = 32
"""Divisor of the sides of an input."""

LEAST_PART = 0.1
"""Part of the image's longer side from which on a lone animal is found in the whole image."""

_SHORTEST, _LONGEST = 96, 320
# Pixels of an animal's longer side in the input, which heatmaps of a quarter resolve, and the
# fewest that an input above the longest still has to give.
_ANIMAL, _SMALL_ANIMAL = 128, 80
# The same for a model that finds several animals, whose vectors resolve less than a cell of a map,
# and the longest input of it: the whole image costs more than a crop.
_FOUND_ANIMAL, _LONGEST_FOUND = 48, 512
# Length of the mean direction of animals, from 0 to 1, below which they lie in all directions.
_ALL_DIRECTIONS = 0.5
_FEWEST_DIRECTIONS = 8
_BYTES_PER_PIXEL = 4_000
"""Bytes of a training step for each pixel of input, of a small network in float32."""


@dataclass(frozen=True)
class Sizes:
    """Sizes of a recipe.

    Attributes:
      input_hw: height and width of the input.
      whole_image: whether the whole image is each individual's box.
      padding: factor from the box to the crop.
      sigma: standard deviation of the targets, in pixels of maps of a quarter of the input.
      batch_size: individuals in a step; images if `several`.
      steps: number of steps.
      several: whether a model finds the individuals in whole images itself, without boxes.
      most: largest number of individuals in an image.
      rotation_degrees: largest rotation of a training image.
    """

    input_hw: tuple[int, int]
    whole_image: bool
    padding: float
    sigma: float
    batch_size: int
    steps: int
    several: bool
    most: int
    rotation_degrees: float


def sizes_of(
    labels: Labels, memory: int, whole_image: bool | None = None, devices: int = 1
) -> Sizes:
    """Choose the sizes of a recipe.

    A new video has no boxes. So the whole image is the box if no image has two individuals and they
    are not tiny, and otherwise a model finds them in whole images. An input has the shape of the
    median box or image, and shows an animal with about 128 px, a small one in a whole image with
    80 px, and one of several with 48 px.

    Args:
      labels: the labels.
      memory: bytes of each device that computes.
      whole_image: take the whole image as the box, or the boxes of the individuals; None takes the
        image, or finds the individuals without boxes.
      devices: number of devices, over which a batch is split.

    Raises:
      InputError: no image can be read.
    """
    sized = [(image, hw) for image in labels.images if (hw := _hw(image)) and image.instances]
    if not sized:
        raise InputError(
            f"{labels.source}: none of its {len(labels.images)} labelled images can be read. Give "
            "their folder with --images"
        )
    parts, shapes = [], []
    for image, hw in sized:
        for one in image.instances:
            least = LEAST_SIDE * max(hw)
            box = one.extent(least) if one.box_xywh is None else one.box_xywh
            parts.append(max(box[2:]) / max(hw))
            shapes.append((box[3], box[2]))
    part = float(np.clip(np.median(parts), 0.02, 1.0))
    most = max(len(image.instances) for image in labels.images)
    several = whole_image is None and (most > 1 or part < LEAST_PART)
    whole_image = whole_image is not False and not several
    if whole_image or several:
        height, width = np.median([hw for _, hw in sized], axis=0)
    if several:
        longer, longest = max(_FOUND_ANIMAL / part, 2 * _SHORTEST), float(_LONGEST_FOUND)
    elif whole_image:
        longer = max(_ANIMAL / part, 2 * _SHORTEST)
        longest = max(_LONGEST, _SMALL_ANIMAL / part)
    else:
        height, width = np.median(shapes, axis=0)
        # A narrow box turns, so the input is at most twice as long as wide.
        shorter = max(height, width) / 2
        height, width = max(height, shorter), max(width, shorter)
        boxes = [max(shape) for shape in shapes]
        longer, longest = float(np.clip(1.25 * np.median(boxes), 1.5 * _SHORTEST, 256)), _LONGEST
    scale = min(longer, longest, max(max(hw) for _, hw in sized)) / max(height, width)
    input_hw = _multiple(height * scale), _multiple(width * scale)
    individuals = sum(len(image.instances) for image, _ in sized)
    count = len(sized) if several else individuals
    held = devices * memory // 4 // (_BYTES_PER_PIXEL * input_hw[0] * input_hw[1])
    # An image of several animals counts as that many crops.
    largest = (16 if individuals < 2000 else 32) * count // individuals
    batch = 2 ** int(np.log2(np.clip(min(held, count), 2, max(largest, 2))))
    batch = max(batch // devices, 1) * devices
    return Sizes(
        input_hw,
        whole_image,
        1.0 if whole_image else 1.25,
        round(float(np.clip(max(input_hw) / 128, 1.5, 2.5)), 1),
        batch,
        # The head of a model that finds several begins with random numbers.
        int(np.clip(round(40 * count / batch, -2), 600 if several else 400, 4000)),
        several,
        most,
        180.0 if _in_all_directions(labels) else 30.0,
    )


def _in_all_directions(labels: Labels) -> bool:
    """True if individuals lie in all directions of the image, as below a camera on the ceiling."""
    points = np.array([one.keypoints for image in labels.images for one in image.instances])
    ways = points[:, :, None] - points[:, None]
    known = np.isfinite(ways).all(axis=-1)
    lengths = np.where(known, np.nan_to_num(np.linalg.norm(ways, axis=-1)), 0).sum(axis=0)
    # The two keypoints that are furthest apart, of those that are mostly labelled.
    often = known.sum(axis=0) >= 0.5 * known.sum(axis=0).max()
    mean = np.where(often, lengths / np.maximum(known.sum(axis=0), 1), 0)
    i, j = np.unravel_index(int(mean.argmax()), mean.shape)
    chosen = ways[known[:, i, j], i, j]
    chosen = chosen[np.linalg.norm(chosen, axis=-1) > 0]
    if len(chosen) < _FEWEST_DIRECTIONS:
        return False
    unit = chosen / np.linalg.norm(chosen, axis=-1, keepdims=True)
    return bool(np.linalg.norm(unit.mean(axis=0)) < _ALL_DIRECTIONS)


def _multiple(length: float) -> int:
    return max(_SHORTEST, int(length / MULTIPLE + 0.5) * MULTIPLE)


def _hw(image: LabelledImage) -> tuple[int, int] | None:
    return size_of(image) or image.image_hw
