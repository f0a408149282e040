"""Task of predicting the surfaces of drawn people from their crops."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.bodies import drawn_body
from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.bodies.drawn_surfaces import SurfaceSource
from jaxpose.bodies.surface_distances import Distances, mesh_distances
from jaxpose.codecs.densepose import SurfaceTargets
from jaxpose.errors import InputError
from jaxpose.metrics.surface_similarity import (
    SurfaceEstimates,
    geodesic_distances,
    geodesic_similarity,
    mask_overlap,
)
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
    from jaxpose.tasks.densepose.experiment import SurfaceExperiment

_METRE = 1000.0


@dataclass(frozen=True)
class SurfaceTask(CropSurfaces):
    """Task of predicting surfaces of drawn people from crops; see `task.Task`."""

    experiment: "SurfaceExperiment"
    keys: ClassVar[tuple[str, ...]] = (*DEVICE_KEYS, "iuv")

    def open_dataset(self, data: str, split: str) -> SurfaceSource:
        raise InputError(
            f"{data} ({split}) has no surfaces: models of surfaces are evaluated on drawn people, "
            "the recipe's eval_data."
        )

    def encode(
        self, key: jax.Array, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, SurfaceTargets, jax.Array]:
        """Compute augmented crops, the labels of their pixels, and weights `[B, h, w]`.

        `batch`: as for top-down training, with iuv uint8 `[B, Hc, Wc, 3]`.
        """
        codec = self.experiment.codec
        made = self.crops(key, batch)
        targets = codec.encode(batch["iuv"], made.matrix, made.variation.flip, drawn_atlas().mirror)
        mask = batch["mask"].astype(jnp.float32)
        return made.images, targets, jnp.broadcast_to(mask[:, None, None], targets.part.shape)

    def abstract_batch(self, mesh: jax.sharding.Mesh) -> dict[str, Any]:
        experiment = self.experiment
        canvas, points = experiment.train_data.canvas_hw, COCO17.num_keypoints
        shapes: dict[str, tuple[tuple[int, ...], Any]] = {
            "image": ((*canvas, 3), jnp.uint8),
            "keypoints": ((points, 2), jnp.float32),
            "visible": ((points,), jnp.uint8),
            "box_xywh": ((4,), jnp.float32),
            "mask": ((), jnp.bool_),
            "iuv": ((*canvas, 3), jnp.uint8),
        }
        return abstract_arrays(shapes, experiment.batch_size, mesh)

    def sample_names(self, source: SurfaceSource, indices: np.ndarray) -> list[str]:
        return [f"person {source.first_index + index}" for index in indices]

    def evaluator(
        self, source: SurfaceSource, mesh: jax.sharding.Mesh, flip_test: bool
    ) -> Evaluator:
        experiment = self.experiment
        evaluation, codec, model = experiment.evaluation, experiment.codec, experiment.model

        def estimate(variables: Any, batch: dict[str, jax.Array]) -> Any:
            images, _, _, matrix = center_crop(
                batch, input_hw=codec.input_hw, udp=codec.udp, padding=experiment.padding
            )
            found = codec.decode(model.apply(variables, images, train=False))
            return found, codec.encode(batch["iuv"], matrix), codec.map_matrix(matrix)

        run = jax.jit(estimate, out_shardings=replicated(mesh))

        def scored(
            variables: Any, on_batch: Callable[[int], None] = lambda samples: None
        ) -> EvalResult:
            found: Any
            distances: list[np.ndarray] = []
            columns: list[tuple[float, float, float]] = []
            drawn: list[np.ndarray] = []
            for batch in eval_batches(experiment, source, mesh):
                found, true, matrix = jax.device_get(
                    run(variables, to_device(batch, mesh, self.keys))
                )
                for row in np.flatnonzero(batch["mask"]).tolist():
                    part, uv = found.part[row], found.uv[row]
                    seen = true.part[row] > 0
                    y, x = labelled_pixels(seen, evaluation.points, len(distances))
                    distances.append(
                        drawn_distances()(
                            (true.part[row][y, x], true.uv[row][y, x]), (part[y, x], uv[y, x])
                        )
                    )
                    # Pixels of a map are as large as this in the canvas.
                    area = np.count_nonzero(seen) / abs(float(np.linalg.det(matrix[row][:, :2])))
                    columns.append((mask_overlap(part > 0, seen), float(found.score[row]), area))
                    if len(drawn) < evaluation.examples:
                        true_map = batch["iuv"][row] / np.array([1, 255, 255])
                        drawn.append(draw_beside(batch["image"][row], found, row, matrix, true_map))
                on_batch(len(distances))
            table = np.array(columns, np.float64).reshape(-1, 3)
            estimates = SurfaceEstimates(distances, table[:, 0], table[:, 1], table[:, 2])
            predictions = {
                "GPS": [round(geodesic_similarity(one), 4) for one in distances],
                "IoU": table[:, 0].round(4).tolist(),
            }
            return self.result(estimates, drawn, predictions)

        return scored


@lru_cache(maxsize=1)
def drawn_distances() -> Distances:
    """Distances along the free body's surface in the rest pose."""
    atlas = drawn_atlas()
    template = np.asarray(drawn_body().template) / _METRE
    return mesh_distances(atlas, geodesic_distances(template, atlas.faces, atlas.joins))


def labelled_pixels(seen: np.ndarray, points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of at most `points` pixels of a mask `[h, w]`, the same for a seed."""
    y, x = np.nonzero(seen)
    if len(y) > points:
        chosen = np.sort(np.random.default_rng(seed).choice(len(y), points, replace=False))
        y, x = y[chosen], x[chosen]
    return y, x
