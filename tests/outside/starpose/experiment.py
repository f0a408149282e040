"""An experiment on stars."""

from dataclasses import dataclass, field

from jaxpose.metrics.metric import Metric
from jaxpose.skeletons import Skeleton
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.experiment import Experiment
from starpose.codec import Polar
from starpose.data import STARS, DrawnStars
from starpose.metric import MedianError
from starpose.task import StarTask


@dataclass(frozen=True, kw_only=True)
class StarEvaluation(EvaluationBase):
    """See `EvaluationBase`."""

    metrics: tuple[Metric, ...] = (MedianError(),)


@dataclass(frozen=True, kw_only=True)
class StarExperiment(Experiment):
    """Training of a model that finds three stars."""

    codec: Polar = field(default_factory=Polar)
    train_data: DrawnStars
    eval_data: DrawnStars
    skeleton: Skeleton = STARS
    evaluation: StarEvaluation = field(default_factory=StarEvaluation)

    def task(self) -> StarTask:
        return StarTask(self)

    @property
    def input_hw(self) -> tuple[int, int]:
        return self.codec.input_hw
