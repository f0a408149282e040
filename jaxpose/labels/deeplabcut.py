"""DeepLabCut's labels: `CollectedData_SCORER.csv` of each folder of frames, and `config.yaml`.

Lightning Pose has the same table, `CollectedData.csv` or one for each view, beside `labeled-data`.
The same table in HDF5 (`CollectedData_SCORER.h5`) is read where there is no CSV file.

Format: DeepLabCut, docs/standardDeepLabCut_UserGuide.md and docs/maDLC_UserGuide.md.
"""

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.file_limits import read_yaml
from jaxpose.labels.deeplabcut_table import (
    Table,
    is_labels_table,
    read_hdf5_table,
    read_table,
)
from jaxpose.labels.labels import Gathered, Instance, Labels, number
from jaxpose.paths import atomic_write, is_inside
from jaxpose.skeletons import Skeleton

NAME = "deeplabcut"
_SINGLE = "single"
"""Name of the individual to which DeepLabCut gives body parts that exist once in a frame."""


def read_deeplabcut(path: Path, images: Path | None = None, *, outside: bool = False) -> Labels:
    """Read a project's folder, its `config.yaml`, or one `CollectedData` file.

    Args:
      path: the folder or file.
      images: folder of the frames; if None, each frame lies beside its `CollectedData` file.
      outside: also read frames outside the project or `images`.

    Raises:
      InputError: a file is not as described, scorers differ, or there are no labels.
    """
    config, files, notes = _files(path)
    tables = [
        read_table(file) if file.suffix.lower() == ".csv" else read_hdf5_table(file)
        for file in files
    ]
    for table in tables[1:]:
        if table.scorer != tables[0].scorer:
            raise InputError(
                f"{table.path} has the scorer {table.scorer!r} in row 1, and {tables[0].path} "
                f"{tables[0].scorer!r}. Give one of the files, or write one name into both"
            )
    names = _names(tables, config)
    folder = images or (path if path.is_dir() else path.parent)
    gathered = Gathered(folder, outside, notes=notes, files=files)
    for table in tables:
        _add(gathered, table, names, images)
    return gathered.labels(NAME, path, names, _limbs(config))


def _files(path: Path) -> tuple[dict[str, Any], list[Path], list[str]]:
    """Configuration, `CollectedData` files, and remarks."""
    if path.is_file() and path.suffix.lower() in (".csv", ".h5", ".hdf5"):
        folders = path.absolute().parents
        in_project = len(folders) > 2 and folders[1].name == "labeled-data"
        beside = folders[2] / "config.yaml" if in_project else None
        return (_config(beside) if beside and beside.is_file() else {}), [path], []
    project = path if path.is_dir() else path.parent
    file = project / "config.yaml"
    config = _config(file) if file.is_file() else {}
    real = project.resolve()
    found = sorted(
        file
        for pattern in ("CollectedData*.csv", "labeled-data/*/CollectedData_*.csv")
        for file in project.glob(pattern)
        if is_inside(file, real)
    )
    # DeepLabCut writes each file in both forms; CSV needs no other package.
    found += sorted(
        file
        for file in project.glob("labeled-data/*/CollectedData_*.h5")
        if is_inside(file, real) and file.with_suffix(".csv") not in found
    )
    # Lightning Pose has a table for each view beside `labeled-data`, with any name.
    found = found or [file for file in sorted(project.glob("*.csv")) if is_labels_table(file)]
    if not found:
        raise InputError(
            f"{project} has no labeled-data/*/CollectedData_*.csv or .h5. DeepLabCut writes both "
            "when labels are saved"
        )
    scorer = config.get("scorer")
    own = [file for file in found if file.stem == f"CollectedData_{scorer}"]
    if not own or len(own) == len(found):
        return config, found, []
    left = [file for file in found if file not in own]
    note = f"{len(left)} files of other scorers than {scorer!r} are not read: {left[0]}"
    return config, own, [note]


def _config(file: Path) -> dict[str, Any]:
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise InputError(f"{file} is not DeepLabCut's config.yaml: it has no keys.")
    return content


def _listed(config: dict[str, Any], key: str) -> list[str]:
    """List of names in a configuration; empty for another value, such as `MULTI!`."""
    value = config.get(key)
    return [str(one) for one in value] if isinstance(value, list) else []


def _names(tables: Sequence[Table], config: dict[str, Any]) -> tuple[str, ...]:
    """Body parts in the order of the configuration, or of the first file."""
    found: list[str] = []
    for table in tables:
        several = {individual for individual, _, _ in table.cells} - {"", _SINGLE}
        parts = [
            part for individual, part, _ in table.cells if not (several and individual == _SINGLE)
        ]
        found += [part for part in dict.fromkeys(parts) if part not in found]
    listed = _listed(config, "multianimalbodyparts") or _listed(config, "bodyparts")
    return tuple([part for part in listed if part in found] + [p for p in found if p not in listed])


def _limbs(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of the configuration's `skeleton`, a list of pairs or of chains."""
    limbs = []
    skeleton = config.get("skeleton")
    for chain in skeleton if isinstance(skeleton, list) else []:
        if isinstance(chain, list):
            names = [str(name) for name in chain]
            limbs += list(itertools.pairwise(names))
    return limbs


def _add(gathered: Gathered, table: Table, names: tuple[str, ...], images: Path | None) -> None:
    project = gathered.folder
    beside = table.path.parent
    several = {individual for individual, _, _ in table.cells} - {"", _SINGLE}
    dropped = 0
    for name, values, row in table.rows:
        where = f"{table.path}, row {row}"
        by_individual: dict[str, dict[str, dict[str, float]]] = {}
        for (individual, part, axis), value in zip(table.cells, values, strict=True):
            if value in ("", None) or str(value).lower() == "nan":
                continue
            place = f"{where}, {' '.join(filter(None, (individual, part, axis)))}"
            own = by_individual.setdefault(individual, {})
            own.setdefault(part, {})[axis] = number(value, place)
        instances = []
        for individual, parts in by_individual.items():
            for part, point in parts.items():
                if len(point) != 2:
                    raise InputError(f"{where}: {part} has only {next(iter(point))}.")
            if several and individual == _SINGLE:
                dropped += 1
                continue
            points = {part: (point["x"], point["y"], 2) for part, point in parts.items()}
            instances.append(Instance.of(names, points, where, individual))
        plain = name.replace("\\", "/")
        last = plain.rpartition("/")[2]
        if images is None and is_inside(beside, project.resolve()):
            # The first columns have the path in the project. The frames of DeepLabCut lie beside
            # the table, those of Lightning Pose in folders.
            main = (beside / last).relative_to(project).as_posix()
            is_beside = beside.parent.name == "labeled-data"
            first, second = (main, plain) if is_beside else (plain, main)
            gathered.add(first, instances, others=(second, "/".join(plain.split("/")[-2:])))
        else:
            gathered.add(plain, instances, others=("/".join(plain.split("/")[-2:]), last))
    if dropped:
        gathered.notes.append(
            f"{dropped} x unique body parts (individual {_SINGLE!r}) are left out: {table.path}"
        )


def write_deeplabcut(labels: Labels, skeleton: Skeleton, out: Path) -> None:
    """Write a `CollectedData_jaxpose.csv` for each folder of frames, and `config.yaml`, into `out`.

    The file has four header rows if an instance has a name or an image has several. Instances
    without names are individual1, individual2, ... Flags and boxes are not written: DeepLabCut has
    none. The frames are not copied.

    Raises:
      InputError: an individual occurs twice in an image, or two images would have one row.
    """
    import yaml

    scorer = "jaxpose"
    several = any(
        len(image.instances) > 1 or any(one.individual for one in image.instances)
        for image in labels.images
    )
    found: dict[str, dict[str, dict[str, Instance]]] = {}
    individuals: dict[str, None] = {}
    for image in labels.images:
        named: dict[str, Instance] = {}
        for place, one in enumerate(image.instances, 1):
            name = one.individual or f"individual{place}" if several else ""
            if name in named:
                raise InputError(f"{one.where}: individual {name!r} occurs twice in {image.name}.")
            named[name] = one
            individuals[name] = None
        video, _, frame = image.name.rpartition("/")
        folder_name = video.rpartition("/")[2]
        video = "frames" if folder_name in ("", ".", "..") else folder_name
        frames = found.setdefault(video, {})
        if frame in frames:
            raise InputError(
                f"{image.name} would be a second row {video}/{frame}: DeepLabCut keeps the last "
                "folder of a name only. Rename one of the folders of that name."
            )
        frames[frame] = named
    order = list(individuals) or [""]
    cells = [(one, part, axis) for one in order for part in skeleton.keypoints for axis in "xy"]
    for video, frames in found.items():
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["scorer", "", "", *[scorer] * len(cells)])
        if several:
            table.writerow(["individuals", "", "", *(cell[0] for cell in cells)])
        table.writerow(["bodyparts", "", "", *(cell[1] for cell in cells)])
        table.writerow(["coords", "", "", *(cell[2] for cell in cells)])
        for frame, named in frames.items():
            values: list[str] = []
            for individual in order:
                values += _values(named.get(individual), skeleton.num_keypoints)
            table.writerow(["labeled-data", video, frame, *values])
        folder = out / "labeled-data" / video
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / f"CollectedData_{scorer}.csv", text.getvalue())
    parts = list(skeleton.keypoints)
    config = {
        "Task": skeleton.name,
        "scorer": scorer,
        "multianimalproject": several,
        "individuals": order if several else None,
        "multianimalbodyparts": parts if several else None,
        "uniquebodyparts": [] if several else None,
        "bodyparts": "MULTI!" if several else parts,
        "skeleton": [list(limb) for limb in skeleton.limbs],
    }
    content = {key: value for key, value in config.items() if value is not None}
    atomic_write(out / "config.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _values(instance: Instance | None, count: int) -> list[str]:
    """Cells of an individual: x, y of each keypoint, empty where not labelled."""
    if instance is None:
        return [""] * (2 * count)
    return [
        repr(round(float(value), 6)) if visible else ""
        for point, visible in zip(instance.keypoints, instance.visible, strict=True)
        for value in np.asarray(point)
    ]
