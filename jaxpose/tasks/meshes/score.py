"""Evaluation of models of meshes: errors of surfaces and keypoints, and bodies drawn on people."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.bodies import Body, pose_body
from jaxpose.bodies.drawn_people import BodySource
from jaxpose.bodies.labelled_people import LabelledSource
from jaxpose.bodies.landmarks import Landmarks
from jaxpose.bodies.network_body import NetworkBody
from jaxpose.data.source import Batch
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera
from jaxpose.metrics.meshes import SURFACE, MeshEstimates
from jaxpose.metrics.metric import score
from jaxpose.metrics.report import Report
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.tasks.meshes.loss import about_hips, keypoints_in_3d
from jaxpose.tasks.task import EvalResult, Evaluator
from jaxpose.tasks.topdown.augment import center_crop
from jaxpose.train.device_batches import DEVICE_KEYS, eval_batches, to_device
from jaxpose.train.mesh import replicated
from jaxpose.viz.meshes import draw_meshes

if TYPE_CHECKING:
    from jaxpose.tasks.meshes.experiment import MeshExperiment

MESH_KEYS = (*DEVICE_KEYS, "shape", "rotations", "has_body", "keypoints_3d")
"""Arrays of a batch that training and evaluation read on the device."""


def check_measurable(source: BodySource | LabelledSource, best: str = "") -> None:
    """Check that held-out data has what errors are measured against.

    Args:
      source: the held-out people.
      best: the figure that picks the best checkpoint; empty for none.

    Raises:
      InputError: there are neither bodies nor keypoints in 3D, or `best` needs bodies and there are
        none.
    """
    if not isinstance(source, LabelledSource) or source.bodies:
        return
    if not source.has_3d:
        raise InputError(
            "The held-out data has neither bodies nor keypoints in 3D, so no error of a body can "
            "be measured. Fit bodies to its split with `jaxpose fit` and give them to "
            "LabelledBodies(bodies=...), or take a dataset with keypoints in 3D."
        )
    if best in SURFACE:
        raise InputError(
            f"evaluation.best is {best!r}, and eval_data has keypoints in 3D and no bodies. Set "
            "evaluation.best to 'MPJPE', or give LabelledBodies(bodies=...)."
        )


def mesh_evaluator(
    experiment: "MeshExperiment", source: BodySource | LabelledSource, mesh: jax.sharding.Mesh
) -> Evaluator:
    """Build the evaluator of `experiment` on held-out people; see `tasks.task.Task.evaluator`."""
    check_measurable(source)
    evaluation, codec, model = experiment.evaluation, experiment.codec, experiment.model
    known = experiment.network_body()
    placed = jax.device_put((known.body, known.places), replicated(mesh))

    def estimate(variables: Any, body: Body, places: Landmarks, batch: dict[str, Any]) -> Any:
        images, *_ = center_crop(
            batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
        )
        outputs: Any = model.apply(variables, images, train=False)
        found = _surface(body, places, outputs.shape, outputs.rotations)
        true = _surface(body, places, batch["shape"], batch["rotations"])
        # People without a body have no root: their keypoints are about the middle of the hips.
        bodies = batch["has_body"][:, None, None]
        points = jnp.where(bodies, found[1], about_hips(found[1]))
        true_points = jnp.where(bodies, true[1], about_hips(batch["keypoints_3d"]))
        there = jnp.asarray(places.known)[None, :, None]
        true_points = jnp.where(there, true_points, jnp.nan)
        return outputs, (found[0], true[0], points, true_points)

    run = jax.jit(estimate, out_shardings=replicated(mesh))

    def scored(
        variables: Any, on_batch: Callable[[int], None] = lambda samples: None
    ) -> EvalResult:
        parts: list[tuple[np.ndarray, ...]] = []
        drawn: list[np.ndarray] = []
        done = 0
        for batch in eval_batches(experiment, source, mesh):
            outputs, found = jax.device_get(
                run(variables, *placed, to_device(batch, mesh, MESH_KEYS))
            )
            kept = batch["mask"]
            bodies = kept & batch["has_body"]
            rows = bodies, bodies, kept, kept
            of_people = (value[row] for value, row in zip(found, rows, strict=True))
            parts.append((*of_people, batch["has_body"][kept]))
            for row in range(min(evaluation.examples - len(drawn), int(kept.sum()))):
                drawn.append(_drawing(experiment, known, batch, outputs, row))
            done += int(kept.sum())
            on_batch(done)
        *columns, bodies = (np.concatenate(values) for values in zip(*parts, strict=True))
        estimates: Any = MeshEstimates(*columns)
        figures = score(evaluation.metrics, estimates, evaluation.best)
        labelled = {} if bodies.all() else {"bodies": f"{bodies.sum()} of {len(bodies)} people"}
        report = Report(
            metrics=figures.figures,
            boxes="those of the dataset",
            flip_test=False,
            decode=f"{known.source}, padding {experiment.padding:g}",
            sigmas=None,
            people=len(estimates),
            notes={"unit": "mm", **labelled, **figures.notes},
        )
        sheet = viz.contact_sheet(drawn, columns=4) if drawn else None
        return EvalResult(report, sheet, {"PVE_mm": _each(estimates, bodies)})

    return scored


def _each(estimates: MeshEstimates, bodies: np.ndarray) -> list[float | None]:
    """Mean distance of the vertices of each person, mm; None for people without a body."""
    surfaces = zip(estimates.vertices, estimates.true_vertices, strict=True)
    errors = (np.linalg.norm(found - true, axis=-1).mean() for found, true in surfaces)
    return [round(float(next(errors)), 2) if known else None for known in bodies]


def _surface(
    body: Body, places: Landmarks, shape: jax.Array, rotations: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Vertices and keypoints of bodies, mm, relative to the root."""
    posed = pose_body(body, shape, rotations)
    points = 1000 * keypoints_in_3d(places, shape, rotations)
    root = posed.joints[:, :1]
    return posed.vertices - root, points - root


def _drawing(
    experiment: "MeshExperiment", known: NetworkBody, batch: Batch, outputs: MeshOutputs, row: int
) -> np.ndarray:
    """Canvas of a person with the predicted body over it."""
    codec, canvas = experiment.codec, np.asarray(batch["image"][row])
    matrices = codec.matrices(batch["box_xywh"][row : row + 1], experiment.padding)
    place = codec.translations(
        np.asarray(outputs.camera)[row : row + 1], matrices, canvas.shape[:2]
    )
    body = pose_body(
        known.body, outputs.shape[row], outputs.rotations[row], place[0].astype(np.float32)
    )
    camera = centred_camera(codec.focal_of(canvas.shape[:2]), canvas.shape[:2])
    vertices = np.asarray(body.vertices, np.float64)
    return draw_meshes(canvas, [vertices], known.file.faces, camera, opacity=0.7)
