"""Small DSTFormer over 9 frames on HumanEva-I; data as `humaneva_mlp`.

    jaxpose train humaneva_transformer --workdir runs/humaneva_transformer

MotionBERT's network (arXiv:2210.06551), narrow, with two layers and without pretraining: it lifts
every frame of a window at once, and the loss includes velocity. In evaluation windows overlap by
two thirds, and the predictions for each frame are averaged.
"""

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.losses import MPJPE, Velocity, WeightedSum
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import JointHead, Lifter
from jaxpose.skeletons import HUMANEVA15
from jaxpose.tasks.lifting.experiment import LiftingEvaluation, LiftingExperiment
from jaxpose.train.optimizers import AdamW

ACTIONS = ("Walking", "Jog", "Box")


def get_config() -> LiftingExperiment:
    """7,500 steps of 32 windows, each of them 24 times; half an hour on two cores."""
    return LiftingExperiment(
        skeleton=HUMANEVA15,
        model=Lifter(DSTFormer(15, frames=9, dim=64, depth=2, heads=2), JointHead(15, hidden=128)),
        codec=LiftingCodec(num_keypoints=15, root=(0,), confidence=True),
        loss=WeightedSum((MPJPE(), Velocity()), (1.0, 2.0)),
        standardise="inputs",
        train_data=MotionDataset("data/humaneva.npz", split=("train",), action=ACTIONS),
        eval_data=MotionDataset("data/humaneva.npz", split=("validate",), action=ACTIONS),
        optimizer=AdamW(learning_rate=1e-3, schedule="cosine", warmup_steps=200, weight_decay=0.01),
        evaluation=LiftingEvaluation(every=2500, batch_size=256),
        steps=7500,
        batch_size=32,
        ema_decay=0.998,
        checkpoint_every=500,
        log_every=100,
    )
