"""Generated COCO keypoint evaluations with every awkward case, for tests and the benchmark."""

import contextlib
import io
from typing import Any

import numpy as np

# pycocotools' kpt_oks_sigmas
SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035),
    *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
    *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)


def people(seed: int, images: int, count: int, *, categories: int = 1) -> dict[str, Any]:
    """A COCO keypoints document: crowds, unlabelled people, all sizes, photos without people."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(10 * images)[:images] + 1
    # About half of COCO's photos show people, some of them many.
    crowded = ids[: max(1, int(0.54 * images))]
    weight = rng.exponential(size=len(crowded))
    image = rng.choice(crowded, count, p=weight / weight.sum())
    size = np.exp(rng.uniform(np.log(12), np.log(400), count))
    box = np.stack(
        [rng.uniform(0, 600, count), rng.uniform(0, 400, count), 0.5 * size, size], axis=1
    )
    points = box[:, None, :2] + rng.uniform(0, 1, (count, 17, 2)) * box[:, None, 2:]
    visible = rng.choice(3, (count, 17), p=[0.3, 0.1, 0.6])
    visible[rng.random(count) < 0.4] = 0
    points[visible == 0] = 0
    crowd = rng.random(count) < 0.03
    flat = np.concatenate([points.round(0), visible[..., None]], axis=-1).reshape(count, 51)
    annotations = [
        {
            "id": i + 1,
            "image_id": int(image[i]),
            "category_id": int(rng.integers(categories)) + 1,
            "bbox": box[i].tolist(),
            "area": float(box[i, 2] * box[i, 3] * rng.uniform(0.3, 0.7)),
            "iscrowd": int(crowd[i]),
            "keypoints": flat[i].tolist(),
            "num_keypoints": int((visible[i] > 0).sum()),
        }
        for i in range(count)
    ]
    return {
        "images": [{"id": int(i), "width": 640, "height": 480} for i in ids],
        "annotations": annotations,
        "categories": [{"id": c + 1, "name": f"kind {c}"} for c in range(categories)],
    }


def detections(
    document: dict[str, Any], seed: int, count: int, *, boxes: bool = False
) -> list[dict[str, Any]]:
    """Good, poor, doubled and invented people, with many equal scores; some photos over 20."""
    rng = np.random.default_rng(seed)
    truth = document["annotations"]
    images = [image["id"] for image in document["images"]]
    kinds = [category["id"] for category in document["categories"]]
    quality = np.exp(rng.uniform(np.log(0.002), np.log(0.5), count))
    chosen = rng.integers(len(truth), size=count) if truth else np.zeros(count, int)
    invented = rng.random(count) < (0.35 if truth else 1.0)
    scores = rng.random(count)
    coarse = rng.random(count) < 0.5
    scores[coarse] = scores[coarse].round(1)
    results = []
    for i in range(count):
        if invented[i]:
            size = np.exp(rng.uniform(np.log(12), np.log(400)))
            points = rng.uniform(0, 600, 2) + rng.uniform(0, 1, (17, 2)) * [0.5 * size, size]
            full_image, kind = images[rng.integers(len(images))], kinds[rng.integers(len(kinds))]
        else:
            person = truth[chosen[i]]
            points = np.array(person["keypoints"]).reshape(17, 3)
            x, y, width, height = person["bbox"]
            guess = [x, y] + rng.uniform(0, 1, (17, 2)) * [width, height]
            points = np.where(points[:, 2:] > 0, points[:, :2], guess)
            points = points + rng.normal(size=(17, 2)) * quality[i] * height
            full_image, kind = person["image_id"], person["category_id"]
        flat = np.concatenate([points, np.ones((17, 1))], axis=1).ravel()
        result = {
            "image_id": full_image,
            "category_id": kind,
            "keypoints": flat.tolist(),
            "score": float(scores[i]),
        }
        if boxes:
            result["bbox"] = [0.0, 0.0, *rng.uniform(10, 200, 2).tolist()]
        results.append(result)
    return results


def pycocotools_stats(document: Any, results: Any, sigmas: Any = SIGMAS) -> np.ndarray:
    """The ten numbers of COCOeval, silently; arguments are paths or parsed documents."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(document) if isinstance(document, str) else COCO()
        if not isinstance(document, str):
            truth.dataset = document
            truth.createIndex()
        found = truth.loadRes(results)
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats
