"""HRNet-W32 on COCO, as published (Sun et al. 2019, arXiv:1902.09212): 210 epochs at 256x192.

Prepare the data as in `coco_vitpose_b`.
"""

from jaxpose.codecs.heatmap import msra
from jaxpose.data.source import Records
from jaxpose.losses import HeatmapMSE
from jaxpose.models import hrnet_pose
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 149_813  # people with keypoints in train2017


def get_config() -> TopDownExperiment:
    """Batch 512 at 5e-4 for Adam, divided by 10 at epochs 170 and 200; no weight decay."""
    batch_size = 512
    return TopDownExperiment(
        skeleton=COCO17,
        model=hrnet_pose("W32", dtype="bfloat16"),
        codec=msra(),
        loss=HeatmapMSE(),
        train_data=Records("data/coco_train", "train"),
        eval_data=Records("data/coco_val", "val"),
        optimizer=AdamW(learning_rate=5e-4, weight_decay=0.0, clip_norm=None),
        evaluation=Evaluation(every=10 * TRAIN_PEOPLE // batch_size, batch_size=256),
        steps=210 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
    )
