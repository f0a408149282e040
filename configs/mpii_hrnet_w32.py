r"""HRNet-W32 on MPII, as published (Sun et al. 2019, arXiv:1902.09212): 210 epochs at 256x256.

    jaxpose prepare mpii --annotations mpii_train.json --images images --out data/mpii_train \
        --canvas 384x384
    jaxpose prepare mpii --annotations mpii_val.json --images images --out data/mpii_val \
        --split val --canvas 384x384
    jaxpose train mpii_hrnet_w32 --workdir runs/mpii
"""

from jaxpose.codecs.heatmap import msra
from jaxpose.data.source import Records
from jaxpose.losses import HeatmapMSE
from jaxpose.metrics import PCKh
from jaxpose.models import hrnet_pose
from jaxpose.skeletons import MPII16
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 22_246  # people of MPII's usual training split


def get_config() -> TopDownExperiment:
    """Batch 512 at 5e-4 for Adam, divided by 10 at epochs 170 and 200; scored by PCKh@0.5."""
    batch_size = 512
    return TopDownExperiment(
        skeleton=MPII16,
        model=hrnet_pose("W32", num_keypoints=16, dtype="bfloat16"),
        codec=msra(input_hw=(256, 256)),
        loss=HeatmapMSE(),
        train_data=Records("data/mpii_train", "train"),
        eval_data=Records("data/mpii_val", "val"),
        optimizer=AdamW(learning_rate=5e-4, weight_decay=0.0, clip_norm=None),
        evaluation=Evaluation(
            metrics=(PCKh(0.5),), every=10 * TRAIN_PEOPLE // batch_size, batch_size=256
        ),
        steps=210 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
        padding=1.0,  # MPII's scale already includes the margin
    )
