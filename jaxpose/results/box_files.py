"""Readers of person boxes: detections, annotations, a map from names to boxes, or a table."""

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.json_text import parse_json
from jaxpose.media.image import missing
from jaxpose.results.people import check_number

_FORMS = (
    "a list of {file_name or image_id, bbox [x, y, w, h], score}, a COCO annotation file, a map "
    '{"photo.jpg": [[x, y, w, h], ...]}, or a CSV table with the columns file,x,y,w,h; of videos '
    'with frame as well, or {"film.mp4": {"0": [[x, y, w, h], ...]}}'
)


@dataclass(frozen=True)
class BoxFile:
    """Boxes of many images, with access by the image's name.

    Attributes:
      path: the file they were read from.
      by_name: float32 `[P, 5]`, boxes (x, y, w, h) in pixels of the image and their scores, by name
        or relative path.
      by_id: the same by COCO image id, for records without a name; COCO's own images are named by
        their id (`000000397133.jpg`).
      by_frame: boxes by frame, for videos whose records have frames: `{name: {frame: boxes}}`.
      image_ids: COCO image id by name, of an annotation file.
      has_scores: False if no box has a score; the scores are then 1.
    """

    path: Path
    by_name: Mapping[str, np.ndarray]
    by_id: Mapping[int, np.ndarray]
    by_frame: Mapping[str, Mapping[int, np.ndarray]] = field(default_factory=dict)
    image_ids: Mapping[str, int] = field(default_factory=dict)
    has_scores: bool = False

    @property
    def annotated(self) -> bool:
        """True if the boxes are those of annotated people, not of a detector."""
        return bool(self.image_ids)

    def __contains__(self, image: str | Path) -> bool:
        image = Path(image)
        return self._find(image) is not None or _ending(self.by_frame, image) is not None

    def of(self, image: str | Path, frame: int | None = None) -> np.ndarray:
        """Boxes `[P, 4]` of an image or video; see `scored`."""
        return self.scored(image, frame)[:, :4]

    def scored(
        self, image: str | Path, frame: int | None = None, image_id: int | None = None
    ) -> np.ndarray:
        """Boxes and scores `[P, 5]` of an image or video; empty for one that is not in the file.

        The longest trailing part of the image's path that the file lists is used, so that `a/1.jpg`
        and `b/1.jpg` differ if the file lists both.

        Args:
          image: path of the image or video.
          frame: frame number of a video, from 0. If the file lists the video's frames separately,
            frames that it does not list have no boxes; else all frames have the video's boxes.
          image_id: COCO image id, for records without a name; if absent, the number in the name.
        """
        frames = None if frame is None else _ending(self.by_frame, Path(image))
        if frames is None:
            boxes = self._find(Path(image), image_id)
        else:
            assert frame is not None
            boxes = frames.get(frame)
        return np.zeros((0, 5), np.float32) if boxes is None else boxes

    def check_mentions(self, images: Iterable[str | Path], ids: Iterable[int] = ()) -> None:
        """Raises `InputError` if the file lists none of `images`: it belongs to other images.

        Args:
          images: names or paths.
          ids: COCO image ids of the same images, if they are known.
        """
        images = list(images)
        if not images or any(image in self for image in images):
            return
        if any(number in self.by_id for number in ids):
            return
        names = [repr(name) for name in (*self.by_name, *self.by_frame)]
        known = names or [f"image id {i}" for i in self.by_id]
        raise InputError(
            f"{self.path} has boxes for {', '.join(known[:3]) or 'no image'}"
            f"{' and others' if len(known) > 3 else ''}, but for none of the given images "
            f"(the first is {Path(images[0]).name!r})"
        )

    def _find(self, image: Path, image_id: int | None = None) -> np.ndarray | None:
        boxes = _ending(self.by_name, image)
        if image_id is None and image.stem.isdecimal():
            image_id = int(image.stem)
        if boxes is None and image_id is not None:
            return self.by_id.get(image_id)
        return boxes


def _ending(named: Mapping[str, Any], image: Path) -> Any:
    """Entry of the longest trailing part of a path, or None."""
    parts = image.parts
    endings = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((named[ending] for ending in endings if ending in named), None)


def whole_image(image_hw: tuple[int, int]) -> np.ndarray:
    """One box `[1, 4]` (x, y, w, h) around a whole image: for one dominant person."""
    height, width = image_hw
    return np.array([[0, 0, width, height]], np.float32)


def read_boxes(path: str | Path, min_score: float = 0.0) -> BoxFile:
    """Reads the boxes of many images.

    Four forms are supported: COCO detection results (a list of records with `bbox`, `image_id` or
    `file_name`, and optionally `score` and `category_id`), a COCO annotation file, a map from file
    name to boxes, and a CSV table with the columns file, x, y, w, h and optionally score. Boxes of
    categories other than people and crowd regions are dropped: an annotation file names its
    categories, in a list of results people are category 1 as in COCO. Boxes with invalid numbers
    are kept; prediction reports and skips them.

    For videos, records and lines have a `frame` beside the file, a number from 0, and a map has a
    map of frames in place of the list. The COCO results that prediction writes have this form.

    Args:
      path: the file; its form is detected by its content.
      min_score: records with a lower score are dropped; those without a score are kept.

    Raises:
      InputError: no such file, not JSON or CSV, a record of the wrong form (named), or more than
        `MAX_PEOPLE` boxes in one image.
    """
    path = Path(path)
    text = _text(path)
    names: dict[str, list[list[float]]] = {}
    ids: dict[int, list[list[float]]] = {}
    frames: dict[str, dict[int, list[list[float]]]] = {}
    image_ids: dict[str, int] = {}
    others: Counter[str] = Counter()
    has_scores = False
    for record in _records(path, text):
        boxes = _place(path, record, names, ids, frames)
        if isinstance(record.image_id, int):
            image_ids[str(record.key)] = record.image_id
        if record.category is not None:
            others[repr(record.category)] += 1
        if record.box is None:
            continue
        numbers = _numbers(path, record.where, record.box)
        if record.score is None:
            boxes.append([*numbers, 1.0])
            continue
        has_scores = True
        if (score := _score(path, record.where, record.score)) >= min_score:
            boxes.append([*numbers, score])
    in_frames = [boxes for video in frames.values() for boxes in video.values()]
    of_images = [*names.values(), *ids.values(), *in_frames]
    for boxes in of_images:
        check_number(len(boxes), str(path))
    if others and not any(of_images):
        categories = ", ".join(f"{name} ({count:,})" for name, count in others.most_common(3))
        raise InputError(
            f"{path} has no box of a person: people have category_id 1, as in COCO, and its boxes "
            f"have {categories}. Change category_id, or leave it out"
        )
    return BoxFile(
        path,
        {name: _array(boxes) for name, boxes in names.items()},
        {key: _array(boxes) for key, boxes in ids.items()},
        {name: {n: _array(b) for n, b in video.items()} for name, video in frames.items()},
        image_ids,
        has_scores,
    )


class _Record(NamedTuple):
    """One record: its place in the file, image name or id, box (None if none), score, frame.

    `image_id` is that of an annotation file; `category` that of an object that is no person.
    """

    where: str
    key: str | int
    box: Any
    score: Any = None
    frame: Any = None
    image_id: Any = None
    category: Any = None


def _text(path: Path) -> str:
    if path.is_dir() or not path.exists():
        raise InputError(f"{path} is a folder, not a file" if path.exists() else missing(path))
    try:
        return read_text(path, ANNOTATIONS)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable text file; expected {_FORMS}") from error


def _array(boxes: list[list[float]]) -> np.ndarray:
    return np.array(boxes, np.float32).reshape(-1, 5)


def _place(
    path: Path,
    record: _Record,
    names: dict[str, list[list[float]]],
    ids: dict[int, list[list[float]]],
    frames: dict[str, dict[int, list[list[float]]]],
) -> list[list[float]]:
    """List that a record's box belongs to."""
    if isinstance(record.key, int):
        return ids.setdefault(record.key, [])
    if record.frame in (None, ""):
        return names.setdefault(record.key, [])
    text = str(record.frame).strip()
    if not text.isdecimal():
        raise InputError(f"{path}, {record.where}: the frame {record.frame!r} is not 0, 1, 2, ...")
    return frames.setdefault(record.key, {}).setdefault(int(text), [])


def _records(path: Path, text: str) -> Iterable[_Record]:
    if not text.lstrip().startswith(("[", "{")):
        return _table(path, text)
    try:
        # In a map of boxes by name, a second list for a name would replace the first one.
        content = parse_json(text, unique=text.lstrip().startswith("{"))
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    if isinstance(content, list):
        return _results(path, content)
    if "annotations" in content:
        return _annotations(path, content)
    return _named(path, content)


def _results(path: Path, content: list[Any]) -> Iterable[_Record]:
    for index, record in enumerate(content):
        where = f"record {index}"
        box = record.get("bbox", record.get("box_xywh")) if isinstance(record, dict) else None
        if box is None:
            raise InputError(f"{path}, {where}: no `bbox`; expected {_FORMS}")
        key = record.get("file_name", record.get("image_id"))
        if isinstance(key, bool) or not isinstance(key, (str, int)):
            raise InputError(f"{path}, {where}: neither `file_name` nor `image_id`")
        category = record.get("category_id", 1)
        if category != 1:
            yield _Record(where, key, None, None, record.get("frame"), None, category)
            continue
        yield _Record(where, key, box, record.get("score"), record.get("frame"))


def _annotations(path: Path, content: dict[str, Any]) -> Iterable[_Record]:
    try:
        file_names = {image["id"]: str(image["file_name"]) for image in content["images"]}
        people = {
            category["id"]
            for category in content.get("categories", ())
            if category.get("name") == "person" or "keypoints" in category
        }
        annotations = list(content["annotations"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} seems to be COCO annotations, but `images` or `categories` is missing or not "
            "a list of records with `id` and `file_name`"
        ) from error
    # An image without annotated people is listed too, with no boxes.
    mentioned = set()
    for index, record in enumerate(annotations):
        where = f"annotation {index}"
        if not isinstance(record, dict) or "image_id" not in record:
            raise InputError(f"{path}, {where}: no `image_id`")
        where = f"annotation {record.get('id', index)}"
        if not _is_one_of(record["image_id"], file_names):
            raise InputError(f"{path}, {where}: there is no image {record['image_id']!r}")
        category = record.get("category_id")
        if record.get("iscrowd") or (people and not _is_one_of(category, people)):
            continue
        if record.get("bbox") is None:
            raise InputError(f"{path}, {where}: no `bbox`")
        mentioned.add(record["image_id"])
        name = file_names[record["image_id"]]
        image_id = record["image_id"]
        yield _Record(where, name, record["bbox"], record.get("score"), image_id=image_id)
    for key, name in file_names.items():
        if key not in mentioned:
            yield _Record(f"image {key}", name, None, image_id=key)


def _is_one_of(value: Any, ids: Collection[Any]) -> bool:
    """True if a value is among ids; a list or an object in its place is not."""
    return isinstance(value, int | str) and value in ids


def _named(path: Path, content: dict[str, Any]) -> Iterable[_Record]:
    for name, boxes in content.items():
        if isinstance(boxes, dict):
            for frame, found in boxes.items():
                yield from _listed(path, f"{name!r}, frame {frame}", name, found, frame)
        else:
            yield from _listed(path, repr(name), name, boxes, None)


def _listed(path: Path, where: str, name: str, boxes: Any, frame: Any) -> Iterable[_Record]:
    if not isinstance(boxes, list):
        raise InputError(f"{path}, {where}: not a list of boxes; expected {_FORMS}")
    # A single box may be given without the outer list.
    if boxes and not isinstance(boxes[0], list):
        boxes = [boxes]
    if not boxes:
        yield _Record(where, name, None, None, frame)
    for index, box in enumerate(boxes):
        yield _Record(f"{where}, box {index}", name, box, None, frame)


def _table(path: Path, text: str) -> Iterable[_Record]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    columns = {name.strip().lower() for name in rows.fieldnames or () if name}
    lacking = [name for name in ("file", "x", "y", "w", "h") if name not in columns]
    if lacking:
        raise InputError(
            f"{path}: the first line does not name the column {lacking[0]!r}; expected {_FORMS}"
        )
    for row in rows:
        cells = {name.strip().lower(): cell for name, cell in row.items() if name}
        where = f"line {rows.line_num}"
        if not cells["file"]:
            raise InputError(f"{path}, {where}: no file name")
        box, name = [cells[c] for c in "xywh"], cells["file"].strip()
        yield _Record(where, name, box, cells.get("score") or None, cells.get("frame"))


def _numbers(path: Path, where: str, box: Any) -> list[float]:
    try:
        numbers = [] if isinstance(box, str) else [float(value) for value in box]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if len(numbers) != 4:
        raise InputError(f"{path}, {where}: the box {box!r} is not four numbers x, y, w, h")
    return numbers


def _score(path: Path, where: str, score: Any) -> float:
    try:
        return float(score)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}, {where}: the score {score!r} is not a number") from error


__getattr__ = moved_names(__name__)
