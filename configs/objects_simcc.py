"""Poses of five drawn objects by SimCC: a distribution over x and over y. No data needed.

    jaxpose train objects_simcc --workdir runs/objects_simcc

Trunk, data and steps are those of `objects_synthetic`, which has heatmaps in its place. A score is
the certainty of both distributions, and weighs its keypoint in the least squares.
"""

from jaxpose.codecs import SimCC
from jaxpose.losses import SimCCKL
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import SimCCHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.objects.drawn_scenes import SyntheticObjects
from jaxpose.tasks.objects.experiment import ObjectEvaluation, ObjectExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> ObjectExperiment:
    """2,000 steps of 32 on 6,000 images; scored on 200 others."""
    input_hw = (96, 96)
    return ObjectExperiment(
        model=PoseModel(
            Pyramid(patch=4, widths=(24, 48, 96, 128), depths=(1, 1, 2, 1), path_width=32),
            SimCCHead(9, input_hw, split_ratio=2.0),
        ),
        codec=SimCC(input_hw, split_ratio=2.0, sigma=3.5, udp=True),
        loss=SimCCKL(),
        train_data=SyntheticObjects(6000, seed=0),
        eval_data=SyntheticObjects(200, seed=1),
        optimizer=AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=100, weight_decay=0.05, b2=0.99
        ),
        evaluation=ObjectEvaluation(every=1000, batch_size=50),
        steps=2000,
        batch_size=32,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=1000,
        log_every=50,
    )
