"""What prediction returns: people with named keypoints in pixels of their photo."""

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.media.image import read_photo
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
      track_id: the same number for the same person throughout a film; None where nobody counts.
      box_score: of the detector, in [0, 1]; None for a box that was given.
      joints: float32 `[J, 3]` millimetres from a lifter, by `joint_skeleton`; or None.
    """

    skeleton: Skeleton
    keypoints: np.ndarray
    scores: np.ndarray
    box_xywh: np.ndarray
    track_id: int | None = None
    box_score: float | None = None
    joints: np.ndarray | None = None
    joint_skeleton: Skeleton | None = None

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
        """JSON-able: `score`, `box_xywh` and `keypoints`, a map name -> x, y, score.

        `track_id`, `box_score` and `joints_mm` (name -> x, y, z) where there are any.
        """
        result: dict[str, Any] = {} if self.track_id is None else {"track_id": self.track_id}
        result |= {
            "score": round(self.score, 4),
            "box_xywh": [round(float(v), 2) for v in self.box_xywh],
        }
        if self.box_score is not None:
            result["box_score"] = round(self.box_score, 4)
        result["keypoints"] = {
            name: {"x": round(float(x), 2), "y": round(float(y), 2), "score": round(s, 4)}
            for name, (x, y), s in zip(
                self.skeleton.keypoints, self.keypoints, map(float, self.scores), strict=True
            )
        }
        if self.joints is not None and self.joint_skeleton is not None:
            result["joints_mm"] = {
                name: [round(float(v), 1) if np.isfinite(v) else None for v in joint]
                for name, joint in zip(self.joint_skeleton.keypoints, self.joints, strict=True)
            }
        return result


@dataclass(frozen=True)
class People:
    """The people of one photo or frame: a sequence of `Person` over arrays.

    Attributes:
      skeleton: the names of the keypoints.
      photo_hw: height and width of the photo.
      keypoints: float32 `[P, K, 2]`, (x, y) in pixels of the photo.
      scores: float32 `[P, K]` in [0, 1].
      boxes_xywh: float32 `[P, 4]`, the boxes that were looked into.
      box_indices: int64 `[P]`, the position of each in the boxes that were given.
      skipped: the boxes given that nobody could be predicted in.
      source: the path, `webcam 0` or `array` that the photo came from.
      index: the number of the frame in its film; None for a photo.
      seconds: the time stamp of the frame; None for a photo.
      fps: frames per second of the film; None for a photo.
      track_ids: int64 `[P]`, or None where nobody was tracked.
      box_scores: float32 `[P]` of the detector, or None where the boxes were given.
      joints: float32 `[P, J, 3]` millimetres from a lifter, or None; NaN for who was not lifted.
      joint_skeleton: the names of the joints.
    """

    skeleton: Skeleton
    photo_hw: tuple[int, int]
    keypoints: np.ndarray
    scores: np.ndarray
    boxes_xywh: np.ndarray
    box_indices: np.ndarray
    skipped: tuple[SkippedBox, ...] = ()
    source: str = ""
    index: int | None = None
    seconds: float | None = None
    track_ids: np.ndarray | None = None
    box_scores: np.ndarray | None = None
    joints: np.ndarray | None = None
    joint_skeleton: Skeleton | None = None
    fps: float | None = None
    _photo: Any = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: int) -> Person:
        """The person in that row."""
        return Person(
            self.skeleton,
            self.keypoints[index],
            self.scores[index],
            self.boxes_xywh[index],
            None if self.track_ids is None else int(self.track_ids[index]),
            None if self.box_scores is None else float(self.box_scores[index]),
            None if self.joints is None else self.joints[index],
            self.joint_skeleton,
        )

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def keep(self, rows: np.ndarray | list[int]) -> "People":
        """Only the people of these rows `[N]`, in this order."""
        first, second = ("keypoints", "scores", "boxes_xywh", "box_indices"), ("track_ids",)
        names = (*first, *second, "box_scores", "joints")
        values = {name: getattr(self, name) for name in names}
        rows = np.asarray(rows, np.int64)
        return replace(self, **{n: v[rows] for n, v in values.items() if v is not None})

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `width`, `height`, `people`, and `skipped_boxes` where there are any.

        Frames of a film have `frame` and `seconds` as well.
        """
        height, width = self.photo_hw
        result: dict[str, Any] = {}
        if self.index is not None:
            result["frame"] = self.index
        if self.seconds is not None:
            result["seconds"] = round(self.seconds, 4)
        result |= {
            "width": width,
            "height": height,
            "people": [person.to_dict() for person in self],
        }
        if self.skipped:
            result["skipped_boxes"] = [box._asdict() for box in self.skipped]
        return result

    def rows(self) -> Iterator[dict[str, Any]]:
        """A flat record for each keypoint: what a table has as its lines (see `COLUMNS`)."""
        for number, person in enumerate(self):
            for k, name in enumerate(self.skeleton.keypoints):
                x, y = person.keypoints[k]
                yield {
                    "source": self.source,
                    "frame": self.index,
                    "seconds": None if self.seconds is None else round(self.seconds, 4),
                    "person": number,
                    "track_id": person.track_id,
                    "keypoint": name,
                    "x": round(float(x), 2),
                    "y": round(float(y), 2),
                    "score": round(float(person.scores[k]), 4),
                }

    def to_dataframe(self) -> Any:
        """A pandas table with a line for each keypoint (`COLUMNS`); see also `dataframe`."""
        return dataframe([self])

    def draw(
        self, photo: np.ndarray | None = None, *, min_score: float = 0.3, boxes: bool = False
    ) -> np.ndarray:
        """A copy of the photo, uint8 RGB `[H, W, 3]`, with the people drawn on it.

        A photo that came from a file is read again, and a frame of a film is still there while the
        loop that it came from is at it.

        Args:
          photo: draw on this one instead.
          min_score: the lowest score of a keypoint that is drawn.
          boxes: draw the boxes as well.

        Raises:
          InputError: the frame is gone; draw it inside the loop, or give `photo`.
        """
        from jaxpose.viz import draw_people

        ids = self.track_ids
        return draw_people(
            self.photo if photo is None else photo,
            self.keypoints,
            self.skeleton,
            scores=self.scores,
            min_score=min_score,
            boxes_xywh=self.boxes_xywh if boxes else None,
            labels=None if ids is None else [str(number) for number in ids],
        )

    def held_weakly(self) -> "People":
        """The same without keeping the picture in memory once nobody else does."""
        if self._photo is None or isinstance(self._photo, weakref.ref):
            return self
        return replace(self, _photo=weakref.ref(self._photo))

    @property
    def photo(self) -> np.ndarray:
        """The picture, uint8 RGB `[H, W, 3]`; `InputError` if it is gone (see `draw`)."""
        photo = self._photo() if isinstance(self._photo, weakref.ref) else self._photo
        if photo is None and self.seconds is None and Path(self.source).is_file():
            photo = read_photo(self.source)
        if photo is None:
            raise InputError(
                "the picture is not kept, so that films do not fill the memory: draw inside the "
                "loop over the results, or give draw(photo)"
            )
        return photo


COLUMNS = ("source", "frame", "seconds", "person", "track_id", "keypoint", "x", "y", "score")
"""Of tables: a line for each keypoint, pixels, scores in [0, 1]."""


def dataframe(results: Iterable[People]) -> Any:
    """One pandas table of many results, a line for each keypoint (`COLUMNS`).

    Raises:
      InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError("tables need pandas: pip install 'jaxpose[table]'") from error
    return pandas.DataFrame([row for people in results for row in people.rows()], columns=COLUMNS)
