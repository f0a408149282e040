r"""SimCC on ResNet-50 (Li et al. 2022, arXiv:2107.03332), COCO, 210 epochs at 256x192.

Prepare the data as in `coco_vitpose_b`.

Settings of MMPose 1.3, `simcc/coco/simcc_res50_8xb64-210e_coco-256x192`, from ImageNet weights
(torchvision's ResNet-50):

    jaxpose train coco_simcc_r50 --workdir runs/simcc_r50 \
        --set init_from=resnet50.pth --set reset_head=true
"""

from jaxpose.codecs import SimCC
from jaxpose.data.source import Records
from jaxpose.losses import SimCCKL
from jaxpose.models import simcc_resnet
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 149_813  # people with keypoints in train2017


def get_config() -> TopDownExperiment:
    """Batch 512 at 1e-3 for Adam, divided by 10 at epochs 170 and 200; no weight decay."""
    batch_size = 512
    return TopDownExperiment(
        skeleton=COCO17,
        model=simcc_resnet(50, dtype="bfloat16"),
        codec=SimCC(sigma=6.0, split_ratio=2.0),
        loss=SimCCKL(),
        train_data=Records("data/coco_train", "train"),
        eval_data=Records("data/coco_val", "val"),
        optimizer=AdamW(learning_rate=1e-3, weight_decay=0.0, clip_norm=None),
        evaluation=Evaluation(every=10 * TRAIN_PEOPLE // batch_size, batch_size=256),
        steps=210 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
    )
