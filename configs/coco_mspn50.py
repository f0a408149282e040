r"""MSPN-50 of four stages (Li et al. 2019, arXiv:1901.00148), COCO, 210 epochs at 256x192.

Prepare the data as in `coco_vitpose_b`.

Settings of MMPose 1.3, `topdown_heatmap/coco/td-hm_4xmspn50_8xb32-210e_coco-256x192`: the coarser a
map, the wider its targets, and the finest map of each stage learns from its 8 worst keypoints.
There the trunk begins as torchvision's ResNet-50; here it begins from random numbers, or with
published weights of the whole network:

    jaxpose train coco_mspn50 --workdir runs/mspn50 --set init_from=mspn50x4.pth
"""

from jaxpose.codecs import MegviiCoarseToFine
from jaxpose.data.source import Records
from jaxpose.losses import OHKM, HeatmapMSE, LossOfEach
from jaxpose.models import mspn
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 149_813  # people with keypoints in train2017


def get_config() -> TopDownExperiment:
    """Batch 256 at 5e-3 for Adam, divided by 10 at epochs 170 and 200; no weight decay."""
    batch_size, stages = 256, 4
    coarse, fine = (HeatmapMSE(), 0.25), (OHKM(), 1.0)
    losses, factors = zip(*stages * (3 * (coarse,) + (fine,)), strict=True)
    return TopDownExperiment(
        skeleton=COCO17,
        model=mspn("mspn-50", stages, dtype="bfloat16"),
        codec=MegviiCoarseToFine(),
        loss=LossOfEach(losses, factors),
        train_data=Records("data/coco_train", "train"),
        eval_data=Records("data/coco_val", "val"),
        optimizer=AdamW(learning_rate=5e-3, weight_decay=0.0, clip_norm=None),
        evaluation=Evaluation(every=10 * TRAIN_PEOPLE // batch_size, batch_size=256),
        steps=210 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
    )
