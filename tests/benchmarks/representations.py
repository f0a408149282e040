"""AP of decode(encode(truth)) in drawn scenes, for the codecs of many people.

    python -m tests.benchmarks.representations --scenes 500 --people 20

Measures what each representation loses by itself: no network is involved. `held` is the share of
people that the representation can hold, counted from the annotations alone
(`representation_limits`); the last AP is that of these people, with the others ignored.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs import (
    AssociativeEmbedding,
    CenterOffsets,
    CompositeFields,
    Displacements,
    InstanceHeatmaps,
    Sample,
)
from jaxpose.codecs.associative_embedding import TagMaps
from jaxpose.codecs.composite_fields import CompositeMaps, FieldTargets
from jaxpose.codecs.instance_heatmaps import InstanceMaps
from jaxpose.codecs.part_affinity import PartAffinity, fields_of
from jaxpose.data.source import SyntheticScenes
from jaxpose.metrics import metric
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.oks import CocoAP
from jaxpose.metrics.people import PeopleInImages
from jaxpose.models.cid import CIDHead
from jaxpose.skeletons import COCO17
from tests.benchmarks import representation_limits as limits

BATCH = 4
SURE = 10.0  # logit of a confidence
LEAST_SCALE = 0.1  # cells, of keypoints whose scale the targets do not have
OCCUPIED = 6.0  # pixels around a keypoint in which composite fields have no other one
SIZES = ((0, 16), (16, 32), (32, 64), (64, 1000))  # square roots of areas in input pixels

Held = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Representation:
    """A codec, and the people that it can hold: keypoints and labels `[P, K]` -> bool `[P]`.

    People smaller than two cells are not held, unless `small`.
    """

    codec: Any
    held: Held
    small: bool = False


def peaks_apart(stride: float, reach: int) -> Held:
    """People whose keypoints have peaks of their own."""

    def held(keypoints: np.ndarray, labelled: np.ndarray) -> np.ndarray:
        shared = limits.shared_cells(keypoints, labelled, stride, reach)
        return limits.keepable(shared, labelled)

    return held


def centers_free(stride: float, radius: float) -> Held:
    """People whose centres are not covered by smaller people."""
    return lambda keypoints, labelled: ~limits.covered_centers(keypoints, labelled, stride, radius)


def centers_apart(stride: float, reach: int) -> Held:
    """People whose centres have peaks of their own."""
    return lambda keypoints, labelled: ~limits.shared_centers(keypoints, labelled, stride, reach)


def limbs_clear(codec: PartAffinity) -> Held:
    """People whose keypoints have peaks of their own, and whose limbs the fields single out."""
    apart = peaks_apart(codec.stride, 1)

    def held(keypoints: np.ndarray, labelled: np.ndarray) -> np.ndarray:
        unclear = limits.unclear_limbs(keypoints, labelled, codec.limbs, codec.stride)
        return apart(keypoints, labelled) & ~unclear

    return held


def vectors_clear(codec: CompositeFields) -> Held:
    """People whose keypoints and associations have cells of their own."""

    def held(keypoints: np.ndarray, labelled: np.ndarray) -> np.ndarray:
        taken = limits.near_others(keypoints, labelled, OCCUPIED)
        taken |= limits.few_cells(keypoints, labelled, codec.stride)
        return limits.keepable(taken, labelled)

    return held


def representations(side: int) -> dict[str, Representation]:
    """Representations of images of `side` x `side` pixels."""
    size = (side, side)
    exact = {"unbiased": True, "enlargement": 1, "window": 3, "blur_kernel": 1, "near_only": True}
    fields = fields_of(COCO17, size, between=True)
    finer = replace(fields, stride=4, enlargement=4, sigma=4.0)
    composite = CompositeFields((side + 1, side + 1))
    quarter = (side // 4, side // 4)
    return {
        "fields": Representation(fields, limbs_clear(fields)),
        "fields, stride 4": Representation(finer, limbs_clear(finer)),
        "fields, as published": Representation(replace(fields, between=False), limbs_clear(fields)),
        "composite fields": Representation(composite, vectors_clear(composite), True),
        "tags": Representation(AssociativeEmbedding(size, **exact), peaks_apart(4, 1)),
        "tags, two resolutions": Representation(
            AssociativeEmbedding(size, higher=True, **exact), peaks_apart(4, 1)
        ),
        "tags, as published": Representation(AssociativeEmbedding(size), peaks_apart(4, 1)),
        "displacements": Representation(
            Displacements(size, min_extent=0.0, exclusive=True), centers_free(4, 4)
        ),
        "displacements, as published": Representation(Displacements(size), centers_free(4, 4)),
        "instances": Representation(InstanceHeatmaps(size, unbiased=True), centers_apart(4, 1)),
        "instances, as published": Representation(InstanceHeatmaps(size), centers_apart(4, 1)),
        "centres and offsets": Representation(CenterOffsets(size, quarter), centers_free(4, 4)),
    }


def perfect(codec: Any, sample: Sample) -> Any:
    """Outputs of a model that makes no mistake."""
    values = codec.encode(sample).values
    if isinstance(codec, AssociativeEmbedding):
        return TagMaps(values.heatmaps, nearest_tags(codec, values), values.fine)
    if isinstance(codec, CompositeFields):
        return CompositeMaps(vector_outputs(values.keypoints), vector_outputs(values.associations))
    if isinstance(codec, InstanceHeatmaps):
        return found_instances(codec, values)
    return values


def vector_outputs(targets: FieldTargets) -> jax.Array:
    """Outputs of a head of composite fields, of one kind, `[B, h, w, C, 2 + 3 N]`."""
    confidence, vectors, scales = targets
    flat = vectors.reshape(*confidence.shape, -1)
    numbers = (
        jnp.zeros_like(confidence)[..., None],
        jnp.where(confidence > 0, SURE, -SURE)[..., None],
        flat,
        jnp.log(jnp.expm1(jnp.maximum(scales, LEAST_SCALE))),
    )
    return jnp.concatenate(numbers, axis=-1)


def nearest_tags(codec: AssociativeEmbedding, values: Any) -> jax.Array:
    """Tags `[B, h, w, K]`: ten times the number of the person whose keypoint is the nearest."""
    height, width = codec.heatmap_hw
    row, column = jnp.mgrid[:height, :width]

    def add(state: tuple[jax.Array, jax.Array], person: Any) -> tuple[Any, None]:
        tags, least = state
        cell, known, number = person
        away = jnp.square(row[None, ..., None] - (cell // width)[:, None, None])
        away += jnp.square(column[None, ..., None] - (cell % width)[:, None, None])
        own = known[:, None, None] & (away < least)
        return (jnp.where(own, 10.0 * number, tags), jnp.where(own, away, least)), None

    batch, people, count = values.known.shape
    shape = (batch, height, width, count)
    start = jnp.zeros(shape), jnp.full(shape, height * width, jnp.int32)
    steps = (jnp.moveaxis(values.cell, 1, 0), jnp.moveaxis(values.known, 1, 0))
    return jax.lax.scan(add, start, (*steps, jnp.arange(1, people + 1)))[0][0]


def found_instances(codec: InstanceHeatmaps, values: InstanceMaps) -> InstanceMaps:
    """Heatmaps of the people whose centres the head finds in the map of centres."""
    width = codec.heatmap_hw[1]
    head = CIDHead(COCO17.num_keypoints, max_people=codec.max_people)
    score, place = head._centers(values.coupled[..., -1])
    center = jnp.stack([place % width, place // width], axis=-1)
    away = jnp.square(center[:, :, None] - values.center[:, None]).sum(axis=-1)
    away = jnp.where(values.score[:, None] > 0, away, 2**30)
    index = jnp.argmin(away, axis=-1)[:, :, None, None, None]
    instances = jnp.take_along_axis(values.instances, index, axis=1)
    return InstanceMaps(values.coupled, instances, center, score)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=500)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--side", type=int, default=512, help="of the scenes, in pixels")
    parser.add_argument("--codec", help="measure only one")
    options = parser.parse_args()
    size = (options.side, options.side)
    source = SyntheticScenes(options.scenes, options.seed, size, people=options.people).open()
    names = ("visible", "keypoints", "box_xywh", "area", "valid", "crowd", "image_id")
    batches = []
    for first in range(0, options.scenes, BATCH):
        drawn = source.samples(range(first, first + BATCH))
        batches.append({name: drawn[name] for name in names})
    every = representations(options.side)
    ranges = "  ".join(f"{low}-{high} px" for low, high in SIZES)
    print(f"{'':28}     AP  held  AP of held  found of held ({ranges})  ms per image")
    for name in [options.codec] if options.codec else every:
        measure(name, every[name], batches)


def measure(name: str, representation: Representation, batches: list[Any]) -> None:
    """Print AP of all people and of those that the representation can hold, and times."""
    codec = representation.codec
    stride = codec.input_hw[0] / codec.heatmap_hw[0]
    outputs = jax.jit(lambda sample: perfect(codec, sample))
    decode = codec.decode if getattr(codec, "on_host", False) else jax.jit(codec.decode)
    truths, found, ids, seconds = [], [], [], []
    for batch in batches:
        names = ("visible", "keypoints", "box_xywh", "area", "valid", "crowd")
        made = jax.block_until_ready(
            outputs(Sample(**{name: jnp.asarray(batch[name]) for name in names}))
        )
        start = time.perf_counter()
        decoded = jax.device_get(decode(made))
        seconds.append(time.perf_counter() - start)
        there = decoded.valid.any(axis=-1)
        image = np.broadcast_to(batch["image_id"][:, None], there.shape)
        found.append((image[there], decoded.keypoints[there], decoded.scores[there].mean(axis=-1)))
        for row, valid in enumerate(batch["valid"]):
            person = {key: batch[key][row][valid] for key in names}
            held = representation.held(person["keypoints"], person["visible"] > 0)
            if not representation.small:
                held = held & limits.large_enough(person["area"], stride)
            keys = ("keypoints", "visible", "box_xywh", "area", "crowd")
            image = np.full(valid.sum(), batch["image_id"][row])
            truths.append((image, *(person[key] for key in keys), held))
        ids.append(batch["image_id"])
    *people, held = map(np.concatenate, zip(*truths, strict=True))
    keys = ("image_id", "keypoints", "visible", "box_xywh", "area", "iscrowd")
    whole = dict(zip(keys, people, strict=True)) | {"images": np.concatenate(ids)}
    whole["keypoints"] = whole["keypoints"].astype(np.float64)
    image, keypoints, scores = map(np.concatenate, zip(*found, strict=True))
    detections = Detections(image_id=image, keypoints=keypoints.astype(np.float64), scores=scores)

    def score(ignored: np.ndarray) -> dict[str, float]:
        truth = GroundTruth(**whole, ignore=ignored)
        return metric.score((CocoAP(),), PeopleInImages(COCO17, truth, detections), "").figures

    side = np.sqrt(whole["area"])
    parts = []
    for low, high in SIZES:
        own = held & (side >= low) & (side < high)
        share = held[(side >= low) & (side < high)].mean()
        parts.append(f"{score(~own)['AR']:.3f} of {share:.3f}")
    every, kept = score(np.zeros(len(held), bool)), score(~held)
    print(
        f"{name:28} {every['AP']:.4f}  {held.mean():.3f}  {kept['AP']:.4f}  ",
        "  ".join(parts),
        f"  {np.median(seconds) / BATCH * 1e3:.0f} ms",
        flush=True,
    )


if __name__ == "__main__":
    main()
