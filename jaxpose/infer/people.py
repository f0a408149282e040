"""What prediction returns: people with named keypoints in pixels of their photo."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxpose.skeletons import Skeleton


class Keypoint(NamedTuple):
    """A point in pixels of the photo (pixel centres at integers) and its score in [0, 1]."""

    x: float
    y: float
    score: float


class SkippedBox(NamedTuple):
    """A box that no person was predicted in (its position among those given), and why."""

    box_index: int
    reason: str


@dataclass(frozen=True)
class Person:
    """One person; `person["left_knee"]` is its `Keypoint` of that name.

    Attributes:
      skeleton: the names of the keypoints.
      keypoints: float32 `[K, 2]`, (x, y) in pixels of the photo.
      scores: float32 `[K]` in [0, 1].
      box_xywh: float32 `[4]`, the box that was looked into, pixels of the photo.
    """

    skeleton: Skeleton
    keypoints: np.ndarray
    scores: np.ndarray
    box_xywh: np.ndarray

    @property
    def score(self) -> float:
        """The mean score of the keypoints."""
        return float(self.scores.mean())

    def __getitem__(self, name: str) -> Keypoint:
        """The keypoint of that name; `InputError` with the nearest name if there is none."""
        index = self.skeleton.index(name)
        x, y = self.keypoints[index]
        return Keypoint(float(x), float(y), float(self.scores[index]))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `score`, `box_xywh` and `keypoints`, a map name -> x, y, score."""
        return {
            "score": round(self.score, 4),
            "box_xywh": [round(float(v), 2) for v in self.box_xywh],
            "keypoints": {
                name: {"x": round(float(x), 2), "y": round(float(y), 2), "score": round(s, 4)}
                for name, (x, y), s in zip(
                    self.skeleton.keypoints, self.keypoints, map(float, self.scores), strict=True
                )
            },
        }


@dataclass(frozen=True)
class People:
    """The people of one photo: a sequence of `Person` over arrays.

    Attributes:
      skeleton: the names of the keypoints.
      photo_hw: height and width of the photo.
      keypoints: float32 `[P, K, 2]`, (x, y) in pixels of the photo.
      scores: float32 `[P, K]` in [0, 1].
      boxes_xywh: float32 `[P, 4]`, the boxes that were looked into.
      box_indices: int64 `[P]`, the position of each in the boxes that were given.
      skipped: the boxes given that nobody could be predicted in.
    """

    skeleton: Skeleton
    photo_hw: tuple[int, int]
    keypoints: np.ndarray
    scores: np.ndarray
    boxes_xywh: np.ndarray
    box_indices: np.ndarray
    skipped: tuple[SkippedBox, ...] = ()

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: int) -> Person:
        return Person(
            self.skeleton, self.keypoints[index], self.scores[index], self.boxes_xywh[index]
        )

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `width`, `height`, `people`, and `skipped_boxes` where there are any."""
        height, width = self.photo_hw
        result: dict[str, Any] = {
            "width": width,
            "height": height,
            "people": [person.to_dict() for person in self],
        }
        if self.skipped:
            result["skipped_boxes"] = [box._asdict() for box in self.skipped]
        return result
