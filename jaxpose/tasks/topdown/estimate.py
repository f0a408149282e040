"""Estimation of held-out people: crop, forward pass, decoding, map back to the image."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.codecs.codec import finds_hands
from jaxpose.data.index import process_slice
from jaxpose.data.source import Source
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.metrics import oks
from jaxpose.metrics.estimates import Estimates
from jaxpose.models.frames import with_frames
from jaxpose.models.split import split_over
from jaxpose.tasks.topdown.augment import center_crop, crop_frames
from jaxpose.tasks.topdown.forward import predict_keypoints
from jaxpose.train.device_batches import eval_batches, to_device
from jaxpose.train.distributed import batch_shard, gather
from jaxpose.train.mesh import model_split, replicated

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment

Estimate = Callable[
    [dict[str, Any], dict[str, jax.Array]], tuple[jax.Array, jax.Array, dict[str, jax.Array]]
]


def coco_results(estimates: Estimates) -> list[dict[str, Any]]:
    """Convert estimates to the COCO results format, one entry for each person."""
    scores, image_id = estimates.column("scores"), estimates.column("image_id")
    points = np.concatenate([estimates.keypoints, scores[..., None]], axis=-1)
    instance = oks.instance_score(scores)
    return [
        {
            "image_id": int(image_id[row]),
            "category_id": 1,
            "keypoints": points[row].round(4).ravel().tolist(),
            "score": float(instance[row]),
        }
        for row in range(len(estimates))
    ]


def columns_of(source: Source, experiment: "TopDownExperiment") -> frozenset[str]:
    """Columns of `Estimates` that can be filled from `source`."""
    columns = frozenset(("index", "image_id", "annotation_id", "scores", "box_xywh", "area"))
    if _reads(experiment, "head_boxes"):
        first = np.arange(min(len(source), 32))
        if hasattr(source, "head_boxes") and source.head_boxes(first).any():
            columns |= {"head_boxes"}
    if _reads(experiment, "hands") and finds_hands(experiment.codec):
        columns |= {"hands", "depth"}
    if _reads(experiment, "truth_3d") and getattr(source, "has_3d", False):
        columns |= {"truth_3d"}
    return columns


def _reads(experiment: "TopDownExperiment", column: str) -> bool:
    skeleton, metrics = experiment.skeleton, experiment.evaluation.metrics
    return any(column in (*m.reads, *m.needs(skeleton)) for m in metrics)


def estimate_batch(
    variables: dict[str, Any],
    batch: dict[str, jax.Array],
    *,
    experiment: "TopDownExperiment",
    flip_test: bool,
) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
    """Estimate keypoints `[B, K, 2]` in canvas pixels and scores `[B, K]` of one batch; pure.

    The third value has the columns `depth` and `hands` of `Estimates` if a metric reads them.
    """
    codec = experiment.codec
    settings: Any = {
        "input_hw": codec.input_hw,
        "udp": codec.udp,
        "padding": experiment.padding,
    }
    images, _, _, input_from_canvas = center_crop(batch, **settings)
    inputs: Any = images
    if "frames" in batch:
        inputs = with_frames(images, crop_frames(batch, **settings), batch["times"])
    decoded = predict_keypoints(
        experiment.model,
        variables,
        inputs,
        codec,
        experiment.skeleton.flip_permutation,
        flip_test=flip_test,
        dataset_index=batch.get("dataset"),
    )
    keypoints = apply_affine(invert_affine(input_from_canvas), decoded.keypoints)
    further: dict[str, jax.Array] = {}
    if decoded.hands is not None and decoded.depth is not None and _reads(experiment, "hands"):
        apart = decoded.hands.left_from_right[:, None]
        further = {
            "depth": decoded.depth,
            "hands": jnp.concatenate([decoded.hands.present, apart], axis=1),
        }
    return keypoints, decoded.scores, further


def make_estimate(
    experiment: "TopDownExperiment", mesh: jax.sharding.Mesh, flip_test: bool
) -> Estimate:
    """Compile `estimate_batch` with jit; its results are on every device."""

    def estimate(variables: dict[str, Any], batch: dict[str, jax.Array]) -> Any:
        with split_over(model_split(mesh)):
            return estimate_batch(variables, batch, experiment=experiment, flip_test=flip_test)

    return jax.jit(estimate, out_shardings=replicated(mesh))


def estimate_all(
    estimate: Estimate,
    variables: dict[str, Any],
    source: Source,
    experiment: "TopDownExperiment",
    mesh: jax.sharding.Mesh,
    on_batch: Callable[[int], None] = lambda people: None,
) -> tuple[Estimates, list[np.ndarray]]:
    """Run `estimate` for every person of `source`, in order.

    With several processes, each reads its part of a batch, and all receive all estimates.

    Args:
      estimate: from `make_estimate`.
      variables: `{"params", "batch_stats"}`.
      on_batch: called with the number of finished people after each batch.

    Returns:
      The estimates, and the first canvases as uint8 RGB images of estimates beside the truth.
    """
    rows: list[dict[str, np.ndarray]] = []
    drawn: list[np.ndarray] = []
    size = experiment.evaluation.batch_size
    own = process_slice(size, *batch_shard(size, mesh))
    keys = experiment.device_keys(source)
    batches = _results(estimate, variables, eval_batches(experiment, source, mesh), mesh, keys)
    for number, (batch, results) in enumerate(batches, start=1):
        keypoints, scores, further = jax.tree.map(lambda values: values[own], results)
        valid = batch["mask"].astype(bool)
        for row in np.flatnonzero(valid)[: experiment.evaluation.examples - len(drawn)]:
            drawn.append(
                viz.comparison(
                    batch["image"][row],
                    keypoints[row][None],
                    batch["keypoints"][row][None],
                    experiment.skeleton,
                    visible=batch["visible"][row][None],
                    scores=scores[row][None],
                )
            )
        to_image = batch["photo_from_canvas"].astype(np.float64)
        corners = batch["box_xywh"].astype(np.float64).reshape(-1, 2, 2)
        corners[:, 1] += corners[:, 0]
        corners = apply_affine(to_image, corners)
        row_values = {
            "index": batch["index"],
            "image_id": batch["image_id"],
            "annotation_id": batch["annotation_id"],
            "keypoints": apply_affine(to_image, keypoints.astype(np.float64)),
            "scores": scores.astype(np.float64),
            "truth": apply_affine(to_image, batch["keypoints"].astype(np.float64)),
            "visible": batch["visible"],
            "box_xywh": np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=-1),
            "area": batch["area"].astype(np.float64),
        }
        row_values |= {name: values.astype(np.float64) for name, values in further.items()}
        if "keypoints_3d" in batch and _reads(experiment, "truth_3d"):
            row_values["truth_3d"] = batch["keypoints_3d"].astype(np.float64)
        rows.append(row_values | {"valid": valid})
        on_batch(min(number * size, len(source)))
    columns = gather({name: np.concatenate([row[name] for row in rows]) for name in rows[0]})
    # Sorts by sample, and drops padding samples and samples that were read twice.
    places = np.flatnonzero(columns.pop("valid"))
    _, first = np.unique(columns["index"][places], return_index=True)
    kept = {name: values[places[first]] for name, values in columns.items()}
    if _reads(experiment, "head_boxes") and hasattr(source, "head_boxes"):
        boxes = source.head_boxes(kept["index"])
        kept |= {"head_boxes": boxes} if boxes.any() else {}
    return Estimates(skeleton=experiment.skeleton, **kept), drawn


def _results(
    estimate: Estimate,
    variables: dict[str, Any],
    batches: Iterator[dict[str, np.ndarray]],
    mesh: jax.sharding.Mesh,
    keys: tuple[str, ...],
) -> Iterator[tuple[dict[str, np.ndarray], tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]]]:
    """Each batch with its results, one batch late, so that host and device work in parallel."""
    waiting = None
    for batch in batches:
        result = estimate(variables, to_device(batch, mesh, keys))
        if waiting is not None:
            yield waiting[0], jax.device_get(waiting[1])
        waiting = batch, result
    if waiting is not None:
        yield waiting[0], jax.device_get(waiting[1])
