"""Small bottom-up model on drawn scenes of up to three people, with no downloads."""

from jaxpose.codecs.center_offsets import CenterOffsets
from jaxpose.data.source import SyntheticScenes
from jaxpose.losses import CenterOffsetLoss
from jaxpose.models.build import PoseModel
from jaxpose.models.center_offsets import CenterOffsetHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.optimizers import AdamW


def get_config() -> BottomUpExperiment:
    """3,000 steps of 16 on 4,000 scenes; scored on 100 others."""
    size = (160, 160)
    return BottomUpExperiment(
        skeleton=COCO17,
        model=PoseModel(
            Pyramid(patch=8, widths=(64, 128, 256), depths=(2, 2, 2), path_width=64),
            CenterOffsetHead(17, deconv_channels=(64,)),
        ),
        codec=CenterOffsets(size, heatmap_hw=(40, 40), sigma=1.0, radius=2.0, max_people=10),
        loss=CenterOffsetLoss(),
        train_data=SyntheticScenes(count=4000, seed=0, canvas_hw=size, people=3),
        eval_data=SyntheticScenes(count=100, seed=1, canvas_hw=size, people=3),
        augmentation=ImageAugmentation(rotation_degrees=10.0, scale=(0.8, 1.25)),
        optimizer=AdamW(
            learning_rate=2e-3, schedule="cosine", warmup_steps=100, weight_decay=0.05, b2=0.99
        ),
        evaluation=Evaluation(every=1000),
        steps=3000,
        batch_size=16,
        ema_decay=0.995,
        resident=True,
        checkpoint_every=1000,
    )
