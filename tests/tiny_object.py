"""A recipe of poses of objects small enough to train in seconds."""

from jaxpose.codecs.heatmap import udp
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.vit import ViT
from jaxpose.objects.drawn_scenes import SyntheticObjects
from jaxpose.tasks.objects.experiment import ObjectEvaluation, ObjectExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> ObjectExperiment:
    """Four steps of a one-layer ViT on 12 drawn images."""
    return ObjectExperiment(
        model=PoseModel(
            ViT(input_hw=(48, 48), dim=32, depth=1, heads=2), DeconvHead(9, deconv_channels=(16,))
        ),
        codec=udp((48, 48), heatmap_hw=(6, 6), sigma=1.0),
        loss=HeatmapMSE(),
        train_data=SyntheticObjects(12, seed=0, canvas_hw=(64, 64)),
        eval_data=SyntheticObjects(6, seed=1, canvas_hw=(64, 64)),
        optimizer=AdamW(learning_rate=1e-3, warmup_steps=2),
        evaluation=ObjectEvaluation(every=4, batch_size=8, examples=2),
        steps=4,
        batch_size=8,
        resident=True,
        checkpoint_every=4,
        log_every=2,
    )
