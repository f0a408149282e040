"""Task of finding the pose of a known object in a crop."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry, viz
from jaxpose.codecs.codec import takes_mask
from jaxpose.codecs.sample import Sample
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole
from jaxpose.geometry.rigid import RigidPose
from jaxpose.metrics.metric import score
from jaxpose.metrics.objects import ObjectEstimates, Surface
from jaxpose.metrics.report import Report
from jaxpose.objects import KnownObject, ObjectModel
from jaxpose.tasks.objects.estimator import ObjectEstimator
from jaxpose.tasks.objects.pose import pose_from_keypoints
from jaxpose.tasks.objects.predictor import in_image
from jaxpose.tasks.task import EvalResult, Evaluator, Variables
from jaxpose.tasks.topdown.augment import augmented, center_crop
from jaxpose.tasks.topdown.task import TopDownTask
from jaxpose.train.device_batches import DEVICE_KEYS, eval_batches, to_device
from jaxpose.train.mesh import batch_sharded, replicated
from jaxpose.viz.objects import draw_objects

if TYPE_CHECKING:
    from jaxpose.tasks.objects.experiment import ObjectExperiment


@dataclass(frozen=True)
class ObjectTask(TopDownTask):
    """The top-down task, with poses from the keypoints; see `task.Task`."""

    experiment: "ObjectExperiment"

    def check(self) -> None:
        super().check()
        data = self.experiment.train_data, self.experiment.eval_data
        trained, scored = (getattr(each, "objects", ()) for each in data)
        # Sets of two kinds may have other numbers, and an empty list is all objects of a set.
        if type(data[0]) is not type(data[1]) or not trained:
            return
        if not scored or set(scored) - set(trained):
            raise InputError(
                f"The model is trained with the objects {list(trained)}, and eval_data has "
                f"{list(scored) or 'all'}: set eval_data.objects='{tuple(trained)}' too."
            )

    def open(self, role: Literal["train", "eval"]) -> Any:
        source = super().open(role)
        if not getattr(source, "models", None):
            raise InputError(
                f"{role}_data has no models of objects: use SyntheticObjects or BopObjects."
            )
        return source

    def open_dataset(self, data: str, split: str) -> Any:
        raise InputError(
            f"{data} ({split}): records have no poses. Give the evaluation a BopObjects dataset in "
            "the recipe."
        )

    def encode(self, key: jax.Array, batch: dict[str, jax.Array]) -> tuple[Any, Any, jax.Array]:
        """Compute augmented images `[B, H, W, 3]`, the codec's targets, weights `[B, K]`.

        `batch`: as for people, with object_mask uint8 `[B, Hc, Wc]` for a codec of masks.
        """
        experiment, codec = self.experiment, self.experiment.codec
        made = augmented(
            key,
            batch,
            augmentation=experiment.augmentation,
            input_hw=codec.input_hw,
            udp=codec.udp,
            permutation=experiment.skeleton.flip_permutation,
            upper_body=experiment.skeleton.upper_body_mask,
            padding=experiment.padding,
        )
        mask = None
        if takes_mask(codec):
            upright = not experiment.augmentation.rotates
            mask = geometry.warp(
                batch["object_mask"][..., None], made.matrix, codec.input_hw, upright=upright
            )
            mask = mask[..., 0] / 255
        targets, weights = codec.encode(Sample(made.visible, made.keypoints, mask=mask))
        return made.images, targets, weights * batch["mask"][:, None]

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        shapes = super().abstract_batch(mesh)
        if takes_mask(self.experiment.codec):
            shapes["object_mask"] = jax.ShapeDtypeStruct(
                shapes["image"].shape[:3], jnp.uint8, sharding=batch_sharded(mesh)
            )
        return shapes

    def estimator(self, variables: Variables) -> tuple[ObjectEstimator, Variables]:
        experiment = self.experiment
        models = experiment.eval_data.open().models
        estimator = ObjectEstimator(
            experiment.model,
            experiment.codec,
            experiment.skeleton,
            experiment.padding,
            tuple(model.known() for model in models.values()),
            experiment.threshold,
        )
        return estimator, variables

    def next_step(self, workdir: str) -> str:
        camera_and_box = "--focal F --box X,Y,W,H --object ID"
        return f"jaxpose objects predict IMAGE --from {workdir} {camera_and_box} --out out"

    def evaluator(self, source: Any, mesh: jax.sharding.Mesh, flip_test: bool) -> Evaluator:
        experiment = self.experiment
        evaluation, codec, model = experiment.evaluation, experiment.codec, experiment.model
        models: dict[int, ObjectModel] = source.models
        known = {number: each.known() for number, each in models.items()}

        def estimate(variables: Any, batch: dict[str, jax.Array]) -> Any:
            images, _, _, matrix = center_crop(
                batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
            )
            return codec.decode(model.apply(variables, images, train=False)), matrix

        run = jax.jit(estimate, out_shardings=replicated(mesh))

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            rows: dict[str, list[Any]] = {"id": [], "found": [], "true": [], "K": []}
            drawn: list[np.ndarray] = []
            for batch in eval_batches(experiment, source, mesh):
                decoded, matrix = jax.device_get(
                    run(variables, to_device(batch, mesh, DEVICE_KEYS))
                )
                found = in_image(decoded, matrix)
                for row in np.flatnonzero(batch["mask"]):
                    number = int(batch["object_id"][row])
                    camera = pinhole(batch["K"][row], np.eye(3), np.zeros(3))
                    side = float(batch["box_xywh"][row, 2:].max())
                    points = np.array(known[number].keypoints)
                    pose = pose_from_keypoints(
                        found.take(int(row)), points, camera, experiment.threshold * side
                    )
                    rows["id"].append(number)
                    rows["found"].append(pose)
                    rows["true"].append(RigidPose(batch["R"][row], batch["t"][row]))
                    rows["K"].append(batch["K"][row])
                    if len(drawn) < evaluation.examples:
                        drawn.append(_drawing(batch["image"][row], known[number], pose, camera))
                on_batch(len(rows["id"]))
            estimates = ObjectEstimates(
                {number: surface_of(each) for number, each in models.items()},
                np.array(rows["id"], int),
                rows["found"],
                rows["true"],
                np.array(rows["K"]).reshape(-1, 3, 3),
            )
            figures = score(evaluation.metrics, estimates, evaluation.best)  # type: ignore[arg-type]
            report = Report(
                metrics=figures.figures,
                boxes="those of the dataset",
                flip_test=False,
                decode=f"{type(codec).__name__}, PnP, padding {experiment.padding:g}",
                sigmas=None,
                people=len(estimates),
                notes=dict(figures.notes),
                unit="objects",
            )
            sheet = viz.contact_sheet(drawn, columns=4) if drawn else None
            return EvalResult(report, sheet, poses_as_json(rows["id"], rows["found"]))

        return scored


def surface_of(model: ObjectModel) -> Surface:
    """Surface of an object for metrics."""
    return Surface(model.name, model.points, model.diameter, model.symmetries)


def poses_as_json(numbers: list[int], poses: list[RigidPose | None]) -> list[dict[str, Any]]:
    """Poses as JSON types; R row by row and t in mm are None where none was found."""
    return [
        {
            "object_id": number,
            "R": None if pose is None else pose.R.ravel().round(6).tolist(),
            "t": None if pose is None else pose.t.round(3).tolist(),
        }
        for number, pose in zip(numbers, poses, strict=True)
    ]


def _drawing(
    canvas: np.ndarray, known: KnownObject, pose: RigidPose | None, camera: Any
) -> np.ndarray:
    """Canvas, twice enlarged, with the pose over it."""
    large = np.repeat(np.repeat(canvas, 2, axis=0), 2, axis=1)
    twice = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]])
    zoomed = camera._replace(K=twice @ camera.K)
    return draw_objects(large, [] if pose is None else [(known.low, known.high, pose)], zoomed)
