"""Annotations and results in COCO's files, checked against each other before they are scored."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError, not_read
from jaxpose.metrics import wholebody
from jaxpose.metrics.coco import Detections, GroundTruth, load_document
from jaxpose.metrics.crowdpose import AREA_OF_BOX
from jaxpose.metrics.people import PeopleInImages
from jaxpose.paths import atomic_write
from jaxpose.skeletons import BUILT_IN, COCO_WHOLEBODY133, Skeleton, pairs_by_name

_EXAMPLES = 3


@dataclass(frozen=True)
class Annotated:
    """Annotated people of a file.

    Attributes:
      path: the file.
      skeleton: the skeleton of the keypoints.
      truth: the people.
      file_names: name of each image by its id, relative to the folder of images.
      categories: ids of the file's categories; empty if the file lists none.
      head_boxes: `[N, 4]` two corners of each head box in pixels; None if the file has none.
    """

    path: str
    skeleton: Skeleton
    truth: GroundTruth
    file_names: Mapping[int, str]
    categories: frozenset[int]
    head_boxes: np.ndarray | None


def read_annotated(source: str | Path, skeleton: Skeleton | None = None) -> Annotated:
    """Reads people from a COCO, CrowdPose or COCO-WholeBody annotation file.

    Without areas, as in CrowdPose, an area is 0.53 of the box. Head boxes are PoseTrack's
    `bbox_head` (x, y, w, h).

    Args:
      skeleton: the skeleton of the keypoints; None finds it by the names in the file's categories
        or by the number of keypoints.

    Raises:
      InputError: no such file, not COCO keypoint annotations, no annotated person, or a skeleton
        that is unknown or does not fit.
    """
    document, where = _document(source, "annotations")
    if isinstance(document, Sequence) and not isinstance(document, str):
        raise InputError(
            f"{where} is a list, as results are. Annotations are an object with 'images' and "
            "'annotations'; give the results first and the annotations with --annotations."
        )
    if not isinstance(document, Mapping) or not isinstance(document.get("annotations"), list):
        raise InputError(f"{where} is not a COCO keypoints file: it has no list 'annotations'.")
    people = document["annotations"]
    if not people:
        raise InputError(f"{where} has no annotated person: 'annotations' is empty.")
    if not all(isinstance(person, Mapping) for person in people):
        raise InputError(f"{where}: 'annotations' must be a list of objects.")
    if not any("keypoints" in person for person in people):
        raise InputError(
            f"{where}: no annotation has 'keypoints'. COCO's file of keypoints is named "
            "person_keypoints_val2017.json."
        )
    whole = "foot_kpts" in people[0] and (skeleton is None or skeleton == COCO_WHOLEBODY133)
    if whole:
        skeleton = COCO_WHOLEBODY133
        truth = _naming(where, lambda: wholebody.read_ground_truth(document))
    else:
        areas = any("area" in person for person in people)
        truth = _naming(
            where,
            lambda: GroundTruth.from_coco(document, area_of_box=None if areas else AREA_OF_BOX),
        )
        skeleton = _skeleton(where, document, truth.keypoints.shape[1], skeleton)
    named = [image for image in _objects(where, document, "images") if "file_name" in image]
    return Annotated(
        where,
        skeleton,
        truth,
        {i["id"]: str(i["file_name"]) for i in named if isinstance(i.get("id"), int | str)},
        frozenset(
            category["id"]
            for category in _objects(where, document, "categories")
            if isinstance(category.get("id"), int)
        ),
        _head_boxes(people),
    )


def read_results(source: str | Path, annotated: Annotated) -> tuple[PeopleInImages, list[str]]:
    """Reads a COCO keypoint results file and checks it against the annotations.

    Returns:
      The people, and remarks on results that can be scored but may be wrong: entries that occur
      twice, and images without results.

    Raises:
      InputError: no such file, not keypoint results, no result, or results of other images, of
        another category or of another skeleton; the message names the first.
    """
    document, where = _document(source, "results")
    _check_form(document, where)
    joined = "foot_kpts" in document[0] and annotated.skeleton == COCO_WHOLEBODY133
    read = wholebody.read_detections if joined else Detections.from_coco_results
    found = _naming(where, lambda: read(document))
    _check_fit(where, found, annotated)
    return PeopleInImages(annotated.skeleton, annotated.truth, found), [
        *_repeated(where, found),
        *_coverage(where, found, annotated.truth),
    ]


def _document(source: str | Path, name: str) -> tuple[Any, str]:
    try:
        return load_document(source, name)
    except (FileNotFoundError, IsADirectoryError):
        path = Path(source)
        kind = "is a folder, not a file" if path.is_dir() else "does not exist"
        raise InputError(f"The file of {name} {path} {kind}.") from None
    except OSError as error:
        raise not_read(source, error) from error


def _naming(where: str, read: Any) -> Any:
    """Result of `read`; the file is named in its errors."""
    try:
        return read()
    except InputError as error:
        words = re.sub(r"the given (annotations|detections)", lambda _: where, str(error))
        raise InputError(words if where in words else f"{where}: {words}") from error


def _objects(where: str, document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Entries of an optional list of a document."""
    entries = document.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(one, Mapping) for one in entries):
        raise InputError(f"{where}: {key!r} must be a list of objects.")
    return entries


def _skeleton(
    where: str, document: Mapping[str, Any], count: int, given: Skeleton | None
) -> Skeleton:
    if given is not None:
        if given.num_keypoints != count:
            raise InputError(
                f"{where} has {count} keypoints for each person, and skeleton {given.name!r} has "
                f"{given.num_keypoints}."
            )
        return given
    listed = [c.get("keypoints") for c in _objects(where, document, "categories")]
    names = next((names for names in listed if isinstance(names, list) and names), None)
    same = [s for s in BUILT_IN.values() if s.num_keypoints == count]
    if names is not None:
        plain = [str(name).strip().lower().replace(" ", "_").replace("-", "_") for name in names]
        agree = {
            s.name: sum(a == b for a, b in zip(plain, s.keypoints, strict=False)) for s in same
        }
        best = max(same, key=lambda s: agree[s.name], default=None)
        # Files name a few points in other words: CrowdPose's "head" is the top of the head.
        if best is not None and agree[best.name] >= 0.75 * count:
            return best
        if len(set(plain)) == count:
            return Skeleton("annotated", tuple(plain), pairs_by_name(plain))
    elif len(same) == 1:
        return same[0]
    raise InputError(
        f"{where} has {count} keypoints for each person without their names: give --skeleton, a "
        "name or a file."
    )


def _head_boxes(people: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
    """Corners `[N, 4]` of `bbox_head`; NaN where a person has none, None where all have none."""
    rows = [person.get("bbox_head") for person in people]
    if not any(rows):
        return None
    boxes = np.array([row if row and len(row) == 4 else [np.nan] * 4 for row in rows], np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _check_form(document: Any, where: str) -> None:
    if isinstance(document, Mapping):
        hint = ""
        if "photos" in document or "frames" in document:
            hint = " `jaxpose predict` writes such a list with --format coco."
        elif "annotations" in document:
            hint = " This file has annotations; give it with --annotations."
        raise InputError(
            f"{where} is an object; COCO results are a list with an entry for each person.{hint}"
        )
    if not isinstance(document, list):
        raise InputError(f"{where} is not a COCO results file: it must be a list of people.")
    if not document:
        raise InputError(f"{where} is an empty list: it has no result to score.")
    if not all(isinstance(entry, Mapping) for entry in document):
        raise InputError(f"{where}: each entry must be an object with 'keypoints' and 'score'.")
    if not any("keypoints" in entry for entry in document):
        what = " They have boxes: detections are for --boxes of `jaxpose eval`."
        raise InputError(
            f"{where}: the entries have no 'keypoints'.{what if 'bbox' in document[0] else ''}"
        )


def _check_fit(where: str, found: Detections, annotated: Annotated) -> None:
    truth, skeleton = annotated.truth, annotated.skeleton
    if found.keypoints.shape[1] != skeleton.num_keypoints:
        raise InputError(
            f"{where} has {found.keypoints.shape[1]} keypoints for each person, and "
            f"{annotated.path} has {skeleton.num_keypoints} ({skeleton.name}): the results are of "
            "another skeleton."
        )
    listed = np.unique(truth.image_id) if truth.images is None else truth.images
    foreign = ~np.isin(found.image_id, listed)
    if foreign.any():
        ids = np.unique(found.image_id[foreign])
        images = len(np.unique(found.image_id))
        none = "none of their" if len(ids) == images else f"{len(ids):,} of their {images:,}"
        verb = "is" if len(ids) == images else "are not"
        raise InputError(
            f"{where} has results of other images than {annotated.path}: {none} images {verb} "
            f"annotated there (the first unknown image id is {found.image_id[foreign][0]}). Score "
            "them with the annotations of the same dataset and split."
        )
    odd = ~np.isin(found.category_id, list(annotated.categories)) if annotated.categories else None
    if odd is not None and odd.any():
        raise InputError(
            f"{where}: {int(odd.sum()):,} results have a category_id that {annotated.path} does "
            f"not list (the first is {found.category_id[odd][0]}; it lists "
            f"{', '.join(map(str, sorted(annotated.categories)[:_EXAMPLES]))})."
        )


def _repeated(where: str, found: Detections) -> Iterator[str]:
    points = np.ascontiguousarray(found.keypoints.reshape(len(found), -1))
    entries = list(
        zip(
            found.image_id.tolist(),
            found.category_id.tolist(),
            map(bytes, points.view(np.uint8)),
            strict=True,
        )
    )
    counts = Counter(entries)
    again = len(entries) - len(counts)
    if again:
        first = next(i for i, entry in enumerate(entries) if counts[entry] > 1)
        yield (
            f"{again:,} of the {len(entries):,} results in {where} repeat another one, image and "
            f"keypoints (first: entry {first}, image id {found.image_id[first]}). Each repetition "
            "counts as a false positive."
        )


def _coverage(where: str, found: Detections, truth: GroundTruth) -> Iterator[str]:
    peopled = np.unique(truth.image_id[~truth.ignore])
    covered = int(np.isin(peopled, found.image_id).sum())
    if covered < len(peopled):
        yield (
            f"{where} has results for {covered:,} of the {len(peopled):,} images with people; "
            "people in the others count as not found."
        )


# Digits of keypoints in results: a thousandth of a pixel.
_DIGITS = 3


def result_entry(
    image_id: int, keypoints: np.ndarray, scores: np.ndarray, score: float
) -> dict[str, Any]:
    """Entry of one person in COCO keypoint results (cocodataset.org/#format-results).

    Args:
      image_id: id in the annotations.
      keypoints: `[K, 2]` pixels of the image.
      scores: `[K]` in [0, 1].
      score: of the person (`metrics.oks.person_score`), which is not rounded: results are ranked
        by it.
    """
    points = np.concatenate([keypoints, scores[:, None]], axis=1, dtype=np.float64)
    return {
        "image_id": image_id,
        "category_id": 1,
        "keypoints": points.round(_DIGITS).ravel().tolist(),
        "score": float(score),
    }


def write_results(path: str | Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Writes COCO keypoint results, one entry in a line."""
    lines = ",\n ".join(json.dumps(dict(entry), allow_nan=False) for entry in results)
    atomic_write(Path(path), f"[\n {lines}\n]\n")
