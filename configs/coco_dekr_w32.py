"""DEKR-W32 on COCO, as published (Geng et al. 2021, arXiv:2104.02300): 140 epochs at 512.

Prepare the data as in `docs/train.md`: `jaxpose prepare coco --layout images`.
"""

from jaxpose.codecs import Displacements
from jaxpose.data.source import Images
from jaxpose.losses import DisplacementLoss
from jaxpose.models import dekr
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.optimizers import AdamW

TRAIN_IMAGES = 56_599  # images of train2017 with keypoints


def get_config() -> BottomUpExperiment:
    """Batch 80 at 1e-3 for Adam, divided by 10 at epochs 90 and 120; no weight decay."""
    batch_size = 80
    epoch = TRAIN_IMAGES // batch_size
    return BottomUpExperiment(
        skeleton=COCO17,
        model=dekr("W32", dtype="bfloat16"),
        codec=Displacements((512, 512)),
        loss=DisplacementLoss(),
        train_data=Images("data/coco_train", "train"),
        eval_data=Images("data/coco_val", "val"),
        augmentation=ImageAugmentation(),
        optimizer=AdamW(
            learning_rate=1e-3, weight_decay=0.0, clip_norm=None, milestones=(90 / 140, 120 / 140)
        ),
        evaluation=Evaluation(every=10 * epoch),
        steps=140 * epoch,
        batch_size=batch_size,
    )
