"""Boxes of people: from a detector, given, around the whole image, or from the frame before."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from jaxpose.data.canvas import clip_box
from jaxpose.errors import InputError
from jaxpose.media.frames import Frame
from jaxpose.media.prefetch import StageTimer
from jaxpose.results.box_files import BoxFile, whole_image
from jaxpose.results.people import People
from jaxpose.tracking.pose_nms import box_around


class PersonDetector(Protocol):
    """Interface of a person detector: `jaxpose.detect.Detector`, or your own."""

    def __call__(self, images: Sequence[np.ndarray], /) -> Sequence[Any]:
        """For each image, uint8 RGB, an object with `boxes_xywh [P, 4]` and `scores [P]`."""


@dataclass(frozen=True)
class Located:
    """A frame and the boxes of its people.

    Attributes:
      boxes_xywh: `[P, 4]` pixels.
      scores: `[P]` scores of a detector, or of a file of boxes; None where there are none.
      rows: `[P]` positions among the given boxes, where some were left out; None if all are here.
      user_boxes: the boxes were given, so that no person is removed as a duplicate.
    """

    frame: Frame
    boxes_xywh: np.ndarray
    scores: np.ndarray | None = None
    rows: np.ndarray | None = None
    user_boxes: bool = False


Locate = Callable[[Sequence[Frame]], list[Located]]


def by_detector(
    detector: PersonDetector, stages: StageTimer, min_score: float, max_people: int | None
) -> Locate:
    """Boxes of a detector with at least `min_score`, the best `max_people`."""

    def locate(frames: Sequence[Frame]) -> list[Located]:
        with stages("detect", len(frames)):
            detections = detector([frame.image for frame in frames])
        located = []
        for frame, found in zip(frames, detections, strict=True):
            scores = np.asarray(found.scores, np.float32)
            # A NaN is below any score.
            order = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= min_score]
            order = order[:max_people]
            boxes = np.asarray(found.boxes_xywh, np.float32).reshape(-1, 4)[order]
            located.append(Located(frame, boxes, scores[order]))
        return located

    return locate


def by_boxes(boxes: Any, max_people: int | None) -> Locate:
    """Given boxes: a `BoxFile` by the image's name, a function of the frame, or one array for all.

    Of more than `max_people` boxes the largest are used. A frame of a video is found by the video's
    name and its number.

    Args:
      boxes: a `BoxFile`, `[P, 4]` (x, y, w, h) in pixels, or a function of the `Frame` that returns
        such boxes.
      max_people: largest number of boxes in a frame; None is all.

    Raises:
      InputError: boxes that are not four numbers each; raised by the returned function.
    """

    def of(frame: Frame) -> tuple[np.ndarray, np.ndarray | None]:
        if isinstance(boxes, BoxFile):
            found = boxes.scored(frame.source, None if frame.seconds is None else frame.index)
            return boxes_in(boxes, found, _hw(frame)), found[:, 4] if boxes.has_scores else None
        found = np.asarray(boxes(frame) if callable(boxes) else boxes, np.float32)
        found = found.reshape(0, 4) if found.size == 0 else found
        if found.ndim != 2 or found.shape[1] != 4:
            raise InputError(f"boxes are [P, 4] (x, y, w, h), not {list(found.shape)}")
        return found, None

    def locate(frames: Sequence[Frame]) -> list[Located]:
        located = []
        for frame in frames:
            (found, scores), rows = of(frame), None
            if max_people is not None and len(found) > max_people:
                area = np.nan_to_num(found[:, 2] * found[:, 3])
                rows = np.sort(np.argsort(-area, kind="stable")[:max_people])
                found, scores = found[rows], None if scores is None else scores[rows]
            located.append(Located(frame, found, scores, rows, user_boxes=True))
        return located

    return locate


def boxes_in(file: BoxFile, boxes: np.ndarray, image_hw: tuple[int, int]) -> np.ndarray:
    """Boxes `[P, 4]` of a file as they are used in an image; those of annotations are clipped.

    Annotated boxes can reach beyond the image, and models are trained with clipped ones.
    """
    boxes = boxes[:, :4]
    return clip_box(boxes, *image_hw) if file.annotated else boxes


def by_whole_image(frames: Sequence[Frame]) -> list[Located]:
    """One box around each whole image: for one dominant person, or models of whole images."""
    return [Located(frame, whole_image(_hw(frame))) for frame in frames]


def locate_all(frames: Iterable[Frame], locate: Locate, group: int) -> Iterator[Located]:
    """Every frame with its boxes, `group` frames at a time."""
    waiting: list[Frame] = []
    for frame in frames:
        waiting.append(frame)
        if len(waiting) >= group:
            yield from locate(waiting)
            waiting = []
    if waiting:
        yield from locate(waiting)


def following(people: People, min_score: float, margin: float) -> np.ndarray:
    """Boxes `[P, 4]` for the same people in the next frame.

    A box is the extent of the keypoints that are near the last box, times `margin`. People with
    fewer than two keypoints of `min_score`, or outside the image, get none.
    """
    last = people.boxes_xywh
    boxes = box_around(people.keypoints, people.scores, min_score, margin, within=last)
    height, width = people.image_hw
    low = np.maximum(boxes[:, :2], 0)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:], np.array([width, height])[None])
    boxes = np.concatenate([low, high - low], axis=1)
    return boxes[(boxes[:, 2:] > 1).all(axis=1)].astype(np.float32)


def _hw(frame: Frame) -> tuple[int, int]:
    height, width = frame.image.shape[:2]
    return height, width
