"""VideoPose3D's temporal convolutions over 27 frames on HumanEva-I; data as `humaneva_mlp`.

    jaxpose train humaneva_temporal --workdir runs/humaneva_temporal

At 60 frames per second, 27 frames are 0.45 s. The network is half as wide as published (512
channels), so that a sample costs as much as one of `humaneva_mlp`. Windows of exactly the receptive
field are cut by index, so strides compute only the values needed for the middle frame.
"""

from jaxpose.codecs.lifting import LiftingCodec
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.losses import MPJPE
from jaxpose.models import videopose3d
from jaxpose.skeletons import HUMANEVA15
from jaxpose.tasks.lifting.experiment import LiftingEvaluation, LiftingExperiment
from jaxpose.train.optimizers import AdamW

ACTIONS = ("Walking", "Jog", "Box")


def get_config() -> LiftingExperiment:
    """2,600 steps of 256, which is 66 epochs."""
    return LiftingExperiment(
        skeleton=HUMANEVA15,
        model=videopose3d(27, 15, 15, channels=512, strided=True),
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
