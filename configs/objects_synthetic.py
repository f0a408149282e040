"""Poses of five drawn objects from their images: keypoints, and PnP. No data needed.

    jaxpose train objects_synthetic --workdir runs/objects

Heatmaps of nine keypoints by one network for all five objects, one of which is symmetric; scored
by ADD(-S). `configs/objects_voting.py` has the vector fields of PVNet in their place. It says
nothing about images of real objects.
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
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
            DeconvHead(9, deconv_channels=(32,)),
        ),
        codec=udp(input_hw, heatmap_hw=(48, 48), sigma=2.0),
        loss=HeatmapMSE(),
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
