"""Estimation of people in held-out images, and metrics of the estimates."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from jaxpose import viz
from jaxpose.codecs.codec import averages, border_of
from jaxpose.codecs.decoded import Decoded
from jaxpose.data.index import process_slice
from jaxpose.data.source import Source
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.metrics import metric
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.people import PeopleInImages
from jaxpose.metrics.report import Report
from jaxpose.tasks.bottomup.augment import STILL, augment
from jaxpose.tasks.topdown.forward import predict_outputs
from jaxpose.train.device_batches import eval_batches, to_device
from jaxpose.train.distributed import batch_shard, gather
from jaxpose.train.mesh import replicated

if TYPE_CHECKING:
    from jaxpose.tasks.bottomup.experiment import BottomUpExperiment

DEVICE_KEYS = (
    *("image", "keypoints", "visible", "box_xywh", "area", "valid", "crowd", "ignore"),
    *("photo_from_canvas", "mask"),
)
"""Names of the arrays of a batch that the step reads; see `data.instances`."""

Estimate = Callable[[dict[str, Any], dict[str, jax.Array]], Decoded]


@dataclass(frozen=True)
class Estimates:
    """People found and people annotated in every image of a dataset.

    Keypoints are in pixels of the image, float64. N: images, Q: rows for people found, P: rows for
    annotated people.

    Attributes:
      image_id: `[N]` int64.
      keypoints: `[N, Q, K, 2]`; scores `[N, Q, K]` in [0, 1]; found bool `[N, Q]`.
      lost: `[N]`, least number of people who were found beyond the Q rows.
      truth: `[N, P, K, 2]`; visible `[N, P, K]`; box_xywh `[N, P, 4]`; area `[N, P]` px²; crowd and
        valid bool `[N, P]`.
      drawn: the first canvases, uint8 RGB, with the truth beside the estimates.
    """

    image_id: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    found: np.ndarray
    lost: np.ndarray
    truth: np.ndarray
    visible: np.ndarray
    box_xywh: np.ndarray
    area: np.ndarray
    crowd: np.ndarray
    valid: np.ndarray
    drawn: list[np.ndarray]

    def detections(self) -> Detections:
        """People found, one row each."""
        images = np.broadcast_to(self.image_id[:, None], self.found.shape)
        return Detections(
            image_id=images[self.found],
            keypoints=self.keypoints[self.found],
            scores=self.scores[self.found].mean(axis=-1),
        )

    def ground_truth(self) -> GroundTruth:
        """Annotated people, one row each."""
        images = np.broadcast_to(self.image_id[:, None], self.valid.shape)
        return GroundTruth(
            image_id=images[self.valid],
            keypoints=self.truth[self.valid],
            visible=self.visible[self.valid],
            box_xywh=self.box_xywh[self.valid],
            area=self.area[self.valid],
            iscrowd=self.crowd[self.valid],
            images=self.image_id,
        )

    def coco_results(self) -> list[dict[str, Any]]:
        """People found, in the COCO results format."""
        points = np.concatenate([self.keypoints, self.scores[..., None]], axis=-1)
        return [
            {
                "image_id": int(self.image_id[row]),
                "category_id": 1,
                "keypoints": points[row, place].round(4).ravel().tolist(),
                "score": float(self.scores[row, place].mean()),
            }
            for row, place in zip(*np.nonzero(self.found), strict=True)
        ]


def make_estimate(
    experiment: "BottomUpExperiment", mesh: jax.sharding.Mesh, flip_test: bool
) -> Estimate:
    """Build a function from variables and a batch to people in canvas pixels.

    It is jitted, except for the decoding of a codec that decodes `on_host`: a callback within a
    program of several devices waits for itself.
    """
    codec, permutation = experiment.codec, experiment.skeleton.flip_permutation

    def outputs(variables: dict[str, Any], batch: dict[str, jax.Array]) -> tuple[Any, jax.Array]:
        images, _, matrix = augment(
            jax.random.key(0),
            batch,
            augmentation=STILL,
            input_hw=codec.input_hw,
            heatmap_hw=codec.heatmap_hw,
            permutation=permutation,
            udp=codec.udp,
            border=border_of(codec),
        )
        found = predict_outputs(experiment.model, variables, images, codec, permutation, flip_test)
        return found, invert_affine(matrix)[:, None]

    def estimate(variables: dict[str, Any], batch: dict[str, jax.Array]) -> Decoded:
        return _placed(codec, *outputs(variables, batch))

    if getattr(codec, "on_host", False):
        return _OnHost(jax.jit(outputs, out_shardings=replicated(mesh)), codec)
    return jax.jit(estimate, out_shardings=replicated(mesh))


def _placed(codec: Any, outputs: Any, canvas_from_input: jax.Array) -> Decoded:
    """Decode outputs, to people in canvas pixels."""
    found: Decoded = codec.decode(outputs)
    return found._replace(keypoints=apply_affine(canvas_from_input, found.keypoints))


@dataclass(frozen=True)
class _OnHost:
    """Estimate whose compiled program ends before the decoding."""

    program: Any
    codec: Any

    def __call__(self, variables: dict[str, Any], batch: dict[str, jax.Array]) -> Decoded:
        return _placed(self.codec, *jax.device_get(self.program(variables, batch)))

    def lower(self, variables: Any, batch: Any) -> jax.stages.Lowered:
        """Lower the compiled part."""
        lowered: jax.stages.Lowered = self.program.lower(variables, batch)
        return lowered


def estimate_all(
    estimate: Estimate,
    variables: dict[str, Any],
    source: Source,
    experiment: "BottomUpExperiment",
    mesh: jax.sharding.Mesh,
    on_batch: Callable[[int], None] = lambda images: None,
) -> Estimates:
    """Run `estimate` for every image of `source`.

    With several processes, each reads its part of a batch, and all receive all estimates.

    Args:
      estimate: from `make_estimate`.
      variables: `{"params", "batch_stats"}`.
      on_batch: called with the number of finished images after each batch.
    """
    rows: list[dict[str, np.ndarray]] = []
    drawn: list[np.ndarray] = []
    size = experiment.evaluation.batch_size
    own = process_slice(size, *batch_shard(size, mesh))
    for number, batch in enumerate(eval_batches(experiment, source, mesh), start=1):
        decoded = jax.device_get(estimate(variables, to_device(batch, mesh, DEVICE_KEYS)))
        keypoints, scores, _, there = (values[own] for values in decoded[:4])
        lost = np.zeros(len(there), int) if decoded.lost is None else decoded.lost[own]
        real = batch["mask"].astype(bool)
        found = there.any(axis=-1)
        for row in np.flatnonzero(real)[: experiment.evaluation.examples - len(drawn)]:
            shown = keypoints[row][found[row]], scores[row][found[row]]
            drawn.append(_comparison(batch, row, *shown, experiment))
        to_image = batch["photo_from_canvas"].astype(np.float64)[:, None]
        corners = batch["box_xywh"].astype(np.float64).reshape(*batch["area"].shape, 2, 2)
        corners[..., 1, :] += corners[..., 0, :]
        corners = apply_affine(to_image, corners)
        boxes = [corners[..., 0, :], corners[..., 1, :] - corners[..., 0, :]]
        rows.append(
            {
                "index": batch["index"],
                "image_id": batch["image_id"],
                "keypoints": apply_affine(to_image, keypoints.astype(np.float64)),
                "scores": scores.astype(np.float64),
                "found": found,
                "lost": lost,
                "truth": apply_affine(to_image, batch["keypoints"].astype(np.float64)),
                "visible": batch["visible"],
                "box_xywh": np.concatenate(boxes, axis=-1),
                "area": batch["area"].astype(np.float64),
                "crowd": batch["crowd"],
                "valid": batch["valid"],
                "real": real,
            }
        )
        on_batch(min(number * size, len(source)))
    columns = gather({name: np.concatenate([row[name] for row in rows]) for name in rows[0]})
    # Sorts by image, and drops padding images.
    places = np.flatnonzero(columns.pop("real"))
    _, first = np.unique(columns.pop("index")[places], return_index=True)
    kept = {name: values[places[first]] for name, values in columns.items()}
    return Estimates(**kept, drawn=drawn)


def score(estimates: Estimates, experiment: "BottomUpExperiment", flip_test: bool) -> Report:
    """Compute the metrics of the experiment's evaluation, as a report with the conditions."""
    skeleton = experiment.skeleton
    evaluation = experiment.evaluation
    truth, found = estimates.ground_truth(), estimates.detections()
    people: Any = PeopleInImages(skeleton, truth, found)
    scored = metric.score(evaluation.metrics, people, evaluation.best)
    return Report(
        metrics=scored.figures,
        boxes="none: whole images",
        flip_test=flip_test and averages(experiment.codec),
        decode=str(experiment.codec),
        sigmas=skeleton.describe_sigmas() if skeleton.sigmas is not None else None,
        people=int((~truth.ignore).sum()),
        notes={
            "images": f"{len(estimates.image_id):,}",
            "people found": f"{len(found):,}",
            **lost_note(estimates.lost, experiment.codec.max_people),
            **scored.notes,
        },
    )


def lost_note(lost: np.ndarray, most: int) -> dict[str, str]:
    """Note on people who were found beyond the `most` in an image that the codec holds."""
    if not lost.any():
        return {}
    where = f"in {np.count_nonzero(lost):,} of {len(lost):,} images"
    return {"people left out": f"at least {lost.sum():,}, {where}: codec.max_people is {most}"}


def _comparison(
    batch: dict[str, np.ndarray],
    row: int,
    keypoints: np.ndarray,
    scores: np.ndarray,
    experiment: "BottomUpExperiment",
) -> np.ndarray:
    """Draw a canvas with the annotated people beside the same canvas with the people found."""
    image, valid = batch["image"][row], batch["valid"][row]
    truth, visible = batch["keypoints"][row][valid], batch["visible"][row][valid]
    labelled = (visible > 0).astype(np.float32)
    sides = (
        viz.draw_people(image, truth, experiment.skeleton, scores=labelled, min_score=0.5),
        viz.draw_people(image, keypoints, experiment.skeleton, scores=scores, min_score=0.05),
    )
    return np.concatenate(sides, axis=1)
