"""Task of predicting the surfaces of drawn people from their crops."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.bodies import drawn_body
from jaxpose.bodies.charts import Atlas
from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.bodies.drawn_surfaces import SurfaceSource
from jaxpose.codecs.densepose import SurfaceOutputs, SurfaceTargets
from jaxpose.errors import InputError
from jaxpose.metrics.metric import score
from jaxpose.metrics.report import Report
from jaxpose.metrics.surface_similarity import (
    SurfaceEstimates,
    geodesic_distances,
    geodesic_similarity,
    mask_overlap,
)
from jaxpose.skeletons import COCO17
from jaxpose.tasks.densepose.estimator import SurfaceEstimator
from jaxpose.tasks.densepose.predictor import Surfaces
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
from jaxpose.viz.surfaces import draw_surface, enlarge_map

if TYPE_CHECKING:
    from jaxpose.tasks.densepose.experiment import SurfaceExperiment

_KEYS = (*DEVICE_KEYS, "iuv")
_METRE = 1000.0


@dataclass(frozen=True)
class SurfaceTask:
    """Task of predicting surfaces from crops; see `task.Task`."""

    experiment: "SurfaceExperiment"
    unit: ClassVar[str] = "images"

    def check(self) -> None:
        """Raise InputError if the model's maps are not those of the codec; computes shapes only."""
        model: Any = self.experiment.model
        codec = self.experiment.codec
        crops = jax.ShapeDtypeStruct((1, *codec.input_hw, 3), jnp.float32)
        outputs, _ = jax.eval_shape(lambda x: model.init_with_output(jax.random.key(0), x), crops)
        if not isinstance(outputs, SurfaceOutputs):
            raise InputError("The model gives no SurfaceOutputs: its head must be a DensePoseHead.")
        given = (*outputs.coarse.shape[1:3], outputs.coarse.shape[-1])
        wanted = (*codec.map_hw, codec.coarse)
        if given != wanted:
            raise InputError(
                f"The model's maps have height, width and coarse channels {given}, those of the "
                f"codec {wanted}. Set codec.stride to the stride of the backbone over 4, and "
                "codec.coarse to that of the head."
            )

    def open(self, role: Literal["train", "eval"]) -> SurfaceSource:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        return data.open()

    def open_dataset(self, data: str, split: str) -> SurfaceSource:
        raise InputError(
            f"{data} ({split}) has no surfaces: models of surfaces are evaluated on drawn people, "
            "the recipe's eval_data."
        )

    def fit_to_data(self, source: SurfaceSource) -> "SurfaceExperiment":
        return self.experiment

    def batches(
        self,
        source: SurfaceSource,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        return train_batches(self.experiment, source, mesh, start_step, on_loaded, _KEYS)

    def encode(
        self, key: jax.Array, batch: dict[str, jax.Array]
    ) -> tuple[jax.Array, SurfaceTargets, jax.Array]:
        """Compute augmented crops, the labels of their pixels, and weights `[B, h, w]`.

        `batch`: as for top-down training, with iuv uint8 `[B, Hc, Wc, 3]`.
        """
        experiment, codec = self.experiment, self.experiment.codec
        made = augmented(
            key,
            batch,
            augmentation=experiment.augmentation,
            input_hw=codec.input_hw,
            udp=codec.udp,
            permutation=COCO17.flip_permutation,
            upper_body=COCO17.upper_body_mask,
            padding=experiment.padding,
        )
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

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        return from_init(self.experiment, fresh, weights)

    def without_augmentation(self) -> "SurfaceExperiment":
        return dataclasses.replace(self.experiment, augmentation=STILL)

    def sample_names(self, source: SurfaceSource, indices: np.ndarray) -> list[str]:
        return [f"person {source.first_index + index}" for index in indices]

    def estimator(self, variables: Variables) -> tuple[SurfaceEstimator, Variables]:
        experiment = self.experiment
        made = SurfaceEstimator(experiment.model, experiment.codec, "drawn", experiment.padding)
        return made, variables

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict IMAGE --surface {workdir} --out out"

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
                found, true, matrix = jax.device_get(run(variables, to_device(batch, mesh, _KEYS)))
                for row in np.flatnonzero(batch["mask"]).tolist():
                    part, uv = found.part[row], found.uv[row]
                    seen = true.part[row] > 0
                    y, x = labelled_pixels(seen, evaluation.points, len(distances))
                    distances.append(
                        place_distances(
                            drawn_atlas(),
                            drawn_distances(),
                            (true.part[row][y, x], true.uv[row][y, x]),
                            (part[y, x], uv[y, x]),
                        )
                    )
                    # Pixels of a map are as large as this in the canvas.
                    area = np.count_nonzero(seen) / abs(float(np.linalg.det(matrix[row][:, :2])))
                    columns.append((mask_overlap(part > 0, seen), float(found.score[row]), area))
                    if len(drawn) < evaluation.examples:
                        drawn.append(_drawing(batch, row, found, matrix))
                on_batch(len(distances))
            table = np.array(columns, np.float64).reshape(-1, 3)
            estimates: Any = SurfaceEstimates(distances, table[:, 0], table[:, 1], table[:, 2])
            figures = score(evaluation.metrics, estimates, evaluation.best)
            report = Report(
                metrics=figures.figures,
                boxes="those of the dataset",
                flip_test=False,
                decode=f"SurfaceMaps, padding {experiment.padding:g}",
                sigmas=None,
                people=len(estimates),
                notes=dict(figures.notes),
            )
            sheet = viz.contact_sheet(drawn, columns=4) if drawn else None
            predictions = {
                "GPS": [round(geodesic_similarity(one), 4) for one in distances],
                "IoU": table[:, 0].round(4).tolist(),
            }
            return EvalResult(report, sheet, predictions)

        return scored


@lru_cache(maxsize=1)
def drawn_distances() -> np.ndarray:
    """Geodesic distances `[V, V]` of the free body's vertices in the rest pose, m."""
    atlas = drawn_atlas()
    return geodesic_distances(np.asarray(drawn_body().template) / _METRE, atlas.faces, atlas.joins)


def labelled_pixels(seen: np.ndarray, points: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of at most `points` pixels of a mask `[h, w]`, the same for a seed."""
    y, x = np.nonzero(seen)
    if len(y) > points:
        chosen = np.sort(np.random.default_rng(seed).choice(len(y), points, replace=False))
        y, x = y[chosen], x[chosen]
    return y, x


def place_distances(
    atlas: Atlas,
    between: np.ndarray,
    true: tuple[np.ndarray, np.ndarray],
    found: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Geodesic distances `[N]` of predicted from true places, in the unit of `between`.

    As in the published evaluation, a place counts as the vertex with the largest share in it.

    Args:
      atlas: charts of the mesh.
      between: `[V, V]` distances of its vertices.
      true: parts `[N]`, 1 to 24, and U, V `[N, 2]`.
      found: the same as predicted; a part of 0 has an infinite distance.
    """
    body = found[0] > 0
    distance = np.full(len(body), np.inf)
    here = atlas.nearest_vertex(true[0][body], true[1][body])
    there = atlas.nearest_vertex(found[0][body], found[1][body])
    distance[body] = between[here, there]
    return distance


def _drawing(batch: dict[str, np.ndarray], row: int, found: Any, matrix: np.ndarray) -> np.ndarray:
    """Canvas, twice enlarged, with the predicted surface, and beside it with the true one."""
    canvas = np.asarray(batch["image"][row])
    one = slice(row, row + 1)
    surface = Surfaces(found.part[one], found.uv[one], found.score[one], matrix[one])
    true = batch["iuv"][row] / np.array([1, 255, 255])
    large = np.repeat(np.repeat(canvas, 2, axis=0), 2, axis=1)
    maps = (surface.in_image(canvas.shape[:2]), true)
    return np.concatenate([draw_surface(large, enlarge_map(each, 2)) for each in maps], axis=1)
