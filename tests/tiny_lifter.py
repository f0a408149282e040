"""A recipe of a lifter, small enough to train in seconds; `--set` names the data.

It is a recipe in its own right (`jaxpose train tests/tiny_lifter.py`), for tests that need a
process of their own.
"""

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.losses import MPJPE
from jaxpose.models import martinez
from jaxpose.skeletons import HUMANEVA15
from jaxpose.tasks.lifting.experiment import LiftingEvaluation, LiftingExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> LiftingExperiment:
    """Twelve steps of a small residual MLP."""
    joints = HUMANEVA15.num_keypoints
    return LiftingExperiment(
        skeleton=HUMANEVA15,
        model=martinez(joints, joints, channels=16, dropout=0.1),
        codec=LiftingCodec(joints),
        loss=MPJPE(),
        train_data=MotionDataset("motion.npz", split=("train",)),
        eval_data=MotionDataset("motion.npz", split=("validate",)),
        optimizer=AdamW(warmup_steps=2),
        evaluation=LiftingEvaluation(every=12, batch_size=16),
        steps=12,
        batch_size=8,
        ema_decay=0.9,
        checkpoint_every=4,
        log_every=1,
    )
