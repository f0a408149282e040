"""A recipe of a lifter, small enough to train in seconds; `--set` names the data.

It is a recipe in its own right (`jaxpose train tests/tiny_lifter.py`), for tests that need a
process of their own.
"""

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.config import LiftingEvaluation, LiftingExperiment, Optimizer
from jaxpose.data.clips import Clips
from jaxpose.losses import MPJPE
from jaxpose.models import martinez
from jaxpose.skeletons import HUMANEVA15


def get_config() -> LiftingExperiment:
    """Twelve steps of a small residual MLP."""
    joints = HUMANEVA15.num_keypoints
    return LiftingExperiment(
        skeleton=HUMANEVA15,
        model=martinez(joints, joints, channels=16, dropout=0.1),
        codec=LiftingCodec(joints),
        loss=MPJPE(),
        train_data=Clips("motion.npz", split=("train",)),
        eval_data=Clips("motion.npz", split=("validate",)),
        optimizer=Optimizer(warmup_steps=2),
        evaluation=LiftingEvaluation(every=12, batch_size=16),
        steps=12,
        batch_size=8,
        ema_decay=0.9,
        checkpoint_every=4,
        log_every=1,
    )
