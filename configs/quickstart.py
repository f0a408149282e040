"""Quick start: a small network on synthetic people, minutes on two CPU cores."""

from jaxpose.augment import Augmentation
from jaxpose.codecs.heatmap import udp
from jaxpose.config import Evaluation, Experiment, Optimizer
from jaxpose.data.source import SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.skeletons import COCO17


def get_config() -> Experiment:
    """Train on 6,000 drawn people, evaluate on 200 others."""
    input_hw = (128, 96)
    canvas_hw = (192, 144)
    return Experiment(
        skeleton=COCO17,
        model=PoseModel(
            ViT(input_hw=input_hw, dim=192, depth=6, heads=3, patch=16, drop_path=0.0),
            DeconvHead(17, deconv_channels=(64, 64)),
        ),
        codec=udp(input_hw=input_hw, heatmap_hw=(32, 24), sigma=1.5),
        loss=HeatmapMSE(),
        train_data=SyntheticPeople(count=6000, seed=0, canvas_hw=canvas_hw),
        eval_data=SyntheticPeople(count=200, seed=1, canvas_hw=canvas_hw),
        augmentation=Augmentation(),
        optimizer=Optimizer(learning_rate=2e-3, schedule="cosine", warmup_steps=50),
        evaluation=Evaluation(every=1000),
        steps=1000,
        batch_size=32,
        ema_decay=0.995,
        resident=True,
    )
