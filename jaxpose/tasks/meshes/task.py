"""Task of regressing a body model from crops of people."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.drawn_people import BodySource, SyntheticBodies
from jaxpose.bodies.joints import NAMES
from jaxpose.bodies.labelled_people import LabelledBodies, LabelledSource
from jaxpose.data.source import Records
from jaxpose.errors import InputError
from jaxpose.geometry.mirror import mirror
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.skeletons import COCO17
from jaxpose.tasks.meshes.estimator import MeshEstimator
from jaxpose.tasks.meshes.loss import HIPS, MeshTargets, MeshWeights, keypoints_in_3d
from jaxpose.tasks.meshes.score import MESH_KEYS, check_measurable, mesh_evaluator
from jaxpose.tasks.start import from_init
from jaxpose.tasks.task import Evaluator, Variables, Weights
from jaxpose.tasks.topdown.augment import STILL, augmented
from jaxpose.train.device_batches import abstract_arrays, train_batches

if TYPE_CHECKING:
    from jaxpose.tasks.meshes.experiment import MeshExperiment


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
        """Open the data for the experiment's body, whose file is read and checked here.

        Raises:
          InputError: a body file that is absent, changed, or not that of the model's head; data of
            other bodies; held-out data in which the best checkpoint cannot be found.
        """
        experiment = self.experiment
        body = experiment.network_body()
        if not body.places.known[HIPS].all():
            raise InputError(f"{body.source} has no hips, about which errors are measured.")
        data = experiment.train_data if role == "train" else experiment.eval_data
        if isinstance(data, LabelledBodies):
            source: BodySource | LabelledSource = data.open(body)
        elif experiment.body is not None and isinstance(data, SyntheticBodies):
            raise InputError(
                f"{role}_data is SyntheticBodies, which has the free body, and body is "
                f"{experiment.body}: give LabelledBodies."
            )
        else:
            source = data.open()
        if role == "eval":
            check_measurable(source, experiment.evaluation.best)
        return source

    def open_dataset(self, data: str, split: str) -> LabelledSource:
        """Open a prepared dataset with keypoints in 3D, which has no bodies."""
        return LabelledBodies(Records(data, split)).open(self.experiment.network_body())

    def fit_to_data(self, source: BodySource | LabelledSource) -> "MeshExperiment":
        """Return the experiment with the fingerprint of its body's file."""
        experiment = self.experiment
        if experiment.body is None:
            return experiment
        fingerprint = experiment.network_body().fingerprint
        return dataclasses.replace(experiment, body_fingerprint=fingerprint)

    def batches(
        self,
        source: BodySource | LabelledSource,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        return train_batches(self.experiment, source, mesh, start_step, on_loaded, MESH_KEYS)

    def encode(
        self, key: jax.Array, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, MeshTargets, MeshWeights]:
        """Compute augmented crops, and bodies turned and mirrored with them.

        `batch`: as for top-down training, with the labels of `LabelledSource`.
        """
        experiment, codec = self.experiment, self.experiment.codec
        body = experiment.network_body()
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
        rotations = jnp.where(flip, body.mirrored(rotations), rotations)
        points = jnp.einsum("bij,bkj->bki", turn, batch["keypoints_3d"] / 1000)
        points = jnp.where(flip[..., 0], mirror(points, COCO17.flip_permutation), points)
        bodies, mask = batch["has_body"], batch["mask"].astype(jnp.float32)
        on_body = keypoints_in_3d(body.places, batch["shape"], rotations)
        points = jnp.where(bodies[:, None, None], on_body, points)
        found = jnp.asarray(body.places.known)[None]  # others have no place on the body
        known = jnp.isfinite(points).all(axis=-1) & found
        points = jnp.where(known[..., None], points, 0.0)
        height, width = codec.input_hw
        middle = jnp.array([width / 2, height / 2])[None, None]
        targets = MeshTargets(rotations, batch["shape"], points, (keypoints - middle) / height)
        rows = mask[:, None]
        seen = (visible > 0) & found
        return images, targets, MeshWeights(mask * bodies, known * rows, seen * rows)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        experiment, head = self.experiment, self.experiment.model.head
        height, width = experiment.train_data.canvas_hw
        points = COCO17.num_keypoints
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "image": ((height, width, 3), jnp.uint8),
            "keypoints": ((points, 2), jnp.float32),
            "visible": ((points,), jnp.uint8),
            "box_xywh": ((4,), jnp.float32),
            "mask": ((), jnp.bool_),
            "shape": ((head.shapes,), jnp.float32),
            "rotations": ((head.joints, 3, 3), jnp.float32),
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

    def sample_names(self, source: BodySource | LabelledSource, indices: np.ndarray) -> list[str]:
        return source.names(indices)

    def estimator(self, variables: Variables) -> tuple[MeshEstimator, Variables]:
        experiment = self.experiment
        name = "drawn"
        if experiment.body is not None:
            name = NAMES.get(experiment.model.head.joints, ("body", ()))[0]
        made = MeshEstimator(
            experiment.model,
            experiment.codec,
            name,
            experiment.padding,
            body_file=experiment.body,
            body_fingerprint=experiment.body_fingerprint,
        )
        return made, variables

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict IMAGE --mesh {workdir} --out out"

    def evaluator(
        self, source: BodySource | LabelledSource, mesh: jax.sharding.Mesh, flip_test: bool
    ) -> Evaluator:
        return mesh_evaluator(self.experiment, source, mesh)
