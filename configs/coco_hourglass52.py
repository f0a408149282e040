"""One hourglass on COCO (Newell et al. 2016, arXiv:1603.06937), 210 epochs at 256x256.

Prepare the data as in `coco_vitpose_b`.

Settings of MMPose 1.3, `topdown_heatmap/coco/td-hm_hourglass52_8xb32-210e_coco-256x256`, from
scratch. Prepare with `--canvas 384x384`. `StageSum` supervises every hourglass of a stack; this
model has one.
"""

from jaxpose.codecs.heatmap import msra
from jaxpose.data.source import Records
from jaxpose.losses import HeatmapMSE, StageSum
from jaxpose.models import hourglass
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 149_813  # people with keypoints in train2017


def get_config() -> TopDownExperiment:
    """Batch 256 at 5e-4 for Adam, divided by 10 at epochs 170 and 200; no weight decay."""
    batch_size = 256
    return TopDownExperiment(
        skeleton=COCO17,
        model=hourglass("52", dtype="bfloat16"),
        codec=msra(input_hw=(256, 256)),
        loss=StageSum(HeatmapMSE()),
        train_data=Records("data/coco_train", "train"),
        eval_data=Records("data/coco_val", "val"),
        optimizer=AdamW(learning_rate=5e-4, weight_decay=0.0, clip_norm=None),
        evaluation=Evaluation(every=10 * TRAIN_PEOPLE // batch_size, batch_size=256),
        steps=210 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
    )
