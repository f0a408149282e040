"""SmoothNet on HumanEva-I's 2D keypoints with made-up faults; data as `humaneva_mlp`.

    jaxpose train humaneva_refiner --workdir runs/humaneva_refiner
    jaxpose predict video.mp4 --smooth runs/humaneva_refiner

It refines tracks of any skeleton at 20 to 60 frames per second. Trained on both splits of S1 and
S2, scored on S3.
"""

from jaxpose.codecs.tracks import TrackCodec
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.models.track_refiner import smoothnet
from jaxpose.skeletons import HUMANEVA15
from jaxpose.tasks.refining.experiment import RefiningEvaluation, RefiningExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> RefiningExperiment:
    """3,000 steps of 64 windows."""
    return RefiningExperiment(
        skeleton=HUMANEVA15,
        model=smoothnet(24),
        codec=TrackCodec(24, fps=(20.0, 60.0)),
        train_data=MotionDataset("data/humaneva.npz", subject=("S1", "S2")),
        eval_data=MotionDataset("data/humaneva.npz", subject=("S3",)),
        optimizer=AdamW(learning_rate=2e-3, schedule="cosine", warmup_steps=100, weight_decay=0.01),
        evaluation=RefiningEvaluation(every=3000),
        steps=3000,
        batch_size=64,
        ema_decay=0.998,
        checkpoint_every=3000,
        log_every=250,
    )
