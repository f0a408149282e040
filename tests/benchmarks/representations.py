"""AP of decode(encode(truth)) in drawn scenes, for the codecs of many people.

    python tests/benchmarks/representations.py --scenes 500 --people 20

Measures what each representation loses by itself: no network is involved. Tags are the numbers of
the people, around their keypoints.
"""

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs import (
    AssociativeEmbedding,
    CenterOffsets,
    Displacements,
    InstanceHeatmaps,
    Sample,
)
from jaxpose.codecs.associative_embedding import TagMaps
from jaxpose.codecs.part_affinity import fields_of
from jaxpose.data.source import SyntheticScenes
from jaxpose.metrics import metric
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.oks import CocoAP
from jaxpose.metrics.people import PeopleInImages
from jaxpose.skeletons import COCO17

SIZE = (512, 512)
CODECS = {
    "fields": fields_of(COCO17, SIZE, min_keypoints=1, min_person=0.0, max_people=30),
    "tags": AssociativeEmbedding(SIZE),
    "tags, two resolutions": AssociativeEmbedding(SIZE, higher=True, enlargement=2),
    "displacements": Displacements(SIZE, min_extent=0.0),
    "instances": InstanceHeatmaps(SIZE),
    "centres and offsets": CenterOffsets(SIZE),
}
BATCH = 4


def perfect(codec: Any, sample: Sample) -> Any:
    """Outputs of a model that makes no mistake."""
    values = codec.encode(sample).values
    if not isinstance(codec, AssociativeEmbedding):
        return values
    batch, people, count = sample.visible.shape
    height, width = codec.heatmap_hw
    rows = jnp.arange(batch)[:, None, None]
    keypoint = jnp.arange(count)[None, None]
    y, x = values.cell // width, values.cell % width
    tags = jnp.zeros((batch, height, width, count))
    number = jnp.broadcast_to(10.0 * jnp.arange(1, people + 1)[None, :, None], values.cell.shape)
    # Squares first, so that the pixel of the keypoint itself is its own person's.
    steps = [(dy, dx) for dy in (-2, -1, 0, 1, 2) for dx in (-2, -1, 0, 1, 2)]
    for dy, dx in sorted(steps, key=lambda step: -abs(step[0]) - abs(step[1])):
        at = jnp.where(values.known, y + dy, height)
        tags = tags.at[rows, at, x + dx, keypoint].set(number, mode="drop")
    return TagMaps(values.heatmaps, tags, values.fine)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--codec", choices=CODECS, help="measure only one")
    options = parser.parse_args()
    source = SyntheticScenes(options.scenes, options.seed, SIZE, people=options.people).open()
    batches = [source.samples(range(i, i + BATCH)) for i in range(0, options.scenes, BATCH)]
    chosen = [options.codec] if options.codec else list(CODECS)
    for name in chosen:
        codec = CODECS[name]
        ap, lost, seconds = measure(codec, batches)
        print(f"{name:24} AP {ap:.4f}  people lost {lost:.4f}  {seconds * 1e3:.0f} ms per image")


def measure(codec: Any, batches: list[Any]) -> tuple[float, float, float]:
    """AP, share of labelled people without an estimate of OKS 0.5, and seconds per image."""
    run = jax.jit(lambda sample: codec.decode(perfect(codec, sample)))
    truths, found, ids, seconds = [], [], [], 0.0
    for number, batch in enumerate(batches):
        names = ("visible", "keypoints", "box_xywh", "area", "valid", "crowd")
        sample = Sample(**{name: jnp.asarray(batch[name]) for name in names})
        start = time.perf_counter()
        decoded = jax.device_get(run(sample))
        seconds += (time.perf_counter() - start) * (number > 0)
        there = decoded.valid.any(axis=-1)
        image = np.broadcast_to(batch["image_id"][:, None], there.shape)
        found.append((image[there], decoded.keypoints[there], decoded.scores[there].mean(axis=-1)))
        valid = batch["valid"]
        image = np.broadcast_to(batch["image_id"][:, None], valid.shape)
        keys = ("keypoints", "visible", "box_xywh", "area", "crowd")
        truths.append((image[valid], *(batch[key][valid] for key in keys)))
        ids.append(batch["image_id"])
    image, keypoints, visible, boxes, area, crowd = map(np.concatenate, zip(*truths, strict=True))
    truth = GroundTruth(
        image_id=image,
        keypoints=keypoints.astype(np.float64),
        visible=visible,
        box_xywh=boxes,
        area=area,
        iscrowd=crowd,
        images=np.concatenate(ids),
    )
    image, keypoints, scores = map(np.concatenate, zip(*found, strict=True))
    detections = Detections(image_id=image, keypoints=keypoints.astype(np.float64), scores=scores)
    figures = metric.score((CocoAP(),), PeopleInImages(COCO17, truth, detections), "").figures
    images = len(batches) * BATCH - BATCH
    return figures["AP"], 1 - figures["AR50"], seconds / max(images, 1)


if __name__ == "__main__":
    main()
