"""Detection of people, palms and faces by anchors, with keypoints that give rotated regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxpose.detect.detector import Detections, Detector, check_list
from jaxpose.detect.letterbox import checked_hw
from jaxpose.detect.regions import REGIONS, Found
from jaxpose.errors import InputError
from jaxpose.geometry.regions import Region

_FINDS: dict[int, Found] = {4: "people", 7: "hands", 6: "faces"}
"""Objects of a detector, by the number of its keypoints."""


@dataclass(frozen=True)
class AnchoredDetections(Detections):
    """Detected people, palms or faces in one image, best first.

    `boxes_xywh` are the boxes for a model of keypoints: the upright squares whose crops, with the
    usual padding, cover the regions.

    Attributes:
      found_xywh: float32 `[P, 4]` boxes that the network returned, in pixels from the image's outer
        edge: a face's for a person, a palm's for a hand.
      keypoints: float32 `[P, K, 2]` (x, y) in pixels from the image's outer edge.
      regions: regions for a model of landmarks.
    """

    found_xywh: np.ndarray
    keypoints: np.ndarray
    regions: tuple[Region, ...]


class AnchoredDetector(Detector):
    """Detector with anchors of one size (SSD, arXiv:1512.02325), for MediaPipe's models.

    Images are letterboxed to a square in the middle of zeros. Boxes that overlap are averaged,
    weighted by their scores (BlazeFace, arXiv:1907.05047, section 4.4), and the best score stays.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        input_hw: tuple[int, int],
        *,
        threshold: float | None = None,
        iou: float | None = None,
        max_people: int = 100,
        batch_size: int = 1,
        person_class: int = 0,
        name: str = "",
    ) -> None:
        """Creates a detector from a model and its variables; arguments are those of `Detector`.

        Raises:
          InputError: an argument is out of range; the input is not a square.
        """
        if input_hw[0] != input_hw[1]:
            raise InputError(f"input_hw must be a square for this detector, not {input_hw}")
        super().__init__(
            model,
            variables,
            input_hw,
            threshold=threshold,
            iou=iou,
            max_people=max_people,
            batch_size=batch_size,
            person_class=person_class,
            name=name,
        )
        self.finds: Found = _FINDS[model.head.num_keypoints]
        self.anchors = anchors(model.head.anchors, input_hw[0])

    def __call__(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Detects objects in each of `images`, uint8 RGB `[H, W, 3]`; sizes may differ.

        Returns:
          `AnchoredDetections` for each image.

        Raises:
          InputError: an image has another type or shape, or the model's output is not finite.
        """
        check_list(images)
        for image in images:
            checked_hw(image)
        return self._found(images, [whole_image(image) for image in images])

    def in_regions(self, image: np.ndarray, regions: Sequence[Region]) -> list[Detections]:
        """Detects objects within regions of one image, which may be rotated.

        Returns:
          `AnchoredDetections` for each region, in pixels of the image. Boxes enclose the rotated
          ones.

        Raises:
          InputError: the image has another type or shape, or the model's output is not finite.
        """
        checked_hw(image)
        return self._found([image] * len(regions), regions)

    def _found(self, images: Sequence[np.ndarray], regions: Sequence[Region]) -> list[Detections]:
        side = self.input_hw[0]
        crops = [region.crop(image, side) for region, image in zip(regions, images, strict=True)]
        size = self.batch_size
        found: list[Detections] = []
        for start in range(0, len(crops), size):
            batch = crops[start : start + size]
            canvases = np.zeros((size, *self.input_hw, 3), np.uint8)
            canvases[: len(batch)] = batch
            values, scores = jax.device_get(self.places(canvases))
            if not (np.isfinite(values).all() and np.isfinite(scores).all()):
                raise InputError("the detector's output is not finite: are these weights its own?")
            found += [
                self._detections(values[row], scores[row], regions[start + row])
                for row in range(len(batch))
            ]
        return found

    def _detections(
        self, values: np.ndarray, scores: np.ndarray, region: Region
    ) -> AnchoredDetections:
        settings, side = self._settings, self.input_hw[0]
        points = decode_anchors(values, self.anchors, side)
        kept = np.flatnonzero(scores >= settings["threshold"])
        points, best = weighted_suppress(points[kept], scores[kept], settings["iou"])
        points, best = points[: settings["max_people"]], best[: settings["max_people"]]
        # The other two corners of each box, which is no longer upright if the region is rotated.
        others = np.stack([points[:, [0, 1], [0, 1]], points[:, [1, 0], [0, 1]]], axis=1)
        points = np.concatenate([points, others], axis=1)
        points = (region.to_image(points * side, side) + 0.5).astype(np.float32)
        corners, keypoints = points[:, [0, 1, -2, -1]], points[:, 2:-2]
        low, high = corners.min(axis=1), corners.max(axis=1)
        boxes = np.concatenate([low, high - low], axis=1)
        regions = tuple(
            REGIONS[self.finds](box, row) for box, row in zip(boxes, keypoints, strict=True)
        )
        return AnchoredDetections(
            _upright(regions), best.astype(np.float32), boxes, keypoints, regions
        )


def whole_image(image: np.ndarray) -> Region:
    """Smallest square with the image `[H, W, 3]` in its middle."""
    height, width = image.shape[:2]
    return Region(width / 2, height / 2, float(max(height, width)))


def anchors(levels: Sequence[tuple[int, int]], side: int) -> np.ndarray:
    """Centres of the anchors, float32 `[N, 2]` (x, y) as shares of the input.

    Args:
      levels: stride of each map, and number of anchors at each of its places.
      side: side of the input in pixels.
    """
    centres = []
    for stride, count in levels:
        cells = -(-side // stride)
        line = (np.arange(cells) + 0.5) / cells
        x, y = np.meshgrid(line, line)
        centres.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=-1), count, axis=0))
    return np.concatenate(centres).astype(np.float32)


def decode_anchors(values: np.ndarray, centres: np.ndarray, side: int) -> np.ndarray:
    """Corners of the boxes and keypoints, `[N, 2 + K, 2]` (x, y) as shares of the input.

    Args:
      values: `[N, 4 + 2K]`, see `models.blaze.AnchoredOutputs`.
      centres: `[N, 2]` of `anchors`.
      side: side of the input in pixels.
    """
    points = values.reshape(len(values), -1, 2) / side
    centre, half = points[:, 0] + centres, points[:, 1] / 2
    keypoints = points[:, 2:] + centres[:, None]
    return np.concatenate([(centre - half)[:, None], (centre + half)[:, None], keypoints], axis=1)


def weighted_suppress(
    points: np.ndarray, scores: np.ndarray, iou: float
) -> tuple[np.ndarray, np.ndarray]:
    """Replaces boxes that overlap the best one by their mean, weighted by the scores; repeats.

    Args:
      points: `[N, 2 + K, 2]`: two corners of each box, and keypoints.
      scores: `[N]`.
      iou: boxes that overlap by more of their union are one object.

    Returns:
      `[P, 2 + K, 2]` means and `[P]` best scores, best first.
    """
    waiting = np.argsort(-scores, kind="stable")
    means, best = [], []
    while len(waiting):
        same = _overlaps(points[waiting[0], :2], points[waiting, :2]) > iou
        same[0] = True
        group = waiting[same]
        weights = scores[group] / scores[group].sum()
        means.append((points[group] * weights[:, None, None]).sum(axis=0))
        best.append(scores[waiting[0]])
        waiting = waiting[~same]
    return np.array(means).reshape(-1, *points.shape[1:]), np.array(best)


def _overlaps(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of corners `[2, 2]` with each of `[N, 2, 2]`."""
    low, high = np.maximum(box[0], boxes[:, 0]), np.minimum(box[1], boxes[:, 1])
    shared = np.maximum(high - low, 0).prod(axis=1)
    areas = np.maximum(boxes[:, 1] - boxes[:, 0], 0).prod(axis=1)
    union = areas + np.maximum(box[1] - box[0], 0).prod() - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1), 0)


def _upright(regions: Sequence[Region]) -> np.ndarray:
    """Upright boxes `[P, 4]` in pixels; with a padding of 1.25 they have the sides of regions."""
    sides = np.array([region.side for region in regions]) / 1.25
    centres = np.array([(region.x, region.y) for region in regions]).reshape(-1, 2)
    corners = centres - sides[:, None] / 2
    boxes = np.concatenate([corners, np.stack([sides, sides], axis=-1).reshape(-1, 2)], axis=1)
    return boxes.astype(np.float32)
