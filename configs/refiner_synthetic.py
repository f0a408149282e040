"""SmoothNet on 2D keypoints of drawn people with made-up faults. No data needed.

    jaxpose train refiner_synthetic --workdir runs/refiner
    jaxpose predict video.mp4 --smooth runs/refiner

It refines tracks of any skeleton; videos at other rates than 15 to 25 frames per second are
resampled. Drawn people move less freely than real ones: with motion capture use `humaneva_refiner`.
"""

from jaxpose.codecs.tracks import TrackCodec
from jaxpose.data.motion_dataset import SyntheticMotion
from jaxpose.models.track_refiner import smoothnet
from jaxpose.skeletons import H36M17
from jaxpose.tasks.refining.experiment import RefiningEvaluation, RefiningExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> RefiningExperiment:
    """2,000 steps of 64 windows."""
    return RefiningExperiment(
        skeleton=H36M17,
        model=smoothnet(24),
        codec=TrackCodec(24, fps=(15.0, 25.0)),
        train_data=SyntheticMotion(400),
        eval_data=SyntheticMotion(50, split="validate"),
        optimizer=AdamW(learning_rate=1e-3, schedule="cosine", warmup_steps=100, weight_decay=0.01),
        evaluation=RefiningEvaluation(every=1000),
        steps=2000,
        batch_size=64,
        ema_decay=0.998,
        checkpoint_every=1000,
        log_every=200,
    )
