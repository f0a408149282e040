"""CID-W32 on COCO, as in MMPose (Wang and Zhang 2022, CVPR): 140 epochs at 512.

Prepare the data as in `docs/train.md`: `jaxpose prepare coco --layout images`.

The published code draws the side of its crop, 0.75 to 1.5 times an image's shorter side; here the
scale is drawn, relative to the longer side: 0.89 to 1.78 for the most common shape, 4:3. ImageNet
weights of HRNet-W32 (`init_from=hrnet_w32.pth`, `reset_head=true`) start the backbone, as in the
paper; without them it starts from random numbers. The rate rises over the first 500 steps, as in
MMPose.
"""

from jaxpose.codecs import InstanceHeatmaps
from jaxpose.data.source import Images
from jaxpose.losses import InstanceHeatmapLoss
from jaxpose.models import cid
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.optimizers import AdamW

TRAIN_IMAGES = 56_599  # images of train2017 with keypoints


def get_config() -> BottomUpExperiment:
    """Batch 160 at 1e-3 for Adam, divided by 10 at epochs 90 and 120; no weight decay."""
    batch_size = 160
    epoch = TRAIN_IMAGES // batch_size
    return BottomUpExperiment(
        skeleton=COCO17,
        model=cid("W32", dtype="bfloat16"),
        codec=InstanceHeatmaps((512, 512)),
        loss=InstanceHeatmapLoss(),
        train_data=Images("data/coco_train", "train"),
        eval_data=Images("data/coco_val", "val"),
        augmentation=ImageAugmentation(scale=(0.89, 1.78), shift=0.2),
        optimizer=AdamW(
            learning_rate=1e-3, weight_decay=0.0, clip_norm=None, milestones=(90 / 140, 120 / 140)
        ),
        evaluation=Evaluation(every=10 * epoch),
        steps=140 * epoch,
        batch_size=batch_size,
    )
