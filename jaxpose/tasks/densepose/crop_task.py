"""Parts that tasks on surfaces of people in crops share."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import viz
from jaxpose.codecs.densepose import SurfaceOutputs
from jaxpose.errors import InputError
from jaxpose.metrics.metric import score
from jaxpose.metrics.report import Report
from jaxpose.metrics.surface_similarity import SurfaceEstimates
from jaxpose.skeletons import COCO17
from jaxpose.tasks.densepose.estimator import SurfaceEstimator
from jaxpose.tasks.densepose.predictor import Surfaces
from jaxpose.tasks.start import from_init
from jaxpose.tasks.task import EvalResult, Variables, Weights
from jaxpose.tasks.topdown.augment import STILL, Augmented, augmented
from jaxpose.train.device_batches import DEVICE_KEYS, train_batches
from jaxpose.viz.surfaces import draw_surface, enlarge_map


@dataclass(frozen=True)
class CropSurfaces:
    """Base of tasks that predict surfaces from crops; see `task.Task`.

    Attributes:
      experiment: experiment of the task.
      keys: arrays of a batch that programs read.
      body: body model whose charts are learnt, see `SurfaceEstimator`.
    """

    experiment: Any
    keys: ClassVar[tuple[str, ...]] = DEVICE_KEYS
    unit: ClassVar[str] = "images"
    body: ClassVar[str] = "drawn"

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

    def open(self, role: Literal["train", "eval"]) -> Any:
        data = self.experiment.train_data if role == "train" else self.experiment.eval_data
        return data.open()

    def batches(
        self,
        source: Any,
        mesh: jax.sharding.Mesh,
        start_step: int,
        on_loaded: Callable[[int], None] = lambda samples: None,
    ) -> Iterator[dict[str, jax.Array]]:
        return train_batches(self.experiment, source, mesh, start_step, on_loaded, self.keys)

    def crops(self, key: jax.Array, batch: dict[str, jax.Array]) -> Augmented:
        """Crops of a batch for training, augmented by `key`."""
        experiment, codec = self.experiment, self.experiment.codec
        return augmented(
            key,
            batch,
            augmentation=experiment.augmentation,
            input_hw=codec.input_hw,
            udp=codec.udp,
            permutation=COCO17.flip_permutation,
            upper_body=COCO17.upper_body_mask,
            padding=experiment.padding,
        )

    def fit_to_data(self, source: Any) -> Any:
        return self.experiment

    def initial_variables(self, fresh: Variables, weights: Weights) -> Variables:
        return from_init(self.experiment, fresh, weights)

    def without_augmentation(self) -> Any:
        return dataclasses.replace(self.experiment, augmentation=STILL)

    def estimator(self, variables: Variables) -> tuple[SurfaceEstimator, Variables]:
        experiment = self.experiment
        made = SurfaceEstimator(experiment.model, experiment.codec, self.body, experiment.padding)
        return made, variables

    def next_step(self, workdir: str) -> str:
        return f"jaxpose predict IMAGE --surface {workdir} --out out"

    def result(
        self,
        estimates: SurfaceEstimates,
        drawn: list[np.ndarray],
        predictions: dict[str, Any],
        left_out: Mapping[str, int] = MappingProxyType({}),
    ) -> EvalResult:
        """Figures of an evaluation, with a sheet of the drawn people.

        `left_out`: number of annotations that were not used, by reason.
        """
        experiment, evaluation = self.experiment, self.experiment.evaluation
        scored: Any = estimates
        figures = score(evaluation.metrics, scored, evaluation.best)
        counts = "; ".join(f"{number} {reason}" for reason, number in left_out.items())
        notes = {"annotations left out": counts} if counts else {}
        report = Report(
            metrics=figures.figures,
            boxes="those of the dataset",
            flip_test=False,
            decode=f"SurfaceMaps, padding {experiment.padding:g}",
            sigmas=None,
            people=len(estimates),
            notes={**figures.notes, **notes},
        )
        sheet = viz.contact_sheet(drawn, columns=4) if drawn else None
        return EvalResult(report, sheet, predictions)


def draw_beside(
    canvas: np.ndarray, found: Any, row: int, matrix: np.ndarray, true: np.ndarray
) -> np.ndarray:
    """Canvas, twice enlarged, with the predicted surface, and beside it with the true one.

    Args:
      canvas: uint8 `[H, W, 3]`.
      found: `codecs.densepose.Surface` of a batch.
      row: number of the person in the batch.
      matrix: `[B, 2, 3]` from canvases to the maps.
      true: `[H, W, 3]` part, U and V in the canvas.
    """
    one = slice(row, row + 1)
    surface = Surfaces(found.part[one], found.uv[one], found.score[one], matrix[one])
    large = np.repeat(np.repeat(canvas, 2, axis=0), 2, axis=1)
    maps = (surface.in_image(canvas.shape[:2]), true)
    return np.concatenate([draw_surface(large, enlarge_map(each, 2)) for each in maps], axis=1)
