"""Results of prediction: people with named keypoints in pixels of their image."""

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.media.image import read_image
from jaxpose.motion.timing import exact_rate
from jaxpose.results.drawing import Colors, Drawing, Labels
from jaxpose.skeletons import Skeleton

MAX_PEOPLE = 10_000
"""Most people, or boxes, that a file may have in one image or frame."""


def check_number(count: int, where: str) -> None:
    """Raises `InputError` if a file has more than `MAX_PEOPLE` people in one image or frame."""
    if count > MAX_PEOPLE:
        raise InputError(
            f"{where}: {count:,} people in one image, and the limit is {MAX_PEOPLE:,}; split the "
            "image, or leave some of them out"
        )


class Keypoint(NamedTuple):
    """Point in pixels of the image (pixel centres at integers) and its score in [0, 1]."""

    x: float
    y: float
    score: float


class SkippedBox(NamedTuple):
    """Box in which no person was predicted (its index among the given boxes), and the reason."""

    box_index: int
    reason: str


@dataclass(frozen=True, repr=False)
class Person:
    """One person; `person["left_knee"]` is its `Keypoint` of that name.

    Attributes:
      skeleton: the names of the keypoints.
      keypoints: float32 `[K, 2]`, (x, y) in pixels of the image.
      scores: float32 `[K]` in [0, 1].
      box_xywh: float32 `[4]`, the box used for prediction, pixels of the image.
      track_id: the same number for the same person throughout a video; None without tracking.
      box_score: the detector's score, in [0, 1]; None for a given box.
      joints: float32 `[J, 3]` millimetres from a lifter, named by `joint_skeleton`; or None.
      depths: float32 `[K]` millimetres along the camera's axis from the model's root, positive away
        from the camera; None for a model without depth.
      hands: float32 `[3]`, see `People.hands`; or None.
    """

    skeleton: Skeleton
    keypoints: np.ndarray
    scores: np.ndarray
    box_xywh: np.ndarray
    track_id: int | None = None
    box_score: float | None = None
    joints: np.ndarray | None = None
    joint_skeleton: Skeleton | None = None
    depths: np.ndarray | None = None
    hands: np.ndarray | None = None

    @property
    def score(self) -> float:
        """Mean score of the keypoints."""
        return float(self.scores.mean())

    def __getitem__(self, name: str) -> Keypoint:
        """Keypoint of that name; `InputError` with the nearest name if there is none."""
        index = self.skeleton.index(name)
        x, y = self.keypoints[index]
        return Keypoint(float(x), float(y), float(self.scores[index]))

    def __repr__(self) -> str:
        """Skeleton, score, box and track id, in one line."""
        track = "" if self.track_id is None else f"track {self.track_id}, "
        x, y, w, h = (f"{value:.0f}" for value in self.box_xywh)
        return f"<{track}{self.skeleton.name}, score {self.score:.2f}, box {x} {y} {w} {h}>"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `score`, `box_xywh` and `keypoints`, a map name -> x, y, score.

        Also `track_id`, `box_score` and `joints_mm` (name -> x, y, z) if they exist. With depths, a
        keypoint has `z_mm`; a model of two hands adds `hands` with `right` and `left`, the
        probabilities that they are there, and `left_from_right_mm`, the depth between the wrists.
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
        if self.depths is not None:
            for point, z in zip(result["keypoints"].values(), self.depths, strict=True):
                point["z_mm"] = round(float(z), 2)
        if self.hands is not None:
            right, left, apart = map(float, self.hands)
            result["hands"] = {
                "right": round(right, 4),
                "left": round(left, 4),
                "left_from_right_mm": round(apart, 2),
            }
        if self.joints is not None and self.joint_skeleton is not None:
            result["joints_mm"] = {
                name: [round(float(v), 2) if np.isfinite(v) else None for v in joint]
                for name, joint in zip(self.joint_skeleton.keypoints, self.joints, strict=True)
            }
        return result


@dataclass(frozen=True, repr=False)
class People:
    """People of one image or frame: a sequence of `Person` over arrays.

    Attributes:
      skeleton: the names of the keypoints.
      image_hw: height and width of the image.
      keypoints: float32 `[P, K, 2]`, (x, y) in pixels of the image.
      scores: float32 `[P, K]` in [0, 1].
      boxes_xywh: float32 `[P, 4]`, the boxes used for prediction.
      box_indices: int64 `[P]`, the index of each among the given boxes.
      skipped: given boxes in which no person could be predicted.
      lost: least number of people who were found beyond those that the model can hold.
      untracked: number of people who were found and left out, because the tracker gave them no id.
      source: the path, `webcam 0` or `array` that the image came from.
      index: the number of the frame in its video; None for a single image.
      seconds: the time stamp of the frame, by the clock of the video; None for a single image.
      fps: frames per second that the video states, if it does; None for a single image. `seconds`
        is what counts, since frames need not be evenly spaced.
      track_ids: int64 `[P]`, or None without tracking.
      box_scores: float32 `[P]` of the detector, or None if the boxes were given.
      joints: float32 `[P, J, 3]` millimetres from a lifter, or None; NaN for people without 3D
        joints.
      joint_skeleton: the names of the joints.
      depths: float32 `[P, K]`, see `Person.depths`; None for a model without depth.
      hands: float32 `[P, 3]` of a model of two hands: the probabilities that the right and that the
        left hand are there, and the depth of the left wrist from the right one in millimetres,
        positive if the left one is further from the camera; or None.
    """

    skeleton: Skeleton
    image_hw: tuple[int, int]
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
    lost: int = 0
    untracked: int = 0
    depths: np.ndarray | None = None
    hands: np.ndarray | None = None
    _image: Any = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.keypoints)

    def __getitem__(self, index: int) -> Person:
        """Person in that row."""
        return Person(
            self.skeleton,
            self.keypoints[index],
            self.scores[index],
            self.boxes_xywh[index],
            None if self.track_ids is None else int(self.track_ids[index]),
            None if self.box_scores is None else float(self.box_scores[index]),
            None if self.joints is None else self.joints[index],
            self.joint_skeleton,
            None if self.depths is None else self.depths[index],
            None if self.hands is None else self.hands[index],
        )

    def __iter__(self) -> Iterator[Person]:
        return (self[index] for index in range(len(self)))

    def keep(self, rows: np.ndarray | list[int]) -> "People":
        """Keeps only the people of these rows `[N]`, in this order."""
        first, second = ("keypoints", "scores", "boxes_xywh", "box_indices"), ("track_ids",)
        names = (*first, *second, "box_scores", "joints", "depths", "hands")
        values = {name: getattr(self, name) for name in names}
        rows = np.asarray(rows, np.int64)
        return replace(self, **{n: v[rows] for n, v in values.items() if v is not None})

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `width`, `height`, `people`.

        Only if there are any: `people_lost`, `people_untracked`, `skipped_boxes`.
        Frames of a video have `frame` and `seconds` as well, and `frame_rate`, a fraction such as
        "30000/1001", where the video states it.
        """
        height, width = self.image_hw
        result: dict[str, Any] = {}
        if self.index is not None:
            result["frame"] = self.index
        if self.seconds is not None:
            result["seconds"] = round(self.seconds, 9)
        if self.fps is not None:
            result["frame_rate"] = str(exact_rate(self.fps))
        result |= {
            "width": width,
            "height": height,
            "people": [person.to_dict() for person in self],
        }
        if self.lost:
            result["people_lost"] = self.lost
        if self.untracked:
            result["people_untracked"] = self.untracked
        if self.skipped:
            result["skipped_boxes"] = [box._asdict() for box in self.skipped]
        return result

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yields a flat record for each keypoint: a line of a table (see `COLUMNS`)."""
        for number, person in enumerate(self):
            for k, name in enumerate(self.skeleton.keypoints):
                x, y = person.keypoints[k]
                yield {
                    "source": self.source,
                    "frame": self.index,
                    "seconds": None if self.seconds is None else round(self.seconds, 9),
                    "person": number,
                    "track_id": person.track_id,
                    "keypoint": name,
                    "x": round(float(x), 2),
                    "y": round(float(y), 2),
                    "score": round(float(person.scores[k]), 4),
                    "frame_rate": None if self.fps is None else str(exact_rate(self.fps)),
                }

    def to_dataframe(self) -> Any:
        """Table in pandas with a line for each keypoint (`COLUMNS`); see also `dataframe`."""
        return dataframe([self])

    def draw(
        self,
        image: np.ndarray | None = None,
        *,
        min_score: float = 0.3,
        boxes: bool = False,
        labels: Labels = "tracks",
        colors: Colors = "sides",
        line_width: float | None = None,
    ) -> np.ndarray:
        """Copy of the image, uint8 RGB `[H, W, 3]`, with the people drawn on it.

        An image from a file is read again; a frame of a video is available inside the loop over the
        results.

        Args:
          image: draw on this image instead.
          min_score, boxes, labels, colors, line_width: fields of `results.drawing.Drawing`.

        Raises:
          InputError: the frame is no longer in memory; draw it inside the loop, or give `image`. Or
            as `Drawing`.
        """
        drawing = Drawing(min_score, boxes, labels, colors, line_width)
        return drawing.draw(self, self.image if image is None else image)

    def show(self, **drawing: Any) -> None:
        """Shows the drawn image: in a notebook below the cell, else in the system's image viewer.

        Args:
          drawing: keywords of `draw`.

        Raises:
          InputError: as `draw`.
        """
        from jaxpose.viz.show import show_image

        show_image(self.draw(**drawing))

    def save(self, path: str | Path, **drawing: Any) -> Path:
        """Writes the drawn image (.png, .jpg) or the keypoints (.json, .jsonl, .csv).

        Args:
          path: the suffix chooses the form; see `results.saving`.
          drawing: keywords of `draw`, for an image.

        Returns:
          The path.

        Raises:
          InputError: another suffix, a file that cannot be written, or as `draw`.
        """
        from jaxpose.results.saving import save_results

        return save_results([self], path, Drawing(**drawing), count=1)

    def __repr__(self) -> str:
        """Number of people, skeleton and source, in one line."""
        height, width = self.image_hw
        frame = "" if self.index is None else f" frame {self.index}"
        whole = " (the whole image)" if self._is_whole_image else ""
        people = "1 person" if len(self) == 1 else f"{len(self)} people"
        return (
            f"<{people}{whole}, {self.skeleton.name}, {self.source!r}{frame}, {width} x {height}>"
        )

    def _repr_png_(self) -> bytes | None:
        """Drawn image for notebooks; None, which leaves the text, if the image is gone."""
        from jaxpose.viz.show import notebook_png

        try:
            return notebook_png(self.draw())
        except InputError:
            return None

    @property
    def _is_whole_image(self) -> bool:
        """True if the only box is the image: the person was not found by a detector."""
        height, width = self.image_hw
        same = len(self) == 1 and self.boxes_xywh[0].tolist() == [0, 0, width, height]
        return same and self.box_scores is None

    def held_weakly(self) -> "People":
        """Copy that does not keep the image in memory after all other references are gone."""
        if self._image is None or isinstance(self._image, weakref.ref):
            return self
        return replace(self, _image=weakref.ref(self._image))

    @property
    def image(self) -> np.ndarray:
        """Image, uint8 RGB `[H, W, 3]`; `InputError` if it is no longer in memory (see `draw`)."""
        image = self._image() if isinstance(self._image, weakref.ref) else self._image
        if image is None and self.seconds is None and Path(self.source).is_file():
            image = read_image(self.source)
        if image is None:
            raise InputError(
                "the image is not kept, so that videos do not fill the memory: draw inside the "
                "loop over the results, or pass the image to draw()"
            )
        return image


COLUMNS = (
    *("source", "frame", "seconds", "person", "track_id", "keypoint", "x", "y", "score"),
    "frame_rate",
)
"""Columns of tables: a line for each keypoint, pixels, scores in [0, 1]; the rate of the video as a
fraction."""


def dataframe(results: Iterable[People]) -> Any:
    """Joins many results into one pandas table, a line for each keypoint (`COLUMNS`).

    Raises:
      InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError as error:
        raise InputError("tables need pandas: pip install 'jaxpose[table]'") from error
    return pandas.DataFrame([row for people in results for row in people.rows()], columns=COLUMNS)
