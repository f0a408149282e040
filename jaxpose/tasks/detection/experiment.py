"""Experiment on whole images, in which a small detector learns from a larger one."""

from dataclasses import dataclass, field

from jaxpose.data.source import Dataset
from jaxpose.errors import InputError
from jaxpose.losses import Loss
from jaxpose.losses.detection import DetectionDistillation
from jaxpose.metrics.boxes import BoxRecall
from jaxpose.metrics.metric import Metric
from jaxpose.models.distillation import DistillationModel
from jaxpose.tasks.detection.mosaic import Mosaic
from jaxpose.tasks.detection.task import DetectionTask
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class Evaluation(EvaluationBase):
    """Schedule and metric for the evaluation on held-out images; see `EvaluationBase`.

    Attributes:
      metrics: `BoxRecall()`, or a custom metric of `metrics.boxes.BoxesInImages`.
      flip_test: has no effect.
      data: a dataset to use in place of the experiment's `eval_data`.
    """

    metrics: tuple[Metric, ...] = (BoxRecall(),)
    flip_test: bool = False
    batch_size: int = 16
    data: Dataset | None = None


@dataclass(frozen=True, kw_only=True)
class DetectionExperiment(Experiment):
    """Training of a detector of people from a teacher's boxes; the images need no labels.

    Attributes:
      model: student and teacher, with `features=False`.
      teacher_from: weights of the teacher.
      train_data: source of people or of whole images; only the images are used.
      eval_data: source of whole images with annotated people, such as `Images`.
      image_hw: height and width of the images in pixels, multiples of 64.
      mosaic: variation of the training images.
      resident: keep the whole training set as uint8 canvases in device memory.
    """

    model: DistillationModel
    teacher_from: str
    train_data: Dataset
    eval_data: Dataset
    image_hw: tuple[int, int] = (256, 256)
    loss: Loss = field(default_factory=DetectionDistillation)
    mosaic: Mosaic = field(default_factory=Mosaic)
    evaluation: Evaluation = field(default_factory=Evaluation)
    more_evaluations: tuple[Evaluation, ...] = ()
    resident: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(side < 64 or side % 64 for side in self.image_hw):
            raise InputError(f"image_hw must be two multiples of 64, not {self.image_hw}.")
        if self.model.features:
            raise InputError(
                "A detector learns from its teacher's boxes only: set model.features=false."
            )

    def task(self) -> DetectionTask:
        return DetectionTask(self)

    @property
    def input_hw(self) -> tuple[int, int]:
        """Height and width of the model's images in pixels."""
        return self.image_hw
