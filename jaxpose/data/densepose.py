"""Annotations of DensePose-COCO: points on people's surfaces, and masks of coarse parts.

Güler et al., "DensePose: Dense Human Pose Estimation in the Wild", CVPR 2018, arXiv:1802.00434. The
files are COCO files whose annotations have `dp_I`, `dp_U`, `dp_V`, `dp_x`, `dp_y` and `dp_masks`.
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxpose.codecs.densepose import MASK_SIDE
from jaxpose.data.coco_json import read_json
from jaxpose.data.segmentation import decode_runs
from jaxpose.errors import InputError

PARTS = 24
COARSE_PARTS = 14
"""Torso, right and left hand, left and right foot, and so on; see `codecs.densepose.COARSE`."""
_POINTS = ("dp_I", "dp_U", "dp_V", "dp_x", "dp_y")
_LAST = MASK_SIDE - 1


class DensePosePerson(NamedTuple):
    """One person with N labelled points.

    Attributes:
      image_id, annotation_id: of the file.
      box_xywh: `[4]` pixels of the image.
      points: `[N, 2]` x and y, pixels of the image.
      part: `[N]` 1 to 24.
      uv: `[N, 2]` U and V, 0 to 1.
      area: px^2 of the person in the image, as the file has it; None if it has none.
      packed_mask: the mask, compressed, because all masks of a file would need gigabytes; empty if
        the person has none.
    """

    image_id: int
    annotation_id: int
    box_xywh: np.ndarray
    points: np.ndarray
    part: np.ndarray
    uv: np.ndarray
    area: float | None
    packed_mask: bytes

    @property
    def mask(self) -> np.ndarray:
        """Coarse part at each place of the box, uint8 `[256, 256]`; 0 is the background."""
        if not self.packed_mask:
            return np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
        values = np.frombuffer(zlib.decompress(self.packed_mask), np.uint8)
        return values.reshape(MASK_SIDE, MASK_SIDE)

    @property
    def has_mask(self) -> bool:
        """True if the file has a mask of the person."""
        return bool(self.packed_mask)


class DensePoseFile(NamedTuple):
    """People of an annotation file.

    Attributes:
      people: those with points on their surface.
      without: number of annotations without such points.
      faults: what is wrong with each annotation that was left out.
      images: the file's list of images, as it is.
    """

    people: tuple[DensePosePerson, ...]
    without: int
    faults: tuple[str, ...]
    images: tuple[Any, ...]


def read_densepose(path: str | Path, *, skip_faults: bool = False) -> DensePoseFile:
    """Read the labels of people's surfaces from a DensePose-COCO file.

    Args:
      path: the file.
      skip_faults: leave out annotations whose labels are not as published, and list them.

    Raises:
      InputError: no such file, no COCO file, or an annotation whose labels are not as published;
        the message has the file and the annotation.
    """
    content = read_json(path)
    rows = content.get("annotations") if isinstance(content, Mapping) else None
    if not isinstance(rows, list):
        raise InputError(f"{path} is no DensePose-COCO file: it has no list 'annotations'.")
    people: list[DensePosePerson] = []
    faults: list[str] = []
    ids: set[int] = set()
    for number, row in enumerate(rows):
        try:
            person = _person(row, number, path)
            if person is not None and person.annotation_id in ids:
                raise InputError(
                    f"{path}: two annotations have the id {person.annotation_id}; each needs its "
                    "own."
                )
        except InputError as error:
            if not skip_faults:
                raise
            faults.append(str(error))
            continue
        if person is not None:
            ids.add(person.annotation_id)
            people.append(person)
    images = content.get("images")
    return DensePoseFile(
        tuple(people),
        len(rows) - len(people) - len(faults),
        tuple(faults),
        tuple(images) if isinstance(images, list) else (),
    )


def _person(row: Any, number: int, path: str | Path) -> DensePosePerson | None:
    """Person of an annotation; None without points on its surface."""
    if not isinstance(row, Mapping):
        raise InputError(f"{path}: annotation number {number} is no object with fields.")
    where = f"{path}, annotation {row.get('id', f'number {number}')}"
    given = [name for name in (*_POINTS, "dp_masks") if name in row]
    if not given:
        return None
    missing = [name for name in _POINTS if name not in row]
    if missing:
        raise InputError(f"{where}: has {given[0]} and no {missing[0]}; it needs all of them.")
    part, u, v, x, y = (_column(row[name], name, where) for name in _POINTS)
    if len({len(column) for column in (part, u, v, x, y)}) > 1:
        lengths = ", ".join(f"{name} {len(row[name])}" for name in _POINTS)
        raise InputError(f"{where}: the points have different lengths: {lengths}.")
    for name, column, low, high in (
        ("dp_I", part, 1, PARTS),
        ("dp_U", u, 0, 1),
        ("dp_V", v, 0, 1),
        ("dp_x", x, 0, MASK_SIDE),
        ("dp_y", y, 0, MASK_SIDE),
    ):
        wrong = np.flatnonzero(~((column >= low) & (column <= high)))
        if len(wrong):
            raise InputError(
                f"{where}: {name} of point {wrong[0]} is {column[wrong[0]]:g}, outside {low} to "
                f"{high}."
            )
    if (part != np.rint(part)).any():
        raise InputError(f"{where}: dp_I has numbers that are not whole.")
    box = _column(row.get("bbox"), "bbox", where)
    if box.shape != (4,) or not (box[2:] > 0).all():
        raise InputError(f"{where}: bbox has to be (x, y, width, height) with a positive size.")
    if not len(part):
        return None
    area = row.get("area")
    if area is not None and not _column([area], "area", where)[0] > 0:
        raise InputError(f"{where}: area is {area!r}; a positive number is needed.")
    points = np.stack([x, y], axis=1) / _LAST * box[2:] + box[:2]
    return DensePosePerson(
        _identity(row, "image_id", where),
        _identity(row, "id", where),
        box,
        points,
        part.astype(np.int64),
        np.stack([u, v], axis=1),
        None if area is None else float(area),
        _masks(row.get("dp_masks"), where),
    )


def _identity(row: Mapping[str, Any], name: str, where: str) -> int:
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        raise InputError(f"{where}: {name} is {value!r}; a whole number is needed.")
    return value


def _column(values: Any, name: str, where: str) -> np.ndarray:
    try:
        column = np.asarray(values, np.float64)
    except (TypeError, ValueError, OverflowError):
        column = np.full(1, np.nan)
    if column.ndim != 1 or not np.isfinite(column).all():
        raise InputError(f"{where}: {name} is no list of finite numbers.")
    return column


def _masks(given: Any, where: str) -> bytes:
    """Packed coarse part at each place of the box; of masks that overlap, the later part counts."""
    mask = np.zeros((MASK_SIDE, MASK_SIDE), np.uint8)
    if not given:
        return b""
    if not isinstance(given, list) or len(given) > COARSE_PARTS:
        raise InputError(f"{where}: dp_masks is no list of at most {COARSE_PARTS} masks.")
    for number, runs in enumerate(given, start=1):
        if not runs:  # a part that is not seen
            continue
        # The size is checked first: a wrong one could ask for any amount of memory.
        sized = isinstance(runs, dict) and runs.get("size") == [MASK_SIDE, MASK_SIDE]
        part = decode_runs(runs) if sized else None
        if part is None:
            raise InputError(
                f"{where}: mask {number} of dp_masks does not hold valid run lengths of "
                f"{MASK_SIDE} x {MASK_SIDE} pixels."
            )
        mask[part > 0] = number
    return zlib.compress(mask.tobytes(), 1)
