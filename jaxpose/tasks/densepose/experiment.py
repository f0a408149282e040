"""Experiments on surfaces: part, U and V of each pixel of the crop of one person."""

from dataclasses import dataclass, field

from jaxpose.bodies.drawn_surfaces import SyntheticSurfaces
from jaxpose.bodies.labelled_surfaces import DensePoseCoco
from jaxpose.bodies.surface_distances import MeshDistances, PublishedDistances
from jaxpose.codecs.densepose import SurfaceMaps
from jaxpose.errors import InputError
from jaxpose.losses import Loss, SurfaceLoss, SurfacePointLoss
from jaxpose.metrics.metric import Metric
from jaxpose.metrics.surface_similarity import SurfacePlaces, SurfaceSimilarity
from jaxpose.models.build import PoseModel
from jaxpose.tasks.densepose.point_task import SurfacePointTask
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
class SurfacePointEvaluation(EvaluationBase):
    """Evaluation on held-out people with labelled points, without a flip test.

    Attributes:
      metrics: `SurfacePlaces()`, `SurfaceSimilarity(...)`, which needs `distances`, or custom
        metrics of `metrics.surface_similarity.SurfaceEstimates`.
      distances: files with distances along the body's surface; None if you do not have them.
      examples: number of people drawn with their surfaces, the first ones of the dataset.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (SurfacePlaces(),)
    flip_test: bool = False
    distances: PublishedDistances | MeshDistances | None = None
    examples: int = 8
    data: DensePoseCoco | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        asked = any(isinstance(metric, SurfaceSimilarity) for metric in self.metrics)
        if asked and self.distances is None:
            raise InputError(
                "SurfaceSimilarity needs distances along the body's surface: set "
                "evaluation.distances to PublishedDistances(FOLDER) with DensePose's evaluation "
                "data, or to MeshDistances, or leave the metric out."
            )


@dataclass(frozen=True, kw_only=True)
class CropExperiment(Experiment):
    """Training of a model that predicts the surface of a person from its crop.

    Attributes:
      model: a backbone with a `DensePoseHead`.
      codec: crops and maps.
      padding: factor from the size of a person's box to that of the crop.
      resident: keep the whole training set as uint8 canvases in device memory.
    """

    model: PoseModel
    codec: SurfaceMaps
    padding: float = 1.25
    resident: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for evaluation in (self.evaluation, *self.more_evaluations):
            if evaluation.flip_test:
                raise InputError("evaluation.flip_test must be False: surfaces are not averaged.")

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the crops in pixels."""
        return self.codec.input_hw


@dataclass(frozen=True, kw_only=True)
class SurfaceExperiment(CropExperiment):
    """`CropExperiment` on drawn people, whose pixels all have labels.

    Attributes:
      augmentation: of the crops; mirrored ones have the charts of the other side.
    """

    train_data: SyntheticSurfaces
    eval_data: SyntheticSurfaces
    loss: Loss = field(default_factory=SurfaceLoss)
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(rotation_degrees=20.0, scale=0.25)
    )
    evaluation: SurfaceEvaluation = field(default_factory=SurfaceEvaluation)
    more_evaluations: tuple[SurfaceEvaluation, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for evaluation in (self.evaluation, *self.more_evaluations):
            if evaluation.points < 1:
                raise InputError("evaluation.points must be at least 1.")

    def task(self) -> SurfaceTask:
        return SurfaceTask(self)


@dataclass(frozen=True, kw_only=True)
class SurfacePointExperiment(CropExperiment):
    """`CropExperiment` on people with labelled points, as DensePose-COCO has.

    Attributes:
      augmentation: of the crops; mirrored ones need `DensePoseCoco(symmetry=...)`. There is no
        keypoint, so no crop is of half a body.
    """

    train_data: DensePoseCoco
    eval_data: DensePoseCoco
    loss: Loss = field(default_factory=SurfacePointLoss)
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(
            flip=0.0, rotation_degrees=20.0, scale=0.25, half_body=0.0
        )
    )
    evaluation: SurfacePointEvaluation = field(default_factory=SurfacePointEvaluation)
    more_evaluations: tuple[SurfacePointEvaluation, ...] = ()

    def task(self) -> SurfacePointTask:
        return SurfacePointTask(self)
