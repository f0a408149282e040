"""Metric of detected boxes: recall of the annotated people."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpose.metrics.metric import Direction, Metric


@dataclass(frozen=True)
class BoxesInImages:
    """Detected boxes and annotated boxes of each image, lists of one entry per image.

    Attributes:
      found: `[Q, 4]` (x, y, w, h) in pixels.
      truth: `[P, 4]` in the same pixels.
      area: `[P]` area of the annotated people in px² of the original image.
    """

    found: list[np.ndarray]
    truth: list[np.ndarray]
    area: list[np.ndarray]


@dataclass(frozen=True)
class BoxRecall(Metric):
    """Share of the annotated people that a box overlaps by at least `iou`.

    Attributes:
      iou: smallest intersection over union that counts.
      least_area: only people above this area in px² count; COCO's large objects are above 96².
    """

    iou: float = 0.5
    least_area: float = 96.0**2

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {"recall": "higher"}

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute `recall` and `boxes per image` of `BoxesInImages`; -1 without any people."""
        best = [
            overlaps(truth[area > self.least_area], found).max(axis=1, initial=0.0)
            for found, truth, area in zip(
                estimates.found, estimates.truth, estimates.area, strict=True
            )
        ]
        hits = np.concatenate([np.zeros(0), *best]) >= self.iou
        boxes = np.mean([len(found) for found in estimates.found]) if estimates.found else 0.0
        return {
            "recall": float(hits.mean()) if len(hits) else -1.0,
            "boxes per image": float(boxes),
        }


def overlaps(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union `[P, Q]` of boxes `[P, 4]` and `[Q, 4]`, all (x, y, w, h)."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, :2] + a[:, None, 2:], b[None, :, :2] + b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=-1)
    union = a[:, None, 2:].prod(axis=-1) + b[None, :, 2:].prod(axis=-1) - common
    return common / np.maximum(union, 1e-9)
