"""RTMPose-s on COCO (Jiang et al. 2023, arXiv:2303.07399): 420 epochs at 256x192.

Prepare the data as in `coco_vitpose_b`.

Settings of MMPose 1.3, `rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192`, whose backbone starts
from weights trained on heatmaps of AIC and COCO (`cspnext-s_udp-aic-coco`). Differences: the
rate falls by a cosine to 0 over the whole run (in MMPose it is constant for half of the run and
then falls to 5 %), there is neither blur nor cutout, and the last 30 epochs use the same
augmentation of boxes as the others.
"""

from jaxpose.codecs.simcc import rtmpose as rtmpose_codec
from jaxpose.data.source import Records
from jaxpose.losses import SimCCKL
from jaxpose.models import rtmpose
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 149_813  # people with keypoints in train2017


def get_config() -> TopDownExperiment:
    """Batch 1024 at 4e-3 for AdamW, a thousand steps of warm-up; averaged weights."""
    batch_size = 1024
    return TopDownExperiment(
        skeleton=COCO17,
        model=rtmpose("s", dtype="bfloat16"),
        codec=rtmpose_codec(),
        loss=SimCCKL(beta=10.0, label_softmax=True),
        train_data=Records("data/coco_train", "train"),
        eval_data=Records("data/coco_val", "val"),
        # Colours vary about as in YOLOX's HSV: 5 of 180 steps of hue, 30 of 256 of the others.
        augmentation=Augmentation(scale=0.4, brightness=0.12, saturation=0.12, hue_degrees=10.0),
        optimizer=AdamW(
            learning_rate=4e-3,
            schedule="cosine",
            warmup_steps=1000,
            weight_decay=0.0,
            clip_norm=None,
        ),
        evaluation=Evaluation(every=10 * TRAIN_PEOPLE // batch_size, batch_size=256),
        steps=420 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
        ema_decay=0.9998,
    )
