"""A recipe whose every part is from another package than jaxpose."""

from starpose.backbone import PatchMix
from starpose.data import DrawnStars
from starpose.experiment import StarEvaluation, StarExperiment
from starpose.head import PolarHead
from starpose.loss import PolarLoss
from starpose.optimizer import Heavy

from jaxpose.models.build import PoseModel


def get_config() -> StarExperiment:
    """60 steps of 16 skies."""
    return StarExperiment(
        model=PoseModel(PatchMix(), PolarHead(3)),
        loss=PolarLoss(),
        optimizer=Heavy(),
        train_data=DrawnStars(256, seed=0),
        eval_data=DrawnStars(64, seed=1),
        evaluation=StarEvaluation(every=30, batch_size=64),
        steps=60,
        batch_size=16,
        log_every=10,
        checkpoint_every=10,
    )
