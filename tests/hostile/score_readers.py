"""Rows of the table for what `jaxpose score` reads: annotations with keypoints, and results."""

import json
from pathlib import Path
from typing import Any

from jaxpose.metrics import annotated_results, wholebody
from jaxpose.skeletons import COCO17
from tests.hostile.reader import Files, Reader

_LISTS = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21}
_LISTS |= {"righthand_kpts": 21}


def coco_document() -> dict[str, Any]:
    """Annotations of three images with a person each, and a category of dogs."""
    keypoints = [float(v) for i in range(17) for v in (2 + i % 9, 3 + i % 7, 2)]
    person = {"category_id": 1, "keypoints": keypoints, "num_keypoints": 17, "iscrowd": 0}
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 48, "height": 36} for i in range(3)],
        "annotations": [
            {"id": 5 + i, "image_id": i, "bbox": [1, 1, 12, 11.5], "area": 90.5, **person}
            for i in range(3)
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO17.keypoints)},
            {"id": 2, "name": "dog", "keypoints": ["nose", "tail"]},
        ],
    }


def _found() -> list[dict[str, Any]]:
    keypoints = [float(v) for i in range(17) for v in (2 + i % 9, 3 + i % 7, 0.9)]
    person = {"category_id": 1, "keypoints": keypoints, "score": 0.5}
    return [{"image_id": i, **person} for i in range(3)]


def _both(truth: Any, found: Any) -> list[Files]:
    """Both files, each of them first once."""
    files = {"truth.json": json.dumps(truth).encode(), "found.json": json.dumps(found).encode()}
    return [files, dict(reversed(files.items()))]


def _wholebody() -> list[Files]:
    parts = {name: [5.0, 6.0, 2.0] * count for name, count in _LISTS.items()}
    truth = coco_document()
    truth["annotations"] = [person | parts for person in truth["annotations"]]
    return _both(truth, [person | parts for person in _found()])


def _read_both(folder: Path) -> Any:
    annotated = annotated_results.read_annotated(folder / "truth.json")
    return annotated_results.read_results(folder / "found.json", annotated)


def _read_wholebody(folder: Path) -> Any:
    truth = wholebody.read_ground_truth(folder / "truth.json")
    return truth, wholebody.read_detections(folder / "found.json")


SCORE_READERS: tuple[Reader, ...] = (
    Reader(
        "results to score",
        _read_both,
        lambda: _both(coco_document(), _found()),
        lambda found: len(found[0].found.image_id) == 3,
    ),
    Reader(
        "WholeBody",
        _read_wholebody,
        _wholebody,
        lambda found: found[0].keypoints.shape == (3, 133, 2) == found[1].keypoints.shape,
    ),
)
