r"""ViTPose-B on COCO, as published (Xu et al. 2022, arXiv:2204.12484): 210 epochs at 256x192.

    jaxpose prepare coco --annotations annotations/person_keypoints_train2017.json \
        --images train2017 --out data/coco_train
    jaxpose prepare coco --annotations annotations/person_keypoints_val2017.json \
        --images val2017 --out data/coco_val --split val
    jaxpose train coco_vitpose_b --workdir runs/vitpose_b --set init_from=mae_vit_base.safetensors
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import Records
from jaxpose.losses import HeatmapMSE
from jaxpose.models import vitpose
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 149_813  # people with keypoints in train2017


def get_config() -> TopDownExperiment:
    """Batch 512, AdamW at 5e-4, layer-wise decay 0.75, divided by 10 at epochs 170 and 200."""
    batch_size = 512
    return TopDownExperiment(
        skeleton=COCO17,
        model=vitpose("B", dtype="bfloat16"),
        codec=udp(),
        loss=HeatmapMSE(),
        train_data=Records("data/coco_train", "train"),
        eval_data=Records("data/coco_val", "val"),
        optimizer=AdamW(learning_rate=5e-4, weight_decay=0.1, layer_decay=0.75),
        evaluation=Evaluation(every=10 * TRAIN_PEOPLE // batch_size, batch_size=256),
        steps=210 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
    )
