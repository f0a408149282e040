"""Task of predicting surfaces from crops of people with labelled points, as DensePose-COCO has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies.labelled_surfaces import DensePoseSource
from jaxpose.codecs.densepose import MASK_SIDE, PointTargets
from jaxpose.errors import InputError
from jaxpose.losses.densepose import outputs_at
from jaxpose.metrics.surface_similarity import SurfaceEstimates, geodesic_similarity, mask_overlap
from jaxpose.skeletons import COCO17
from jaxpose.tasks.densepose.crop_task import CropSurfaces, draw_beside
from jaxpose.tasks.task import EvalResult, Evaluator
from jaxpose.tasks.topdown.augment import center_crop
from jaxpose.train.device_batches import (
    DEVICE_KEYS,
    abstract_arrays,
    eval_batches,
    to_device,
)
from jaxpose.train.mesh import replicated

if TYPE_CHECKING:
    from jaxpose.tasks.densepose.experiment import SurfacePointExperiment

_POINTS = ("points", "part", "uv", "mirror_part", "mirror_uv")
_RADIUS = 2  # pixels of a point in drawings


@dataclass(frozen=True)
class SurfacePointTask(CropSurfaces):
    """Task of predicting the surfaces of people with labelled points; see `task.Task`."""

    experiment: "SurfacePointExperiment"
    keys: ClassVar[tuple[str, ...]] = (*DEVICE_KEYS, *_POINTS, "coarse", "has_coarse")
    body: ClassVar[str] = "smpl"

    def open(self, role: Literal["train", "eval"]) -> DensePoseSource:
        """Open the data; InputError also for crops of mirror images without a symmetry."""
        source: DensePoseSource = super().open(role)
        if role == "train" and self.experiment.augmentation.flip and not source.has_symmetry:
            raise InputError(
                "augmentation.flip mirrors crops, and the places on mirrored bodies are in "
                "DensePose's UV_symmetry_transforms.mat: give it as train_data.symmetry, or set "
                "augmentation.flip to 0."
            )
        return source

    def open_dataset(self, data: str, split: str) -> DensePoseSource:
        raise InputError(
            f"{data} ({split}) has no surfaces: models of surfaces are evaluated on the recipe's "
            "eval_data. Set eval_data.annotations and eval_data.images to other files."
        )

    def encode(
        self, key: jax.Array, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, PointTargets, jax.Array]:
        """Compute augmented crops, the labels of points and pixels, and weights `[B, h, w]`.

        `batch`: as for top-down training, with the labels of `DensePoseSource`.
        """
        codec = self.experiment.codec
        made = self.crops(key, batch)
        flip = made.variation.flip
        part = jnp.where(flip[:, None], batch["mirror_part"], batch["part"])
        uv = jnp.where(flip[:, None, None], batch["mirror_uv"], batch["uv"])
        place, part = codec.encode_points(batch["points"], part, made.matrix)
        coarse = codec.encode_mask(batch["coarse"], batch["box_xywh"], made.matrix, flip)
        used = batch["mask"]
        targets = PointTargets(coarse, place, jnp.where(used[:, None], part, 0), uv)
        weights = (used & batch["has_coarse"]).astype(jnp.float32)
        return made.images, targets, jnp.broadcast_to(weights[:, None, None], coarse.shape)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        experiment = self.experiment
        canvas, number = experiment.train_data.canvas_hw, experiment.train_data.max_points
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "image": ((*canvas, 3), jnp.uint8),
            "keypoints": ((COCO17.num_keypoints, 2), jnp.float32),
            "visible": ((COCO17.num_keypoints,), jnp.uint8),
            "box_xywh": ((4,), jnp.float32),
            "mask": ((), jnp.bool_),
            "points": ((number, 2), jnp.float32),
            "part": ((number,), jnp.int32),
            "uv": ((number, 2), jnp.float32),
            "mirror_part": ((number,), jnp.int32),
            "mirror_uv": ((number, 2), jnp.float32),
            "coarse": ((MASK_SIDE, MASK_SIDE), jnp.uint8),
            "has_coarse": ((), jnp.bool_),
        }
        return abstract_arrays(shapes, experiment.batch_size, mesh)

    def sample_names(self, source: DensePoseSource, indices: np.ndarray) -> list[str]:
        return [source.name(int(index)) for index in indices]

    def evaluator(
        self, source: DensePoseSource, mesh: jax.sharding.Mesh, flip_test: bool
    ) -> Evaluator:
        experiment = self.experiment
        evaluation, codec, model = experiment.evaluation, experiment.codec, experiment.model
        distances_of = None if evaluation.distances is None else evaluation.distances.open()

        def estimate(variables: Any, batch: dict[str, jax.Array]) -> Any:
            images, _, _, matrix = center_crop(
                batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
            )
            outputs: Any = model.apply(variables, images, train=False)
            place, inside = codec.encode_points(batch["points"], batch["part"], matrix)
            at = jax.tree.map(lambda x: x[:, None], outputs_at(outputs, place))
            point = codec.decode(at)
            part = jnp.where(inside > 0, point.part[:, 0], 0)
            coarse = codec.encode_mask(batch["coarse"], batch["box_xywh"], matrix)
            return codec.decode(outputs), (part, point.uv[:, 0]), coarse, codec.map_matrix(matrix)

        run = jax.jit(estimate, out_shardings=replicated(mesh))

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            found: Any
            parts: list[np.ndarray] = []
            places: list[np.ndarray] = []
            distances: list[np.ndarray] = []
            columns: list[tuple[float, float, float]] = []
            ids: list[int] = []
            drawn: list[np.ndarray] = []
            for batch in eval_batches(experiment, source, mesh):
                found, (part, uv), coarse, matrix = jax.device_get(
                    run(variables, to_device(batch, mesh, self.keys))
                )
                for row in np.flatnonzero(batch["mask"]).tolist():
                    labelled = batch["part"][row] > 0
                    true = batch["part"][row][labelled], batch["uv"][row][labelled]
                    own = part[row][labelled], uv[row][labelled]
                    parts.append(np.stack([true[0], own[0]], axis=1))
                    places.append(np.stack([true[1], own[1]], axis=1))
                    if distances_of is not None:
                        distances.append(distances_of(true, own))
                    overlap = np.nan
                    if batch["has_coarse"][row]:
                        overlap = mask_overlap(found.part[row] > 0, coarse[row] > 0)
                    area, score = float(batch["area"][row]), float(found.score[row])
                    columns.append((overlap, score, area))
                    ids.append(int(batch["annotation_id"][row]))
                    if len(drawn) < evaluation.examples:
                        true_map = _points_map(batch, row)
                        drawn.append(draw_beside(batch["image"][row], found, row, matrix, true_map))
                on_batch(len(columns))
            table = np.array(columns, np.float64).reshape(-1, 3)
            known = None if distances_of is None else distances
            estimates = SurfaceEstimates(
                known, table[:, 0], table[:, 1], table[:, 2], parts, places
            )
            predictions: dict[str, Any] = {
                "annotation": ids,
                "parts": [round(float((one[:, 0] == one[:, 1]).mean()), 4) for one in parts],
                "IoU": [None if np.isnan(one) else round(one, 4) for one in table[:, 0].tolist()],
            }
            if known is not None:
                predictions["GPS"] = [round(geodesic_similarity(one), 4) for one in known]
            return self.result(estimates, drawn, predictions, source.left_out)

        return scored


def _points_map(batch: dict[str, np.ndarray], row: int) -> np.ndarray:
    """Part, U and V `[H, W, 3]` in squares about the labelled points of a person."""
    height, width = batch["image"].shape[1:3]
    true = np.zeros((height, width, 3))
    for part, uv, at in zip(*(batch[name][row] for name in ("part", "uv", "points")), strict=True):
        x, y = np.rint(at).astype(int)
        if part and 0 <= x < width and 0 <= y < height:
            window = np.s_[
                max(y - _RADIUS, 0) : y + _RADIUS + 1, max(x - _RADIUS, 0) : x + _RADIUS + 1
            ]
            true[window] = part, *uv
    return true
