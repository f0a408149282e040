"""A recipe small enough to train in seconds: what the tests of the training loop run.

It is also a recipe in its own right (`jaxpose train tests/tiny.py`), for tests that need a process
of their own.
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> TopDownExperiment:
    """Twelve steps of a two-layer ViT on 24 synthetic people."""
    input_hw = (64, 48)
    return TopDownExperiment(
        skeleton=COCO17,
        model=PoseModel(
            ViT(input_hw=input_hw, dim=32, depth=2, heads=2, drop_path=0.1),
            DeconvHead(17, deconv_channels=(16, 16)),
        ),
        codec=udp(input_hw=input_hw, heatmap_hw=(16, 12), sigma=1.0),
        loss=HeatmapMSE(),
        train_data=SyntheticPeople(count=24, seed=0, canvas_hw=(96, 72)),
        eval_data=SyntheticPeople(count=10, seed=1, canvas_hw=(96, 72)),
        augmentation=Augmentation(),
        optimizer=AdamW(learning_rate=1e-3, warmup_steps=2, layer_decay=0.9),
        evaluation=Evaluation(every=6, batch_size=8),
        steps=12,
        batch_size=8,
        ema_decay=0.9,
        resident=True,
        checkpoint_every=2,
        log_every=1,
    )
