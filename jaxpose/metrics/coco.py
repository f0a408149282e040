"""Ground-truth people and detected people as arrays, read from COCO keypoint files."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_bytes
from jaxpose.json_text import parse_json

Json = str | Path

_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True)
class GroundTruth:
    """Annotated people, one row each, in pixels of the image.

    Attributes:
      image_id: `[N]` int64, the image that shows each person.
      keypoints: `[N, K, 2]` float64 (x, y).
      visible: `[N, K]`; 0 not labelled, 1 occluded, 2 visible.
      box_xywh: `[N, 4]` float64.
      area: `[N]` float64, px²; the scale of OKS, and the size that makes a person medium or large.
      iscrowd: `[N]` bool, a region with several people; any number of detections may match it.
      ignore: `[N]` bool, people that count neither as found nor as missed; None means people
        without a labelled keypoint. Crowds are always ignored, as in COCO.
      images: ids of all annotated images; None means the images that occur in `image_id`. A
        detection in an annotated image without people is a false positive; a detection in any
        other image is an error.
      category_id: `[N]` int64, or None when there is one category.
      annotation_id: `[N]` int64, the id of each annotation, or None.

    Raises:
      InputError: shapes that do not fit together, values that are not finite.
    """

    image_id: np.ndarray
    keypoints: np.ndarray
    visible: np.ndarray
    box_xywh: np.ndarray
    area: np.ndarray
    iscrowd: np.ndarray = None  # type: ignore[assignment]  # __post_init__ fills it in
    ignore: np.ndarray = None  # type: ignore[assignment]  # __post_init__ fills it in
    images: np.ndarray | None = None
    category_id: np.ndarray = None  # type: ignore[assignment]  # __post_init__ fills it in
    annotation_id: np.ndarray | None = None

    def __post_init__(self) -> None:
        number = len(np.atleast_1d(self.image_id))
        keypoints = _floats("ground-truth keypoints", self.keypoints, (number, None, 2))
        visible = np.asarray(self.visible)
        if visible.shape != keypoints.shape[:2]:
            raise InputError(
                f"visible has shape {visible.shape} for keypoints of shape {keypoints.shape}; "
                "it needs one flag per keypoint"
            )
        crowd = _flags("iscrowd", self.iscrowd, number)
        ignore = ~(visible > 0).any(axis=1) if self.ignore is None else self.ignore
        values = {
            "image_id": _ids("image_id", self.image_id),
            "keypoints": keypoints,
            "visible": visible,
            "box_xywh": _floats("ground-truth boxes", self.box_xywh, (number, 4)),
            "area": _floats("ground-truth areas", self.area, (number,)),
            "iscrowd": crowd,
            "ignore": _flags("ignore", ignore, number) | crowd,
            "images": None if self.images is None else _ids("images", self.images),
            "category_id": _categories(self.category_id, number),
            "annotation_id": _annotations(self.annotation_id, number),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.image_id)

    @classmethod
    def from_coco(
        cls, source: Json | Mapping[str, Any], *, area_of_box: float | None = None
    ) -> "GroundTruth":
        """Reads a COCO keypoints file (a path, or its parsed content).

        As in pycocotools, a person whose `num_keypoints` is 0 is ignored even if its flags are
        set, and a key `ignore` has no effect. If `num_keypoints` is absent, the flags are used.
        Areas are read from the file. With `area_of_box` they are this share of each box's area
        (0.53 for CrowdPose).

        Raises:
          FileNotFoundError: no such file.
          InputError: not a COCO keypoints document; names the file and the annotation.
        """
        document, where = load_document(source, "annotations")
        if not isinstance(document, Mapping) or not isinstance(document.get("annotations"), list):
            raise InputError(f"{where} is not a COCO keypoints file: it has no list 'annotations'")
        people = document["annotations"]
        keypoints = _keypoint_rows(people, where)
        images = document.get("images", [])
        if not isinstance(images, list):
            raise InputError(f"{where} is not a COCO keypoints file: 'images' is not a list")
        ids = [_field(image, "id", where) for image in images]
        visible = keypoints[..., 2]
        labelled = (visible > 0).sum(axis=1).tolist()
        unlabelled = [
            p.get("num_keypoints", count) == 0 for p, count in zip(people, labelled, strict=True)
        ]
        categories = [p.get("category_id", 1) for p in people]
        boxes = _floats(
            f"boxes of {where}",
            [_field(p, "bbox", where) for p in people] or np.zeros((0, 4)),
            (len(people), 4),
        )
        if area_of_box is None:
            areas = [_field(p, "area", where) for p in people]
        else:
            areas = area_of_box * np.prod(boxes[:, 2:], axis=1)
        return cls(
            image_id=_ids("image_id", [_field(p, "image_id", where) for p in people]),
            keypoints=keypoints[..., :2],
            visible=visible,
            box_xywh=boxes,
            area=_floats(f"areas of {where}", areas, (None,)),
            iscrowd=np.asarray([bool(p.get("iscrowd", 0)) for p in people], bool),
            ignore=np.asarray(unlabelled, bool),
            images=_ids("images", ids) if "images" in document else None,
            category_id=_ids("category_id", categories),
            annotation_id=_annotation_ids([p.get("id") for p in people]),
        )


@dataclass(frozen=True)
class Detections:
    """Predicted people, one row each, in pixels of the image.

    Attributes:
      image_id: `[M]` int64.
      keypoints: `[M, K, 2]` float64 (x, y).
      scores: `[M]` float64; a higher score is matched first. Equal scores keep the given order.
      area: `[M]` float64 px², by which an unmatched detection counts as medium or large; None
        means the extent of the keypoints, as in pycocotools.
      category_id: `[M]` int64, or None when there is one category.
      annotation_id: `[M]` int64, the annotation whose box each person was predicted in, or None.

    Raises:
      InputError: shapes that do not fit together, values that are not finite.
    """

    image_id: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    area: np.ndarray = None  # type: ignore[assignment]  # __post_init__ fills it in
    category_id: np.ndarray = None  # type: ignore[assignment]  # __post_init__ fills it in
    annotation_id: np.ndarray | None = None

    def __post_init__(self) -> None:
        number = len(np.atleast_1d(self.image_id))
        keypoints = _floats("detected keypoints", self.keypoints, (number, None, 2))
        area = self.area
        if area is None:
            area = np.prod(np.ptp(keypoints, axis=1), axis=-1) if number else np.zeros(0)
        values = {
            "image_id": _ids("image_id", self.image_id),
            "keypoints": keypoints,
            "scores": _floats("detection scores", self.scores, (number,)),
            "area": _floats("detection areas", area, (number,)),
            "category_id": _categories(self.category_id, number),
            "annotation_id": _annotations(self.annotation_id, number),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.image_id)

    @classmethod
    def from_coco_results(cls, source: Json | Sequence[Mapping[str, Any]]) -> "Detections":
        """Reads a COCO keypoint results file: a list of image_id, keypoints, score.

        If the first result has a `bbox`, areas are those of the boxes; otherwise they are those
        of the keypoints' extent (pycocotools' rule). The third number of each keypoint is not used.

        Raises:
          FileNotFoundError: no such file.
          InputError: not a COCO results document; names the file and the entry.
        """
        people, where = load_document(source, "detections")
        if not isinstance(people, Sequence) or isinstance(people, str):
            raise InputError(f"{where} is not a COCO results file: it must be a list of people")
        keypoints = _keypoint_rows(people, where)
        area: Any = None
        if people and people[0].get("bbox"):
            boxes = [_field(p, "bbox", where) for p in people]
            area = np.prod(_floats(f"boxes of {where}", boxes, (len(people), 4))[:, 2:], axis=1)
        return cls(
            image_id=_ids("image_id", [_field(p, "image_id", where) for p in people]),
            keypoints=keypoints[..., :2],
            scores=_floats(
                f"scores of {where}", [_field(p, "score", where) for p in people], (None,)
            ),
            area=area,
            category_id=_ids("category_id", [p.get("category_id", 1) for p in people]),
            annotation_id=_annotation_ids([p.get("annotation_id") for p in people]),
        )


def load_document(source: Any, name: str) -> tuple[Any, str]:
    """Parsed document, and its name in messages."""
    if not isinstance(source, str | Path):
        return source, f"the given {name}"
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"no {name} file at {path}")
    try:
        return parse_json(read_bytes(path, ANNOTATIONS)), str(path)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON: {error}") from error


def _field(entry: Mapping[str, Any], key: str, where: str) -> Any:
    try:
        return entry[key]
    except (KeyError, TypeError):
        name = entry.get("id", "without id") if isinstance(entry, Mapping) else repr(entry)
        raise InputError(f"{where}: the entry {name} has no {key!r}") from None


def _keypoint_rows(people: Sequence[Mapping[str, Any]], where: str) -> np.ndarray:
    """Keypoints `[N, K, 3]` float64 from the flat lists of `people`."""
    rows = [_field(person, "keypoints", where) for person in people]
    try:
        lengths = Counter(map(len, rows))
        if len(lengths) > 1 or any(length % 3 or not length for length in lengths):
            usual = lengths.most_common(1)[0][0]
            usual = usual if usual and usual % 3 == 0 else -1
            odd = next(i for i, row in enumerate(rows) if len(row) != usual)
            raise InputError(
                f"{where}: the entry {people[odd].get('id', odd)} has {len(rows[odd])} keypoint "
                "numbers; all entries need 3 (x, y, flag) for each keypoint of the same skeleton"
            )
        # Without people no row gives K; zero keypoints fit any skeleton.
        return np.asarray(rows, np.float64).reshape(len(rows), -1 if rows else 0, 3)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: keypoints must be flat lists of numbers ({error})") from None


def _floats(name: str, values: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} must be numbers: {error}") from None
    wrong = array.ndim != len(shape) or any(
        want is not None and have != want for have, want in zip(array.shape, shape, strict=True)
    )
    if wrong:
        wanted = "[" + ", ".join("K" if size is None else str(size) for size in shape) + "]"
        raise InputError(f"{name} have shape {list(array.shape)}, expected {wanted}")
    bad = ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"{name}: {int(bad.sum())} rows are NaN or infinite, the first is {row}")
    return array


def _ids(name: str, values: Any) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError(f"{name} must be whole numbers in one list") from None
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(f"{name} must be whole numbers in one list, got {array.dtype}")
    if array.size and array.max() > _LARGEST_ID:
        raise InputError(f"{name} must be at most {_LARGEST_ID:,}, got {array.max():,}")
    return array.astype(np.int64)


def _annotation_ids(values: list[Any]) -> np.ndarray | None:
    """Ids `[N]` int64; None if an entry has none, or one that is not such a number."""
    whole = all(type(value) is int and abs(value) <= _LARGEST_ID for value in values)
    return np.array(values, np.int64) if whole and values else None


def _flags(name: str, values: Any, number: int) -> np.ndarray:
    array = np.zeros(number, bool) if values is None else np.asarray(values).astype(bool)
    if array.shape != (number,):
        raise InputError(f"{name} has shape {array.shape}, expected [{number}]")
    return array


def _annotations(values: Any, number: int) -> np.ndarray | None:
    array = None if values is None else _ids("annotation_id", values)
    if array is not None and array.shape != (number,):
        raise InputError(f"annotation_id has shape {array.shape}, expected [{number}]")
    return array


def _categories(values: Any, number: int) -> np.ndarray:
    array = np.ones(number, np.int64) if values is None else _ids("category_id", values)
    if array.shape != (number,):
        raise InputError(f"category_id has shape {array.shape}, expected [{number}]")
    return array
