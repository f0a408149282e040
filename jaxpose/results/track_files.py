"""Files of tracks: MOTChallenge's text files of boxes, PoseTrack18's JSON files of keypoints."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError, not_read
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.json_text import parse_json
from jaxpose.metrics.boxes import overlaps
from jaxpose.metrics.tracking import TrackedFrame, TrackedPoints
from jaxpose.paths import atomic_write
from jaxpose.results.people import People
from jaxpose.skeletons import POSETRACK17
from jaxpose.skeletons.mapping import shared_keypoints

_HEAD = 0.6  # PoseTrack's head size over the diagonal of the head's box


@dataclass(frozen=True)
class Boxes:
    """Boxes of one frame with the ids of their tracks.

    Attributes:
      ids: `[N]`.
      boxes: `[N, 4]` (x, y, width, height) in pixels.
    """

    ids: np.ndarray
    boxes: np.ndarray


def read_mot(path: Path, *, truth: bool = False) -> dict[int, Boxes]:
    """Read a text file of MOTChallenge: frame, id, x, y, width, height, and further columns.

    Args:
      path: the file.
      truth: leave out the rows of an annotation that do not count: those with 0 in column 7, and
        those of a class other than 1, the pedestrian, in column 8.

    Returns:
      Boxes by frame number, in the order of the frames.

    Raises:
      InputError: no such file, or a row that is not of this form.
    """
    rows: dict[int, list[tuple[int, list[float]]]] = {}
    try:
        lines = read_text(path, ANNOTATIONS).splitlines()
    except OSError as error:
        raise not_read(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text file of MOTChallenge: {error}.") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            values = [float(part) for part in line.replace(",", " ").split()]
            frame, track = int(values[0]), int(values[1])
            box = values[2:6]
            if len(box) < 4 or not np.isfinite(values).all():
                raise ValueError("six finite numbers are needed")
        except (ValueError, IndexError, OverflowError) as error:
            raise InputError(
                f"{path}, line {number}: a row must be frame, id, x, y, width, height, not "
                f"{line[:60]!r} ({error})."
            ) from error
        ignored = truth and (
            (len(values) > 6 and values[6] == 0) or (len(values) > 7 and values[7] not in (-1, 1))
        )
        if not ignored:
            rows.setdefault(frame, []).append((track, box))
    return {
        frame: Boxes(np.array([t for t, _ in rows[frame]]), np.array([b for _, b in rows[frame]]))
        for frame in sorted(rows)
    }


def mot_frames(truth: Mapping[int, Boxes], found: Mapping[int, Boxes]) -> list[TrackedFrame]:
    """Frames of annotated and tracked boxes, which are compared by their overlap (IoU).

    Raises:
      InputError: an id is twice in a frame; the message names the frame.
    """
    none = Boxes(np.zeros(0, int), np.zeros((0, 4)))
    made = []
    for frame in sorted({*truth, *found}):
        one, other = truth.get(frame, none), found.get(frame, none)
        try:
            made.append(TrackedFrame(one.ids, other.ids, overlaps(one.boxes, other.boxes)))
        except InputError as error:
            raise InputError(f"Frame {frame}: {error}") from error
    return made


@dataclass(frozen=True)
class PoseTrackPeople:
    """People of one frame of a PoseTrack file.

    Attributes:
      ids: `[P]` ids of the tracks.
      keypoints: `[P, 17, 2]` pixels; NaN where not labelled or not predicted.
      scores: `[P, 17]` of predictions; 1 for labels.
      head_sizes: `[P]` pixels; NaN for predictions.
    """

    ids: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    head_sizes: np.ndarray


def read_posetrack(path: Path) -> dict[str, PoseTrackPeople]:
    """Read a JSON file of PoseTrack18 or PoseTrack21, of annotations or predictions.

    Images with `is_labeled` false are left out.

    Returns:
      People by file name of the image, in the order of the file.

    Raises:
      InputError: no such file, or another form.
    """
    try:
        content = parse_json(read_text(path, ANNOTATIONS))
        images = {
            int(image["id"]): str(image["file_name"])
            for image in content["images"]
            if image.get("is_labeled", True)
        }
        rows: dict[int, list[Mapping[str, Any]]] = {number: [] for number in images}
        for one in content["annotations"]:
            if int(one["image_id"]) in rows and one.get("keypoints"):
                rows[int(one["image_id"])].append(one)
        return {images[number]: _people(people) for number, people in rows.items()}
    except OSError as error:
        raise not_read(path, error) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: this is no file of PoseTrack18 or 21: {error!r}.") from error


def _people(rows: Sequence[Mapping[str, Any]]) -> PoseTrackPeople:
    count = POSETRACK17.num_keypoints
    points = np.array([row["keypoints"] for row in rows], float).reshape(-1, count, 3)
    scores = [row.get("scores") or row["keypoints"][2::3] for row in rows]
    seen = points[..., 2] > 0
    heads = np.array([row.get("bbox_head", [np.nan] * 4) for row in rows], float).reshape(-1, 4)
    return PoseTrackPeople(
        np.array([int(row["track_id"]) for row in rows], int),
        np.where(seen[..., None], points[..., :2], np.nan),
        np.array(scores, float).reshape(-1, count) * seen,
        _HEAD * np.hypot(heads[:, 2], heads[:, 3]),
    )


def posetrack_frames(
    truth: Mapping[str, PoseTrackPeople], found: Mapping[str, PoseTrackPeople]
) -> tuple[list[TrackedPoints], list[TrackedFrame]]:
    """Frames of annotated and tracked people: keypoints, and boxes around keypoints.

    Annotated people without the box of a head are left out. Images that are only in `found` are
    not labelled and left out; in an image that is only in `truth`, no person was found.

    Raises:
      InputError: no image is in both, or an id is twice in an image; the message names the image.
    """
    if truth and not set(truth) & set(found):
        raise InputError(
            f"No image is in both files: the annotations have {next(iter(truth))}, the results "
            f"{next(iter(found), 'no image')}."
        )
    none = _people([])
    points, boxes = [], []
    for name, labelled in truth.items():
        other = found.get(name, none)
        known = np.isfinite(labelled.head_sizes) & (labelled.head_sizes > 0)
        ids, keypoints = labelled.ids[known], labelled.keypoints[known]
        points.append(
            TrackedPoints(ids, keypoints, labelled.head_sizes[known], other.ids, other.keypoints)
        )
        around = overlaps(_boxes(keypoints), _boxes(other.keypoints))
        try:
            boxes.append(TrackedFrame(ids, other.ids, around))
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
    return points, boxes


def _boxes(keypoints: np.ndarray) -> np.ndarray:
    """Boxes (x, y, w, h) `[P, 4]` around the keypoints `[P, K, 2]` that are not NaN."""
    seen = np.isfinite(keypoints)
    low = np.where(seen, keypoints, np.inf).min(axis=1, initial=np.inf)
    high = np.where(seen, keypoints, -np.inf).max(axis=1, initial=-np.inf)
    empty = ~np.isfinite(low)
    return np.concatenate([np.where(empty, 0, low), np.where(empty, 0, high - low)], axis=-1)


def write_posetrack(path: Path, results: Sequence[People]) -> None:
    """Write tracked people as a JSON file of PoseTrack18.

    Keypoints are taken by their names; those of PoseTrack that the results lack, such as the top of
    the head, are zeros. File names are those of the frames' sources, and for videos `000000.jpg`
    and so on in a folder with the name of the video.

    Raises:
      InputError: people without track ids, or no keypoint that PoseTrack has.
    """
    images, annotations = [], []
    for number, people in enumerate(results):
        if people.track_ids is None and len(people):
            raise InputError(
                f"{people.source}: people have no track ids. Predict a video with tracking."
            )
        rows = shared_keypoints(people.skeleton, POSETRACK17)
        if (rows < 0).all():
            raise InputError(f"Skeleton {people.skeleton.name!r} has no keypoint of PoseTrack's.")
        name = people.source
        if people.index is not None:
            name = f"{Path(people.source).stem}/{people.index:06}.jpg"
        images.append({"id": number, "file_name": name, "frame_id": people.index or 0})
        for person, track in enumerate([] if people.track_ids is None else people.track_ids):
            points = np.zeros((POSETRACK17.num_keypoints, 3))
            points[rows >= 0, :2] = people.keypoints[person, rows[rows >= 0]]
            points[rows >= 0, 2] = people.scores[person, rows[rows >= 0]]
            annotations.append(
                {
                    "image_id": number,
                    "track_id": int(track),
                    "category_id": 1,
                    "bbox": [round(float(v), 2) for v in people.boxes_xywh[person]],
                    "keypoints": [round(float(v), 3) for v in points.ravel()],
                    "scores": [round(float(v), 4) for v in points[:, 2]],
                }
            )
    category = {"id": 1, "name": "person", "keypoints": list(POSETRACK17.keypoints)}
    content = {"images": images, "annotations": annotations, "categories": [category]}
    atomic_write(path, json.dumps(content) + "\n")
