"""Experiment on surfaces: part, U and V of each pixel of the crop of one person."""

from dataclasses import dataclass, field

from jaxpose.bodies.drawn_surfaces import SyntheticSurfaces
from jaxpose.codecs.densepose import SurfaceMaps
from jaxpose.errors import InputError
from jaxpose.losses import Loss, SurfaceLoss
from jaxpose.metrics.metric import Metric
from jaxpose.metrics.surface_similarity import SurfaceSimilarity
from jaxpose.models.build import PoseModel
from jaxpose.tasks.densepose.task import SurfaceTask
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class SurfaceEvaluation(EvaluationBase):
    """Evaluation on held-out people, without a flip test.

    Attributes:
      metrics: `SurfaceSimilarity()`, or a custom metric of
        `metrics.surface_similarity.SurfaceEstimates`.
      points: largest number of pixels of a person that are compared, drawn at random, the same in
        each evaluation.
      examples: number of people drawn with their surfaces, the first ones of the dataset.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (SurfaceSimilarity(),)
    flip_test: bool = False
    points: int = 100
    examples: int = 8
    data: SyntheticSurfaces | None = None


@dataclass(frozen=True, kw_only=True)
class SurfaceExperiment(Experiment):
    """Training of a model that predicts the surface of a person from its crop.

    Attributes:
      model: a backbone with a `DensePoseHead`.
      codec: crops and maps.
      augmentation: of the crops; mirrored ones have the charts of the other side.
      padding: factor from the size of a person's box to that of the crop.
      resident: keep the whole training set as uint8 canvases in device memory.
    """

    model: PoseModel
    codec: SurfaceMaps
    train_data: SyntheticSurfaces
    eval_data: SyntheticSurfaces
    loss: Loss = field(default_factory=SurfaceLoss)
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(rotation_degrees=20.0, scale=0.25)
    )
    padding: float = 1.25
    evaluation: SurfaceEvaluation = field(default_factory=SurfaceEvaluation)
    more_evaluations: tuple[SurfaceEvaluation, ...] = ()
    resident: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for evaluation in (self.evaluation, *self.more_evaluations):
            if evaluation.flip_test:
                raise InputError("evaluation.flip_test must be False: surfaces are not averaged.")
            if evaluation.points < 1:
                raise InputError("evaluation.points must be at least 1.")

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the crops in pixels."""
        return self.codec.input_hw

    def task(self) -> SurfaceTask:
        return SurfaceTask(self)
