"""Poses as CSV files of the BOP challenge: METHOD_DATASET-SPLIT.csv, in and out."""

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.geometry.rigid import RigidPose
from jaxpose.paths import atomic_write

_COLUMNS = ("scene_id", "im_id", "obj_id", "score", "R", "t", "time")
_ORTHONORMAL = 1e-2


class BopPose(NamedTuple):
    """One row of results.

    Attributes:
      scene_id, image_id, object_id: numbers in the dataset.
      score: confidence; unbounded.
      pose: in the camera's frame, mm.
      seconds: time for the whole image, the same in all of its rows; -1 where not measured.
    """

    scene_id: int
    image_id: int
    object_id: int
    score: float
    pose: RigidPose
    seconds: float = -1.0


def write_bop_results(path: Path, poses: Iterable[BopPose]) -> None:
    """Writes poses as the toolkit reads them (`bop19`): R row by row and t separated by spaces."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for row in poses:
        R, t = (" ".join(f"{v:.9g}" for v in np.ravel(part)) for part in row.pose)
        place = row.scene_id, row.image_id, row.object_id
        table.writerow([*place, f"{row.score:.6g}", R, t, f"{row.seconds:.6g}"])
    atomic_write(path, text.getvalue())


def read_bop_results(path: Path) -> list[BopPose]:
    """Reads the poses of a file of the BOP challenge.

    Raises:
      InputError: the file is missing or has other columns; a row whose numbers are not a pose.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist.")
    try:
        rows = list(csv.reader(io.StringIO(read_text(path, ANNOTATIONS))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a text file of results ({error}).") from error
    if not rows or tuple(name.strip() for name in rows[0]) != _COLUMNS:
        raise InputError(f"{path} has not the columns {','.join(_COLUMNS)} of a file of results.")
    return [_pose(path, number, row) for number, row in enumerate(rows[1:], start=2) if row]


def _pose(path: Path, line: int, row: list[str]) -> BopPose:
    try:
        scene, image, number, score, turn, shift, seconds = row
        R = np.array(turn.split(), np.float64).reshape(3, 3)
        t = np.array(shift.split(), np.float64).reshape(3)
        made = BopPose(
            int(scene), int(image), int(number), float(score), RigidPose(R, t), float(seconds)
        )
    except (OverflowError, ValueError) as error:
        raise InputError(
            f"{path}, line {line}: seven columns with nine numbers of R and three of t are needed."
        ) from error
    finite = np.isfinite(R).all() and np.isfinite(t).all() and np.isfinite(made.score)
    if not finite or np.abs(R @ R.T - np.eye(3)).max() > _ORTHONORMAL or np.linalg.det(R) < 0:
        raise InputError(f"{path}, line {line}: R is not a rotation, or a number is not finite.")
    return made
