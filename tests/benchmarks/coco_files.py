"""Annotation files of COCO's format for drawn images."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.skeletons import Skeleton


def person(
    number: int, image_id: int, points: np.ndarray, box_xywh: Sequence[float], area: float
) -> dict[str, Any]:
    """Annotation of points `[K, 3]` (x, y, flag), which are 0 where the flag is."""
    points = np.where(points[:, 2:] > 0, points, 0).astype(float)
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": points.round(2).ravel().tolist(),
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "bbox": [round(float(side), 2) for side in box_xywh],
        "area": area,
        "iscrowd": 0,
    }


def write_document(
    out: Path,
    images: list[dict[str, Any]],
    annotations: list[dict[str, Any]],
    name: str,
    skeleton: Skeleton,
) -> None:
    """Write `annotations.json`, with one category of that name, into the folder `out`."""
    category = {
        "id": 1,
        "name": name,
        "keypoints": list(skeleton.keypoints),
        "skeleton": [[i + 1, j + 1] for i, j in skeleton.limb_indices],
    }
    document = {"images": images, "annotations": annotations, "categories": [category]}
    (out / "annotations.json").write_text(json.dumps(document))
