"""Table of DeepLabCut's labels, `CollectedData_SCORER`, in CSV or HDF5.

The header has three rows (scorer, bodyparts, coords), or four with several animals (scorer,
individuals, bodyparts, coords). A row is a frame: its path in one column or in three, then x and y
of each body part in pixels, empty where not labelled.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import ANNOTATIONS, read_text
from jaxpose.hdf5 import array, decoded, members, open_hdf5

_HEAD = 2**16
"""Bytes of a CSV file that are read to recognise it."""

Cell = tuple[str, str, str]
"""Individual (empty for a single animal), body part, and x or y of a column."""


@dataclass(frozen=True)
class Table:
    """Content of a `CollectedData` file.

    Attributes:
      path: the file.
      scorer: name of the person who labelled.
      cells: headers of the columns with numbers.
      rows: name of the frame, values (empty text if not labelled), and row in the file from 1.
    """

    path: Path
    scorer: str
    cells: tuple[Cell, ...]
    rows: tuple[tuple[str, tuple[Any, ...], int], ...]


def is_labels_table(path: Path) -> bool:
    """True for a CSV file whose header is that of labels, not of predictions with likelihoods."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return head.lstrip(b"\xef\xbb\xbf").startswith(b"scorer,") and b"likelihood" not in head


def read_table(path: Path) -> Table:
    """Read a `CollectedData` file.

    Raises:
      InputError: it is not one; the message has the row and the column.
    """
    try:
        text = read_text(path, ANNOTATIONS)
    except UnicodeDecodeError:
        raise InputError(
            f"{path} is not a text file in UTF-8: save it as CSV in UTF-8, or give the .h5 file."
        ) from None
    try:
        reader = csv.reader(io.StringIO(text, newline=""))
        numbered = [(row, reader.line_num) for row in reader if any(row)]
    except csv.Error as error:
        raise InputError(f"{path} is not CSV: {error}.") from None
    lines, places = [row for row, _ in numbered], [place for _, place in numbered]
    if lines and len(lines[0]) == 1 and ";" in lines[0][0]:
        raise InputError(f"{path} has columns separated by semicolons: save it with commas.")
    heads: dict[str, list[str]] = {}
    for line in lines:
        if line[0] not in ("scorer", "individuals", "bodyparts", "coords") or line[0] in heads:
            break
        heads[line[0]] = line
    following = lines[len(heads)][0][:40] if len(lines) > len(heads) else ""
    if following in heads:
        raise InputError(f"{path}, row {places[len(heads)]}: a second header row {following!r}.")
    needed = ["scorer", "bodyparts", "coords"]
    if "individuals" in heads:
        needed.insert(1, "individuals")
    if list(heads) != needed:
        raise InputError(
            f"{path} has the header rows {', '.join(heads) or 'none'}, and needs scorer, bodyparts "
            "and coords, or scorer, individuals, bodyparts and coords with several animals. Row "
            f"{places[len(heads)]} begins with {lines[len(heads)][0][:40]!r}"
            if len(lines) > len(heads)
            else f"{path} has no row after its header rows {', '.join(heads) or '(none)'}."
        )
    index = next((n for n, text in enumerate(heads["coords"]) if n and text), 1)
    cells = _cells(path, heads, index)
    scorers = list(dict.fromkeys(heads["scorer"][index:]))
    if len(scorers) > 1:
        raise InputError(
            f"{path}, row {places[0]}, column {heads['scorer'].index(scorers[1], index) + 1}: the "
            f"columns have the scorers {', '.join(map(repr, scorers[:5]))}. Write one name into "
            "all of them"
        )
    rows = []
    for line, number_ in numbered[len(heads) :]:
        if len(line) != index + len(cells):
            raise InputError(
                f"{path}, row {number_}: {len(line)} columns, and the header rows have "
                f"{index + len(cells)}."
            )
        name = "/".join(part for part in line[:index] if part)
        rows.append((name, tuple(line[index:]), number_))
    return Table(path, scorers[0], cells, tuple(rows))


def read_hdf5_table(path: Path) -> Table:
    """Read a `CollectedData` file in HDF5, as pandas writes it in its form `fixed`.

    Raises:
      InputError: it is not one, or in the form `table`, whose names are pickled.
    """
    with open_hdf5(path) as file:
        groups = [name for name in members(file) if "axis0_variety" in file[name].attrs]
        if not groups:
            raise InputError(
                f"{path} is not DeepLabCut's HDF5, or in pandas' form `table`, whose names are "
                "Python objects. Give the CollectedData file in CSV"
            )
        frame = file[groups[0]]
        if "block0_values" not in frame or "block1_values" in frame:
            raise InputError(f"{path}: the columns are not all numbers.")
        columns = _axis(frame, "block0_items", path)
        rows = _axis(frame, "axis1", path)
        values = array(frame, "block0_values", path)
    if values.shape != (len(rows), len(columns)) or values.dtype.kind not in "fiu":
        raise InputError(
            f"{path}: the values have the shape {values.shape} for {len(rows)} rows and "
            f"{len(columns)} columns."
        )
    several = len(columns[0]) == 4 if columns else False
    if not columns or len(columns[0]) not in (3, 4):
        raise InputError(
            f"{path}: the columns need the levels scorer, bodyparts and coords, or scorer, "
            "individuals, bodyparts and coords."
        )
    scorers = list(dict.fromkeys(column[0] for column in columns))
    if len(scorers) > 1:
        raise InputError(
            f"{path}: the columns have the scorers {', '.join(map(repr, scorers[:5]))}. Write one "
            "name into all of them"
        )
    cells = tuple((column[1] if several else "", column[-2], column[-1]) for column in columns)
    _checked(path, cells, several)
    found = tuple(
        ("/".join(row), tuple("" if np.isnan(value) else value for value in line), number_)
        for number_, (row, line) in enumerate(zip(rows, values.tolist(), strict=True), 1)
    )
    return Table(path, scorers[0], cells, found)


def _axis(frame: Any, name: str, path: Path) -> list[tuple[str, ...]]:
    """Texts of an axis of pandas: one for each entry, or one of each level."""
    count = frame.attrs.get(f"{name}_nlevels", 0)
    where = f"{path}, {name}"
    if not count:
        return [(decoded(value, where),) for value in array(frame, name, path).ravel().tolist()]
    if not isinstance(count, np.integer | int) or not 0 < count <= 4:
        raise InputError(f"{where}: {count} levels, of which there can be 1 to 4.")
    levels = []
    for level in range(int(count)):
        values = array(frame, f"{name}_level{level}", path).ravel()
        places = array(frame, f"{name}_label{level}", path).ravel()
        if places.dtype.kind not in "iu" or not ((places >= 0) & (places < len(values))).all():
            raise InputError(f"{where}: a place of level {level} is outside its names.")
        names = [decoded(value, where) for value in values.tolist()]
        levels.append([names[place] for place in places.tolist()])
    if len({len(level) for level in levels}) != 1:
        raise InputError(f"{where}: the levels have different lengths.")
    return list(zip(*levels, strict=True))


def _cells(path: Path, heads: dict[str, list[str]], index: int) -> tuple[Cell, ...]:
    length = len(heads["coords"])
    for key, line in heads.items():
        if len(line) != length:
            raise InputError(
                f"{path}: header row {key!r} has {len(line)} columns, and 'coords' {length}."
            )
    individuals = heads.get("individuals", [""] * length)[index:]
    cells = tuple(
        zip(individuals, heads["bodyparts"][index:], heads["coords"][index:], strict=True)
    )
    return _checked(path, cells, "individuals" in heads, index)


def _checked(
    path: Path, cells: tuple[Cell, ...], several: bool, index: int = 0
) -> tuple[Cell, ...]:
    """Check the headers of columns: pairs of x and y, each once, with names.

    Raises:
      InputError: they are not; the message has the column.
    """
    for column, (individual, part, coordinate) in enumerate(cells, index + 1):
        if coordinate == "likelihood":
            raise InputError(
                f"{path}, row coords, column {column}: likelihoods are in DeepLabCut's "
                "predictions, not in labels. Give the CollectedData file"
            )
        if coordinate not in ("x", "y"):
            raise InputError(f"{path}, row coords, column {column}: {coordinate!r} is not x or y.")
        if not part:
            raise InputError(f"{path}, row bodyparts, column {column}: the body part has no name.")
        if several and not individual:
            raise InputError(
                f"{path}, row individuals, column {column}: the individual has no name. Write one, "
                "or give single body parts the individual `single`"
            )
    if not cells:
        raise InputError(f"{path} has no columns with coordinates.")
    if len(set(cells)) != len(cells):
        twice = next(cell for n, cell in enumerate(cells) if cell in cells[:n])
        raise InputError(f"{path}: the column {' '.join(filter(None, twice))} occurs twice.")
    ends = {
        coordinate: {cell[:2] for cell in cells if cell[2] == coordinate} for coordinate in "xy"
    }
    if alone := ends["x"] ^ ends["y"]:
        raise InputError(f"{path}: {' '.join(filter(None, min(alone)))} has only x or only y.")
    return cells
