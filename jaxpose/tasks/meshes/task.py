"""Task of regressing the free body model from crops of drawn people."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.bodies import drawn_body, drawn_faces, pose_body
from jaxpose.bodies.drawn_people import BodySource
from jaxpose.bodies.labelled_people import LabelledSource
from jaxpose.data.source import Batch
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import centred_camera
from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.metrics.meshes import MeshEstimates
from jaxpose.metrics.metric import score
from jaxpose.metrics.report import Report
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.skeletons import COCO17
from jaxpose.tasks.meshes.estimator import MeshEstimator
from jaxpose.tasks.meshes.loss import (
    MeshTargets,
    MeshWeights,
    drawn_landmarks,
    keypoints_in_3d,
)
from jaxpose.tasks.start import from_init
from jaxpose.tasks.task import EvalResult, Evaluator, Variables, Weights
from jaxpose.tasks.topdown.augment import STILL, augmented, center_crop
from jaxpose.train.device_batches import (
    DEVICE_KEYS,
    abstract_arrays,
    eval_batches,
    to_device,
    train_batches,
)
from jaxpose.train.mesh import replicated
from jaxpose.viz.meshes import draw_meshes

if TYPE_CHECKING:
    from jaxpose.tasks.meshes.experiment import MeshExperiment

_KEYS = (*DEVICE_KEYS, "shape", "rotations", "has_body", "keypoints_3d")
# Mirrors the camera's frame (x right), and the body's (y left).
_CAMERA = np.diag([-1.0, 1.0, 1.0]).astype(np.float32)
_BODY = np.diag([1.0, -1.0, 1.0]).astype(np.float32)


@dataclass(frozen=True)
class MeshTask:
    """Task of regressing bodies from crops; see `task.Task`."""

    experiment: "MeshExperiment"
    unit: ClassVar[str] = "images"

    def check(self) -> None:
        """Raise InputError if the model gives no `MeshOutputs`; computes shapes only."""
        model: Any = self.experiment.model
        crops = jax.ShapeDtypeStruct((1, *self.experiment.codec.input_hw, 3), jnp.float32)
        outputs, _ = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), crops)
        if not isinstance(outputs, MeshOutputs):
            raise InputError("The model gives no MeshOutputs: its head must be a MeshHead.")

    def open(self, role: Literal["train", "eval"]) -> BodySource | LabelledSource:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        return data.open()

    def open_dataset(self, data: str, split: str) -> BodySource:
        raise InputError(
            f"{data} ({split}) has no bodies: models of meshes are evaluated on drawn people, the "
            "recipe's eval_data."
        )

    def fit_to_data(self, source: BodySource) -> "MeshExperiment":
        return self.experiment

    def batches(
        self,
        source: BodySource,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        return train_batches(self.experiment, source, mesh, start_step, on_loaded, _KEYS)

    def encode(
        self, key: jax.Array, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, MeshTargets, MeshWeights]:
        """Compute augmented crops, and bodies turned and mirrored with them.

        `batch`: as for top-down training, with the labels of `LabelledSource`.
        """
        experiment, codec = self.experiment, self.experiment.codec
        images, keypoints, visible, variation, _ = augmented(
            key,
            batch,
            augmentation=experiment.augmentation,
            input_hw=codec.input_hw,
            udp=codec.udp,
            permutation=COCO17.flip_permutation,
            upper_body=COCO17.upper_body_mask,
            padding=experiment.padding,
        )
        # The crop turns the image anticlockwise about the camera's axis.
        axis = jnp.array([0.0, 0.0, -1.0])[None] * jnp.deg2rad(variation.rotation)[:, None]
        turn, rotations = matrix_from_axis_angle(axis), batch["rotations"]
        rotations = rotations.at[:, 0].set(jnp.einsum("bij,bjk->bik", turn, rotations[:, 0]))
        flip = variation.flip[:, None, None, None]
        rotations = jnp.where(flip, mirrored(rotations), rotations)
        points = jnp.einsum("bij,bkj->bki", turn, batch["keypoints_3d"] / 1000)
        points = jnp.where(flip[..., 0], mirrored_points(points), points)
        bodies, mask = batch["has_body"], batch["mask"].astype(jnp.float32)
        on_body = keypoints_in_3d(drawn_landmarks(), batch["shape"], rotations)
        points = jnp.where(bodies[:, None, None], on_body, points)
        known = jnp.isfinite(points).all(axis=-1)
        points = jnp.where(known[..., None], points, 0.0)
        height, width = codec.input_hw
        middle = jnp.array([width / 2, height / 2])[None, None]
        targets = MeshTargets(rotations, batch["shape"], points, (keypoints - middle) / height)
        rows = mask[:, None]
        return images, targets, MeshWeights(mask * bodies, known * rows, (visible > 0) * rows)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        experiment, body = self.experiment, drawn_body()
        height, width = experiment.train_data.canvas_hw
        points, joints = COCO17.num_keypoints, len(body.joints)
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "image": ((height, width, 3), jnp.uint8),
            "keypoints": ((points, 2), jnp.float32),
            "visible": ((points,), jnp.uint8),
            "box_xywh": ((4,), jnp.float32),
            "mask": ((), jnp.bool_),
            "shape": ((body.num_shapes,), jnp.float32),
            "rotations": ((joints, 3, 3), jnp.float32),
            "has_body": ((), jnp.bool_),
            "keypoints_3d": ((points, 3), jnp.float32),
        }
        return abstract_arrays(shapes, experiment.batch_size, mesh)

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        experiment = self.experiment
        made = from_init(experiment, fresh, weights)
        parts = getattr(experiment.model.head, "parts", 0)
        if experiment.init_from is None or not parts or not experiment.reset_head:
            return made
        given = weights(experiment.init_from)
        for name, value in made["params"]["head"]["parts"].items():
            key = f"params/head/final/{name}"
            if key not in given or given[key].shape != value.shape:
                raise InputError(
                    f"{experiment.init_from} does not end with a 1x1 convolution to {parts} "
                    "heatmaps, from which model.head.parts could begin: name such a pose network "
                    "in init_from, or set model.head.parts to 0."
                )
            made["params"]["head"]["parts"][name] = jnp.asarray(given[key])
        return made

    def without_augmentation(self) -> "MeshExperiment":
        return dataclasses.replace(self.experiment, augmentation=STILL)

    def sample_names(self, source: BodySource, indices: np.ndarray) -> list[str]:
        return [f"person {source.first_index + index}" for index in indices]

    def estimator(self, variables: Variables) -> tuple[MeshEstimator, Variables]:
        experiment = self.experiment
        made = MeshEstimator(experiment.model, experiment.codec, "drawn", experiment.padding)
        return made, variables

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict IMAGE --mesh {workdir} --out out"

    def evaluator(self, source: BodySource, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        experiment = self.experiment
        evaluation, codec, model = experiment.evaluation, experiment.codec, experiment.model

        def estimate(variables: Any, batch: dict[str, jax.Array]) -> Any:
            images, *_ = center_crop(
                batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
            )
            outputs: Any = model.apply(variables, images, train=False)
            found = _surface(outputs.shape, outputs.rotations)
            return outputs, found, _surface(batch["shape"], batch["rotations"])

        run = jax.jit(estimate, out_shardings=replicated(mesh))

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            parts: list[tuple[np.ndarray, ...]] = []
            drawn: list[np.ndarray] = []
            done = 0
            for batch in eval_batches(experiment, source, mesh):
                made = jax.device_get(run(variables, to_device(batch, mesh, _KEYS)))
                outputs, found, true = made
                kept = batch["mask"]
                parts.append(tuple(value[kept] for value in (*found, *true)))
                for row in range(min(evaluation.examples - len(drawn), int(kept.sum()))):
                    drawn.append(_drawing(experiment, batch, outputs, row))
                done += int(kept.sum())
                on_batch(done)
            vertices, points, true_vertices, true_points = (
                np.concatenate(values) for values in zip(*parts, strict=True)
            )
            estimates: Any = MeshEstimates(vertices, true_vertices, points, true_points)
            figures = score(evaluation.metrics, estimates, evaluation.best)
            report = Report(
                metrics=figures.figures,
                boxes="those of the dataset",
                flip_test=False,
                decode=f"the free body model, padding {experiment.padding:g}",
                sigmas=None,
                people=len(estimates),
                notes={"unit": "mm", **figures.notes},
            )
            sheet = viz.contact_sheet(drawn, columns=4) if drawn else None
            away = np.linalg.norm(vertices - true_vertices, axis=-1).mean(axis=1)
            predictions = {"PVE_mm": [round(float(value), 2) for value in away]}
            return EvalResult(report, sheet, predictions)

        return scored


def mirrored(rotations: jax.Array) -> jax.Array:
    """Rotations `[B, J, 3, 3]` of the free body as seen in a mirror: left and right exchanged."""
    joints = drawn_body().joints
    sides = {"left": "right", "right": "left"}
    order = []
    for joint in joints:
        side, _, part = joint.partition("_")
        order.append(joints.index(f"{sides[side]}_{part}" if side in sides else joint))
    inside = jnp.einsum("ij,bnjk,kl->bnil", _BODY, rotations, _BODY)
    inside = reordered(inside, order, axis=1)
    root = jnp.einsum("ij,bjk,kl->bil", _CAMERA, rotations[:, 0], _BODY)
    return inside.at[:, 0].set(root)


def mirrored_points(points: jax.Array) -> jax.Array:
    """Keypoints of COCO-17 `[B, K, 3]` as seen in a mirror: left and right exchanged."""
    exchanged = reordered(points, COCO17.flip_permutation, axis=1)
    return jnp.einsum("ij,bkj->bki", _CAMERA, exchanged)


def _surface(shape: jax.Array, rotations: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Vertices and keypoints of bodies, mm, relative to the root."""
    posed = pose_body(drawn_body(), shape, rotations)
    points = 1000 * keypoints_in_3d(drawn_landmarks(), shape, rotations)
    root = posed.joints[:, :1]
    return posed.vertices - root, points - root


def _drawing(
    experiment: "MeshExperiment", batch: Batch, outputs: MeshOutputs, row: int
) -> np.ndarray:
    """Canvas of a person with the predicted body over it."""
    codec, canvas = experiment.codec, np.asarray(batch["image"][row])
    matrices = codec.matrices(batch["box_xywh"][row : row + 1], experiment.padding)
    place = codec.translations(
        np.asarray(outputs.camera)[row : row + 1], matrices, canvas.shape[:2]
    )
    body = pose_body(
        drawn_body(), outputs.shape[row], outputs.rotations[row], place[0].astype(np.float32)
    )
    camera = centred_camera(codec.focal_of(canvas.shape[:2]), canvas.shape[:2])
    vertices = np.asarray(body.vertices, np.float64)
    return draw_meshes(canvas, [vertices], drawn_faces(), camera, opacity=0.7)
