"""Held-out people scored: crop, forward, decode, back to the photo, metric."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxpose import viz
from jaxpose.augment import center_crop
from jaxpose.config import Experiment
from jaxpose.data.source import Source
from jaxpose.errors import InputError
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.infer.forward import predict_keypoints
from jaxpose.metrics import oks, pck
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.report import Report
from jaxpose.skeletons import Skeleton
from jaxpose.train.feed import eval_batches, to_device
from jaxpose.train.mesh import replicated

Estimate = Callable[[dict[str, Any], dict[str, jax.Array]], tuple[jax.Array, jax.Array]]


@dataclass(frozen=True)
class Estimates:
    """What a model says of every person of a data set, beside what is true.

    Keypoints are in photo pixels, float64; rows are people.

    Attributes:
      index: `[N]` int64, rows of the data set; image_id, annotation_id: `[N]` int64.
      keypoints: `[N, K, 2]` estimated.
      scores: `[N, K]` in [0, 1].
      truth: `[N, K, 2]` annotated; `visible` `[N, K]` in {0, 1, 2}.
      box_xywh: `[N, 4]` the boxes the crops were made from; `area` `[N]` px².
      pictures: the first canvases, uint8 RGB, with their estimates drawn beside the truth.
    """

    index: np.ndarray
    image_id: np.ndarray
    annotation_id: np.ndarray
    keypoints: np.ndarray
    scores: np.ndarray
    truth: np.ndarray
    visible: np.ndarray
    box_xywh: np.ndarray
    area: np.ndarray
    pictures: list[np.ndarray]

    def coco_results(self) -> list[dict[str, Any]]:
        """The estimates in the COCO results format, one entry for each person."""
        points = np.concatenate([self.keypoints, self.scores[..., None]], axis=-1)
        instance = oks.instance_score(self.scores)
        return [
            {
                "image_id": int(self.image_id[row]),
                "category_id": 1,
                "keypoints": points[row].round(4).ravel().tolist(),
                "score": float(instance[row]),
            }
            for row in range(len(self.area))
        ]


def estimate_batch(
    variables: dict[str, Any],
    batch: dict[str, jax.Array],
    *,
    experiment: Experiment,
    flip_test: bool,
) -> tuple[jax.Array, jax.Array]:
    """Keypoints `[B, K, 2]` in canvas pixels and scores `[B, K]` for one batch; pure."""
    codec = experiment.codec
    images, _, _, input_from_canvas = center_crop(
        batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
    )
    decoded = predict_keypoints(
        experiment.model,
        variables,
        images,
        codec,
        experiment.skeleton.flip_permutation,
        flip_test=flip_test,
    )
    return apply_affine(invert_affine(input_from_canvas), decoded.keypoints), decoded.scores


def make_estimate(experiment: Experiment, mesh: jax.sharding.Mesh, flip_test: bool) -> Estimate:
    """`estimate_batch` jitted; its results are gathered on every device."""

    def estimate(variables: dict[str, Any], batch: dict[str, jax.Array]) -> Any:
        return estimate_batch(variables, batch, experiment=experiment, flip_test=flip_test)

    return jax.jit(estimate, out_shardings=replicated(mesh))


def estimate_all(
    estimate: Estimate,
    variables: dict[str, Any],
    source: Source,
    experiment: Experiment,
    mesh: jax.sharding.Mesh,
    on_batch: Callable[[int], None] = lambda people: None,
) -> Estimates:
    """Run `estimate` over every person of `source`, in order.

    Args:
      estimate: from `make_estimate`.
      variables: `{"params", "batch_stats"}`.
      on_batch: called with the number of people done after each batch.
    """
    rows: list[dict[str, np.ndarray]] = []
    pictures: list[np.ndarray] = []
    for batch, (keypoints, scores) in _results(
        estimate, variables, eval_batches(experiment, source), mesh
    ):
        valid = batch["mask"].astype(bool)
        for row in np.flatnonzero(valid)[: experiment.evaluation.pictures - len(pictures)]:
            pictures.append(
                viz.comparison(
                    batch["image"][row],
                    keypoints[row][None],
                    batch["keypoints"][row][None],
                    experiment.skeleton,
                    visible=batch["visible"][row][None],
                    scores=scores[row][None],
                )
            )
        to_photo = batch["photo_from_canvas"].astype(np.float64)
        corners = batch["box_xywh"].astype(np.float64).reshape(-1, 2, 2)
        corners[:, 1] += corners[:, 0]
        corners = apply_affine(to_photo, corners)
        row_values = {
            "index": batch["index"],
            "image_id": batch["image_id"],
            "annotation_id": batch["annotation_id"],
            "keypoints": apply_affine(to_photo, keypoints.astype(np.float64)),
            "scores": scores.astype(np.float64),
            "truth": apply_affine(to_photo, batch["keypoints"].astype(np.float64)),
            "visible": batch["visible"],
            "box_xywh": np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=-1),
            "area": batch["area"].astype(np.float64),
        }
        rows.append({name: value[valid] for name, value in row_values.items()})
        on_batch(sum(len(r["area"]) for r in rows))
    columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    return Estimates(**columns, pictures=pictures)


def _results(
    estimate: Estimate,
    variables: dict[str, Any],
    batches: Iterator[dict[str, np.ndarray]],
    mesh: jax.sharding.Mesh,
) -> Iterator[tuple[dict[str, np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Each batch with its results, one batch behind, so that host and device work side by side."""
    waiting = None
    for batch in batches:
        result = estimate(variables, to_device(batch, mesh))
        if waiting is not None:
            yield waiting[0], jax.device_get(waiting[1])
        waiting = batch, result
    if waiting is not None:
        yield waiting[0], jax.device_get(waiting[1])


def score(estimates: Estimates, experiment: Experiment, flip_test: bool, source: Source) -> Report:
    """The metric of the experiment, with all that it depends on.

    Args:
      source: the data set of the estimates, for what only PCKh asks: the heads' boxes.

    Raises:
      InputError: OKS asked for with a skeleton that has no sigmas.
    """
    skeleton, notes = experiment.skeleton, {}
    if experiment.evaluation.metric == "pck":
        notes = {"PCK": "PCK@0.2 of the torso (left shoulder to right hip), person-centric"}
        metrics = pck.person_centric_pck(
            estimates.keypoints, estimates.truth, estimates.visible > 0, skeleton
        )
    elif experiment.evaluation.metric == "pckh":
        sizes, notes["PCKh"] = _head_sizes(estimates, skeleton, source)
        metrics = pck.pckh(
            estimates.keypoints, estimates.truth, estimates.visible > 0, sizes, skeleton
        )
    else:
        if skeleton.sigmas is None:
            raise InputError(f"Skeleton {skeleton.name!r} has no OKS sigmas.")
        truth = GroundTruth(
            image_id=estimates.image_id,
            keypoints=estimates.truth,
            visible=estimates.visible,
            box_xywh=estimates.box_xywh,
            area=estimates.area,
        )
        found = Detections(
            image_id=estimates.image_id,
            keypoints=estimates.keypoints,
            scores=oks.instance_score(estimates.scores),
        )
        metrics = oks.coco_keypoint_ap(truth, found, np.asarray(skeleton.sigmas))
    return Report(
        metrics=metrics,
        boxes=f"ground truth, padded {experiment.padding:g}x",
        flip_test=flip_test,
        decode=str(experiment.codec),
        sigmas=skeleton.describe_sigmas() if experiment.evaluation.metric == "oks" else None,
        people=len(estimates.area),
        notes=notes,
    )


def _head_sizes(estimates: Estimates, skeleton: Skeleton, source: Source) -> tuple[np.ndarray, str]:
    """The unit of PCKh for each person `[N]`, and in words what it is."""
    boxes = source.head_boxes(estimates.index) if hasattr(source, "head_boxes") else np.zeros(4)
    if boxes.any():
        return pck.head_sizes(boxes), "PCK@0.5 of the head size (0.6 of the head box's diagonal)"
    segments = pck.head_segments(estimates.truth, estimates.visible > 0, skeleton)
    return segments, "PCK@0.5 of the segment from neck to head top (the data has no head boxes)"
