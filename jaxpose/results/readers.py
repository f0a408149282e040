"""Readers of prediction results."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.json_text import parse_json
from jaxpose.media.image import missing
from jaxpose.results.people import People, check_number
from jaxpose.skeletons import BUILT_IN, Skeleton, pairs_by_name

_FORM = "a file of `jaxpose predict`, or [frames][keypoints][x, y] or [x, y, score] of one person"


def read_results(
    path: str | Path,
    *,
    skeleton: Skeleton | None = None,
    image_wh: tuple[int, int] | None = None,
) -> list[People]:
    """Reads results from a file: JSON or JSON lines of `jaxpose predict`, or a list for one person.

    Args:
      path: the file.
      skeleton: skeleton of the keypoints in a plain list, `[frames][keypoints][x, y(, ...)]`; also
        for a file with the keypoint names of a skeleton that is not built in.
      image_wh: the image's size, which a plain list does not contain.

    Raises:
      InputError: no such file, or none of these forms.
    """
    path = Path(path)
    try:
        text = read_text(path, ANNOTATIONS)
    except FileNotFoundError:
        raise InputError(missing(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as text; expected {_FORM}") from error
    if not text.strip():
        raise InputError(f"{path} is empty; expected {_FORM}")
    try:
        try:
            content = parse_json(text)
        except json.JSONDecodeError:
            content = [parse_json(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is neither JSON nor JSON lines: {error.msg}") from error
    try:
        if isinstance(content, list) and content and isinstance(content[0], list):
            return _bare(path, content, skeleton, image_wh)
        return list(_records(path, content, skeleton))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} has another form ({error}); expected {_FORM}") from error


def _bare(
    path: Path,
    content: list[Any],
    skeleton: Skeleton | None,
    image_wh: tuple[int, int] | None,
) -> list[People]:
    points = np.array(content, np.float64)
    if skeleton is None or image_wh is None:
        raise InputError(f"{path} is a plain list of keypoints: give its skeleton and image size")
    if points.ndim != 3 or points.shape[1] != skeleton.num_keypoints or points.shape[2] < 2:
        raise InputError(
            f"{path} holds {list(points.shape)} numbers; [frames, {skeleton.num_keypoints}, 2 or "
            f"more] is needed for skeleton {skeleton.name!r}"
        )
    # A third number is a score in some files and a depth in others.
    third = points[..., 2] if points.shape[2] == 3 else np.full(points.shape[:2], np.nan)
    scores = third if ((third >= 0) & (third <= 1)).all() else np.ones(points.shape[:2])
    return [
        _people(skeleton, image_wh, pose[None, :, :2], own[None], str(path), frame, None, None)
        for frame, (pose, own) in enumerate(zip(points, scores, strict=True))
    ]


def _records(path: Path, content: Any, skeleton: Skeleton | None) -> Iterator[People]:
    """Yields `People` of each record that has a list `people`."""
    records = content
    if isinstance(content, dict):
        lists = [content[key] for key in ("frames", "photos", "results") if key in content]
        # JSON lines of one frame are one object.
        records = [entry for group in lists for entry in group] if lists else [content]
    records = [entry for entry in records if isinstance(entry, dict) and "people" in entry]
    if not records:
        raise InputError(f"{path} has no list `people`; expected {_FORM}")
    names = [tuple(p["keypoints"]) for entry in records for p in entry["people"]]
    if not names:
        raise InputError(f"{path} contains no person, in {len(records):,} images or frames")
    known = _skeleton(max(names, key=len), skeleton)
    for entry in records:
        people = entry["people"]
        source = str(entry.get("source") or entry.get("file") or path)
        check_number(len(people), str(path))
        named = [p["keypoints"] for p in people]
        _check(path, source, entry, known)
        points = [[[p[n]["x"], p[n]["y"], p[n]["score"]] for n in known.keypoints] for p in named]
        values = np.array(points, np.float64).reshape(len(people), known.num_keypoints, 3)
        ids = [p.get("track_id") for p in people]
        depths = [[p[n].get("z_mm", np.nan) for n in known.keypoints] for p in named]
        hands = [_hands(p["hands"]) for p in people if "hands" in p]
        found = _people(
            known,
            (entry["width"], entry["height"]),
            values[..., :2],
            values[..., 2],
            source,
            entry.get("frame"),
            _seconds(entry.get("seconds")),
            None if None in ids else np.array(ids, np.int64),
            _rate(entry.get("frame_rate")),
        )
        joints, of_joints = _joints(people, path)
        z = np.array(depths, np.float32).reshape(len(people), known.num_keypoints)
        yield replace(
            found,
            depths=z if z.size and np.isfinite(z).all() else None,
            hands=np.array(hands, np.float32) if hands and len(hands) == len(people) else None,
            joints=joints,
            joint_skeleton=of_joints,
        )


def _check(path: Path, source: str, entry: dict[str, Any], skeleton: Skeleton) -> None:
    """Checks that an image has a size, and each of its people all keypoints of the skeleton."""
    if min(entry["width"], entry["height"]) < 1:
        raise InputError(
            f"{path}: {source} has the size {entry['width']} x {entry['height']}; write the width "
            "and height of its image in pixels"
        )
    frame = "" if entry.get("frame") is None else f", frame {entry['frame']},"
    for number, person in enumerate(entry["people"]):
        for name in skeleton.keypoints:
            if name not in person["keypoints"]:
                raise InputError(
                    f"{path}: person {number} of {source}{frame} lacks the keypoint {name!r}, "
                    "which others have; write one that was not found with the score 0"
                )


def _people(
    skeleton: Skeleton,
    image_wh: tuple[int, int],
    keypoints: np.ndarray,
    scores: np.ndarray,
    source: str,
    frame: int | None,
    seconds: float | None,
    track_ids: np.ndarray | None,
    fps: float | None = None,
) -> People:
    count = len(keypoints)
    return People(
        skeleton,
        (image_wh[1], image_wh[0]),
        keypoints.astype(np.float32),
        scores.astype(np.float32),
        np.zeros((count, 4), np.float32),
        np.arange(count),
        source=source,
        index=frame,
        seconds=seconds,
        track_ids=track_ids,
        fps=fps,
    )


def _joints(people: list[Any], path: Path) -> tuple[np.ndarray | None, Skeleton | None]:
    """Joints `[P, J, 3]` in mm of a lifter, NaN for people without them, and their skeleton."""
    names = {tuple(p["joints_mm"]) for p in people if "joints_mm" in p}
    if not names:
        return None, None
    if len(names) > 1:
        raise InputError(f"{path}: the joints_mm of a frame have different names")
    (keys,) = names
    joints = np.full((len(people), len(keys), 3), np.nan, np.float32)
    for row, person in enumerate(people):
        if "joints_mm" in person:
            # Coordinates that are not known are null.
            joints[row] = np.array([person["joints_mm"][name] for name in keys], np.float64)
    return joints, _skeleton(keys, None)


def _hands(entry: Any) -> list[float]:
    return [float(entry[key]) for key in ("right", "left", "left_from_right_mm")]


def _rate(text: Any) -> float | None:
    """Rate in frames per second of a fraction such as "30000/1001"; None for another text."""
    parts = re.fullmatch(r"(\d{1,12})(?:/(\d{1,12}))?", str(text))
    if parts is None:
        return None
    above, below = int(parts[1]), int(parts[2] or 1)
    return above / below if above and below else None


def _seconds(value: Any) -> float | None:
    """Time stamp; `ValueError` for one that is not a number."""
    if value is None:
        return None
    if not np.isfinite(float(value)):
        raise ValueError(f"a time stamp of {value}")
    return float(value)


def _skeleton(names: tuple[str, ...], given: Skeleton | None) -> Skeleton:
    """Skeleton with these names: the given one, a built-in one, or a new one."""
    for candidate in ([given] if given else []) + list(BUILT_IN.values()):
        if candidate.keypoints == names:
            return candidate
    return Skeleton("predicted", names, pairs_by_name(names))
