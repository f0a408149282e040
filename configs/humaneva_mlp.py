"""Martinez's residual MLP on HumanEva-I: 3D joints from single frames, trained in minutes.

    jaxpose prepare humaneva --source humaneva15_flat_nopickle.npz --out data/humaneva.npz
    jaxpose train humaneva_mlp --workdir runs/humaneva_mlp

One model for subjects S1 to S3, the actions Walking, Jog and Box and all three cameras: trained on
the split `train`, scored on `validate` by subject and action (as VideoPose3D, arXiv:1811.11742,
table 4). The input is projected joints; published figures use a detector's keypoints. The schedule
ends at rate 0, so the last checkpoint is the result.
"""

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.losses import MPJPE
from jaxpose.models import martinez
from jaxpose.skeletons import HUMANEVA15
from jaxpose.tasks.lifting.experiment import LiftingEvaluation, LiftingExperiment
from jaxpose.train.optimizers import AdamW

ACTIONS = ("Walking", "Jog", "Box")


def get_config() -> LiftingExperiment:
    """2,600 steps of 256, which is 66 epochs."""
    return LiftingExperiment(
        skeleton=HUMANEVA15,
        model=martinez(15, 15, dropout=0.25),
        codec=LiftingCodec(num_keypoints=15, root=(0,)),
        loss=MPJPE(),
        standardise="inputs",
        train_data=MotionDataset("data/humaneva.npz", split=("train",), action=ACTIONS),
        eval_data=MotionDataset("data/humaneva.npz", split=("validate",), action=ACTIONS),
        optimizer=AdamW(learning_rate=1e-3, schedule="cosine", warmup_steps=100, weight_decay=0.01),
        evaluation=LiftingEvaluation(every=1300),
        steps=2600,
        batch_size=256,
        ema_decay=0.998,
        checkpoint_every=1300,
        log_every=200,
    )
