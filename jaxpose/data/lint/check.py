"""Checks of annotations for faults, as run by `jaxpose data check`.

Malformed annotations are found here; `plausible` finds well-formed but implausible ones.
"""

import posixpath
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.canvas import size_difference, turn_shows, where_missing
from jaxpose.data.lint.finding import Finding, People, Severity
from jaxpose.data.lint.plausible import check_people
from jaxpose.data.source import Source
from jaxpose.errors import InputError, nearest
from jaxpose.media.image import exif_orientation, read_image
from jaxpose.paths import is_file, is_inside
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.names import compare_names

# Number of images opened to check their size: enough to find a systematic fault.
_OPENED = 64
_ORDER = {"error": 0, "warning": 1, "info": 2}


def check_annotations(
    document: Any, skeleton: Skeleton, image_folder: Path | None = None
) -> list[Finding]:
    """Checks a parsed COCO keypoints file; returns all findings, errors first.

    Args:
      document: the parsed content of the file, of any type.
      skeleton: the skeleton that its keypoints should have.
      image_folder: the folder that its `file_name` entries are relative to; None skips the checks
        of image files.

    Returns:
      Findings; invalid content becomes a finding and never an exception.
    """
    broken = _not_coco(document)
    if broken:
        return [broken]
    findings, usable = _categories(document["categories"], skeleton)
    if any(finding.code == "other-skeleton" for finding in findings) and not usable:
        return findings
    images, image_findings = _images(document["images"])
    findings += image_findings
    others = {
        e.get("id") for e in document["categories"] if e.get("keypoints") and _is_id(e.get("id"))
    }.difference(filter(_is_id, usable))
    listed = set(filter(_is_id, (entry.get("id") for entry in document["categories"])))
    people, entry_findings = _entries(
        document["annotations"], images, usable, others, listed, skeleton
    )
    findings += entry_findings
    findings += check_people(people, skeleton)
    if image_folder is not None:
        used = {a["image_id"] for a in document["annotations"] if _whole(a.get("image_id"))}
        findings += _files([images[i] for i in sorted(used) if i in images], image_folder)
    return in_order(findings)


def check_source(
    source: Source, limit: int | None = None, on_batch: Callable[[int], None] = lambda done: None
) -> list[Finding]:
    """Checks prepared records in canvas pixels; returns all findings, errors first.

    Args:
      source: the records.
      limit: check at most so many records, spread evenly; None checks all.
      on_batch: called with the number of records checked so far.
    """
    if not len(source):
        return [Finding("error", "empty", "the dataset contains no people", 0)]
    number = len(source) if limit is None else min(limit, len(source))
    chosen = np.unique(np.linspace(0, len(source) - 1, number).round().astype(np.int64))
    parts = defaultdict(list)
    for start in range(0, len(chosen), 64):
        batch = source.samples(chosen[start : start + 64])
        for name in ("keypoints", "visible", "box_xywh", "area", "photo_from_canvas"):
            parts[name].append(np.asarray(batch[name], np.float64))
        parts["annotation_id"].append(batch["annotation_id"])
        on_batch(min(start + 64, len(chosen)))
    columns = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    ids = columns["annotation_id"]
    who = [f"record {row} (annotation {i})" for row, i in zip(chosen, ids, strict=True)]
    finite = np.ones(len(ids), bool)
    for name in ("keypoints", "box_xywh", "area", "photo_from_canvas"):
        finite &= np.isfinite(columns[name].reshape(len(ids), -1)).all(axis=1)
    positive = (columns["box_xywh"][:, 2:] > 0).all(axis=1)
    good = finite & positive
    faults = _Faults()
    for row in np.flatnonzero(~good):
        faults.add("not-finite" if not finite[row] else "negative-box", who[row])
    for row in np.flatnonzero(_repeats(ids)):
        faults.add("annotation-id-twice", who[row])
    matrix = columns["photo_from_canvas"][good][:, :, :2]
    height, width = source.canvas_hw
    people = People(
        who=[who[row] for row in np.flatnonzero(good)],
        keypoints=columns["keypoints"][good],
        visible=columns["visible"][good],
        box_xywh=columns["box_xywh"][good],
        # Areas are in image pixels; one canvas pixel covers |det| image pixels.
        area=columns["area"][good] / np.maximum(np.abs(np.linalg.det(matrix)), 1e-12),
        frame_wh=np.full((int(good.sum()), 2), (width, height), np.float64),
    )
    findings = check_people(people, source.skeleton, frame="canvas")
    return in_order(faults.findings() + findings)


def in_order(findings: list[Finding]) -> list[Finding]:
    """Sorts findings: errors, then warnings, then statistics."""
    return sorted(findings, key=lambda finding: _ORDER[finding.severity])


_FAULTS: dict[str, tuple[Severity, str]] = {
    "annotation-id-twice": (
        "error",
        "annotation ids are used twice; the second one is left out",
    ),
    "id-not-a-number": ("error", "id or image_id is not a whole number"),
    "unknown-photo": ("error", "image_id is not among the file's images"),
    "unknown-category": ("error", "category_id is not among the file's categories"),
    "category-without-keypoints": (
        "error",
        "annotations with keypoints, of a category that does not name them",
    ),
    "category-not-taken": (
        "info",
        "annotations of categories without keypoints are left out",
    ),
    "other-category": (
        "info",
        "annotations of a category with the keypoints of another skeleton; they are left out",
    ),
    "no-keypoints-entry": ("error", "annotations without 'keypoints'"),
    "keypoints-length": (
        "error",
        "'keypoints' has not 3 numbers per keypoint of the skeleton",
    ),
    "not-numbers": ("error", "keypoints, box or area are not numbers"),
    "not-finite": ("error", "NaN, infinite or far too large numbers in keypoints, box or area"),
    "bad-flag": ("error", "keypoint flag other than 0, 1 or 2"),
    "no-box": ("error", "no 'bbox' of four numbers"),
    "negative-box": ("error", "box without width or height, or with a negative one"),
    "no-area": ("warning", "no 'area'; OKS uses 0.53 of the box's area instead"),
    "hidden-from-score": (
        "error",
        "num_keypoints is 0 although keypoints are labelled: COCO's evaluation ignores them",
    ),
    "num-keypoints": ("warning", "num_keypoints is not the number of labelled keypoints"),
    "crowd": ("info", "crowd regions; they are used neither in training nor in scores"),
}


class _Faults:
    """Collects the examples of each fault of `_FAULTS`."""

    def __init__(self) -> None:
        self._who: dict[str, list[str]] = defaultdict(list)

    def add(self, code: str, who: str) -> None:
        self._who[code].append(who)

    def findings(self) -> list[Finding]:
        return [
            Finding(severity, code, message, len(self._who[code]), tuple(self._who[code][:3]))
            for code, (severity, message) in _FAULTS.items()
            if code in self._who
        ]


def _not_coco(document: Any) -> Finding | None:
    keys = ("images", "annotations", "categories")
    if not isinstance(document, dict):
        kind = type(document).__name__
        message = f"not COCO JSON: it holds a {kind}, not an object with {', '.join(keys)}"
        if isinstance(document, list) and document and isinstance(document[0], dict):
            message += "; a list of people is a results file, not annotations"
        return Finding("error", "not-coco", message, 1)
    for key in keys:
        if key not in document:
            hint = nearest(key, map(str, document))
            return Finding("error", "not-coco", f"not COCO JSON: it has no {key!r}.{hint}", 1)
        value = document[key]
        if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
            message = f"not COCO JSON: {key!r} is not a list of objects"
            return Finding("error", "not-coco", message, 1)
    for key in ("images", "annotations"):
        if not document[key]:
            return Finding("error", "empty", f"the dataset holds nothing: {key!r} is empty", 0)
    return None


def _categories(
    entries: list[dict[str, Any]], skeleton: Skeleton
) -> tuple[list[Finding], list[Any]]:
    """Findings, and the ids of the categories that have this skeleton's keypoints."""
    with_keypoints = [entry for entry in entries if entry.get("keypoints")]
    if not with_keypoints:
        message = "no category lists the names of its keypoints; add them to the one of people"
        names = tuple(str(entry.get("name", entry.get("id"))) for entry in entries[:3])
        finding = Finding("error", "categories-without-keypoints", message, len(entries), names)
        return [finding], []
    findings, usable = [], []
    others: list[str] = []
    for entry in with_keypoints:
        name, listed = entry.get("name", entry.get("id")), entry["keypoints"]
        size = len(listed) if isinstance(listed, list) else 0
        if size != skeleton.num_keypoints:
            others.append(
                f"category {name!r} has {size} keypoints, skeleton {skeleton.name!r} has "
                f"{skeleton.num_keypoints}"
            )
            continue
        usable.append(entry.get("id"))
        compared = compare_names([str(keypoint) for keypoint in listed], skeleton)
        if compared.moved:
            message = f"category {name!r} has the keypoints of {skeleton.name!r} in another order"
            moved = tuple(f"{a} where {b} is expected" for _, a, b in compared.moved)
            findings.append(Finding("error", "keypoint-order", message, len(moved), moved))
        elif compared.renamed:
            message = f"category {name!r} has other keypoint names than {skeleton.name!r}"
            renamed = tuple(f"{a} where {b} is expected" for a, b in compared.renamed)
            findings.append(Finding("warning", "keypoint-names", message, len(renamed), renamed))
    if others:
        # A file of people and dogs is usable for each with its own skeleton.
        severity: Severity = "info" if usable else "error"
        message = (
            "categories with the keypoints of another skeleton; their annotations are left out"
            if usable
            else "no category has this skeleton; choose the right one with --skeleton"
        )
        findings.append(
            Finding(severity, "other-skeleton", message, len(others), tuple(others[:3]))
        )
    return findings, usable


def _images(entries: list[dict[str, Any]]) -> tuple[dict[int, dict[str, Any]], list[Finding]]:
    findings = []
    ids = [entry.get("id") for entry in entries]
    bad = [e for e in entries if not _whole(e.get("id"))]
    if bad:
        names = tuple(str(e.get("file_name", "?")) for e in bad[:3])
        message = "images whose id is not a whole number"
        findings.append(Finding("error", "photo-id-not-a-number", message, len(bad), names))
    twice = [i for i, number in Counter(filter(_whole, ids)).items() if number > 1]
    if twice:
        message = "image ids are used twice, so keypoints may be matched with the wrong image"
        names = tuple(f"image id {i}" for i in twice[:3])
        findings.append(Finding("error", "photo-id-twice", message, len(twice), names))
    ids_of: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        if _whole(entry.get("id")) and isinstance(entry.get("file_name"), str):
            ids_of[posixpath.normpath(entry["file_name"])].append(entry["id"])
    shared = [(name, ids) for name, ids in ids_of.items() if len(set(ids)) > 1]
    if shared:
        message = "file names of several image ids; only the people of the first id are used"
        names = tuple(f"{name} of image ids {', '.join(map(str, ids))}" for name, ids in shared[:3])
        findings.append(Finding("error", "photo-file-twice", message, len(shared), names))
    return {e["id"]: e for e in entries if _whole(e.get("id"))}, findings


def _entries(
    entries: list[dict[str, Any]],
    images: dict[int, dict[str, Any]],
    usable: list[Any],
    others: set[Any],
    listed: set[Any],
    skeleton: Skeleton,
) -> tuple[People, list[Finding]]:
    """Valid people, and the faults of the others."""
    faults, seen = _Faults(), set()
    who: list[str] = []
    tables: list[np.ndarray] = []
    boxes: list[np.ndarray] = []
    areas: list[float] = []
    frames: list[list[float]] = []
    for place, entry in enumerate(entries):
        name = _name(entry, place, images)
        number, image_id = entry.get("id"), entry.get("image_id")
        if not _whole(number) or not _whole(image_id):
            faults.add("id-not-a-number", name)
            continue
        if number in seen:
            faults.add("annotation-id-twice", name)
        seen.add(number)
        if image_id not in images:
            faults.add("unknown-photo", name)
            continue
        category = entry.get("category_id")
        if usable and category not in usable:
            known = _is_id(category)
            if known and category in others:
                faults.add("other-category", name)
            elif not known or category not in listed:
                faults.add("unknown-category", name)
            elif entry.get("keypoints"):
                faults.add("category-without-keypoints", name)
            else:
                faults.add("category-not-taken", name)
            continue
        if entry.get("iscrowd"):
            faults.add("crowd", name)
            continue
        fault, table, box, area = _numbers(entry, skeleton)
        if fault:
            faults.add(fault, name)
            continue
        if np.isnan(area):
            faults.add("no-area", name)
        labelled, said = int((table[:, 2] > 0).sum()), entry.get("num_keypoints")
        if said is not None and said != labelled:
            faults.add("num-keypoints" if said else "hidden-from-score", name)
        image = images[image_id]
        who.append(name)
        tables.append(table)
        boxes.append(box)
        areas.append(area)
        frames.append([_side(image.get("width")), _side(image.get("height"))])
    table = np.array(tables).reshape(len(who), skeleton.num_keypoints, 3)
    people = People(
        who=who,
        keypoints=table[..., :2],
        visible=table[..., 2],
        box_xywh=np.array(boxes).reshape(len(who), 4),
        area=np.array(areas, np.float64),
        frame_wh=np.array(frames, np.float64).reshape(len(who), 2),
    )
    return people, faults.findings()


def _side(value: Any) -> float:
    return float(value) if _whole(value) and 0 < value < _ABSURD else float("nan")


_NOTHING = np.zeros(0)
# No image is this large, and smaller numbers cannot overflow in the computations below.
_ABSURD = 1e9


def _numbers(
    entry: dict[str, Any], skeleton: Skeleton
) -> tuple[str, np.ndarray, np.ndarray, float]:
    """Name of a fault or "", keypoints `[K, 3]`, box `[4]`, area (NaN where absent)."""
    if not entry.get("keypoints"):
        return "no-keypoints-entry", _NOTHING, _NOTHING, 0.0
    try:
        table = np.asarray(entry["keypoints"], np.float64).reshape(-1)
        box = np.asarray(entry.get("bbox") or [], np.float64).reshape(-1)
        area = float("nan") if entry.get("area") is None else float(entry["area"])
    except (TypeError, ValueError, OverflowError):
        return "not-numbers", _NOTHING, _NOTHING, 0.0
    # Coordinates of unlabelled keypoints may be anything; they become 0.
    flags = np.repeat(table[2::3], 3)[: table.size]
    table = np.where(flags == 0, 0, table) if flags.size == table.size else table
    # Comparisons with NaN are False.
    finite = (np.abs(table) < _ABSURD).all() and (np.abs(box) < _ABSURD).all()
    checks = {
        "keypoints-length": table.size == 3 * skeleton.num_keypoints,
        "no-box": box.size == 4,
        "not-finite": finite and (entry.get("area") is None or abs(area) < _ABSURD**2),
        "bad-flag": np.isin(table[2::3], (0, 1, 2)).all(),
        "negative-box": (box[2:] > 0).all(),
    }
    fault = next((code for code, sound in checks.items() if not sound), "")
    return fault, table if fault else table.reshape(-1, 3), box, area


def _files(images: list[dict[str, Any]], folder: Path) -> list[Finding]:
    """Images that are missing, unreadable or of another size than the annotations state."""
    if not folder.is_dir():
        return [Finding("error", "photo-missing", f"there is no folder {folder}", len(images))]
    names = [str(image.get("file_name", "")) for image in images]
    real_folder, findings = folder.resolve(), []
    outside = [name for name in names if name and not is_inside(folder / name, real_folder)]
    if outside:
        message = f"file names that lead out of {folder}; `prepare` leaves them out"
        examples = tuple(outside[:3])
        findings.append(Finding("error", "photo-outside", message, len(outside), examples))
    there = [bool(name) and is_file(folder / name) for name in names]
    absent = [name for name, exists in zip(names, there, strict=True) if not exists]
    if absent:
        message = f"images are not in {folder}"
        tried = tuple(where_missing(folder / name, name) for name in absent[:3])
        findings.append(Finding("error", "photo-missing", message, len(absent), tried))
    present = [image for image, exists in zip(images, there, strict=True) if exists]
    step = max(1, len(present) // _OPENED)
    other, unreadable, turned = [], [], []
    for image in present[::step][:_OPENED]:
        path = folder / str(image["file_name"])
        try:
            height, width = read_image(path).shape[:2]
            orientation = exif_orientation(path)
        except InputError as error:
            unreadable.append(str(error))
            continue
        declared: tuple[Any, Any] = (image.get("height"), image.get("width"))
        if None not in declared and declared != (height, width):
            difference = size_difference((height, width), declared, orientation)
            other.append(f"{image['file_name']}: {difference}")
        elif not turn_shows(orientation, (height, width), None if None in declared else declared):
            turned.append(f"{image['file_name']} (orientation {orientation})")
    if turned:
        message = (
            "images are turned or mirrored by EXIF, and their size does not show whether the "
            "labels fit the upright image, which is used: look at the samples "
            f"({len(present[::step][:_OPENED])} were opened)"
        )
        findings.append(Finding("warning", "photo-turned", message, len(turned), tuple(turned[:3])))
    if unreadable:
        message = f"images cannot be read ({len(present[::step][:_OPENED])} were opened)"
        findings.append(
            Finding("error", "photo-unreadable", message, len(unreadable), tuple(unreadable[:3]))
        )
    if other:
        message = (
            "images have another size than the file says, so the keypoints do not fit them "
            f"({len(present[::step][:_OPENED])} were opened)"
        )
        findings.append(Finding("error", "photo-size", message, len(other), tuple(other[:3])))
    return findings


def _name(entry: dict[str, Any], place: int, images: dict[int, dict[str, Any]]) -> str:
    image_id = entry.get("image_id")
    image = images.get(image_id) if _whole(image_id) else None  # type: ignore[arg-type]
    where = image.get("file_name", f"image {image_id}") if image else f"image {image_id!r}"
    return f"annotation {entry['id']} in {where}" if "id" in entry else f"annotations[{place}]"


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _repeats(ids: np.ndarray) -> np.ndarray:
    """Boolean array `[N]`: True where a value has occurred before."""
    repeated = np.ones(len(ids), bool)
    repeated[np.unique(ids, return_index=True)[1]] = False
    return repeated
