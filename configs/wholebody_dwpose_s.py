"""DWPose-s on COCO-WholeBody (Yang et al. 2023, arXiv:2307.15880): the first of two stages.

Prepare the data with `jaxpose prepare coco --dataset coco_wholebody`, for training and validation,
into data/wholebody_train and data/wholebody_val.

RTMPose-s learns from the labels, and from the logits and the last feature map of RTMPose-l with the
paper's factors (section 4.1). Differences: the paper's data contains UBody, too; its two terms of
the teacher fall linearly to 0 over the run (eq. 4), here their factors are constant and half as
large; its logits are also compared where a keypoint is not labelled. `wholebody_dwpose_s_second` is
the second stage.
"""

from dataclasses import replace

from jaxpose.codecs.simcc import rtmpose as rtmpose_codec
from jaxpose.data.source import Records
from jaxpose.losses import Distillation, FeatureDistillation, SimCCDistillation, SimCCKL
from jaxpose.metrics import WholeBodyAP
from jaxpose.models import rtmpose
from jaxpose.models.distillation import DistillationModel
from jaxpose.skeletons import COCO_WHOLEBODY133
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_PEOPLE = 118_000  # about: people of COCO-WholeBody with labelled keypoints


def get_config() -> TopDownExperiment:
    """270 epochs in batches of 512 at 4e-3, a thousand steps of warm-up; averaged weights."""
    batch_size, points = 512, COCO_WHOLEBODY133.num_keypoints
    return TopDownExperiment(
        skeleton=COCO_WHOLEBODY133,
        model=DistillationModel(
            student=rtmpose("s", points, dtype="bfloat16"),
            teacher=rtmpose("l", points, dtype="bfloat16"),
        ),
        teacher_from="rtmpose-l-wholebody",
        codec=rtmpose_codec(),
        loss=Distillation(
            SimCCKL(beta=10.0, label_softmax=True),
            SimCCDistillation(),
            outputs_factor=0.05,
            features=FeatureDistillation(2.5e-5),
        ),
        train_data=Records("data/wholebody_train", "train"),
        eval_data=Records("data/wholebody_val", "val"),
        augmentation=replace(
            Augmentation(), scale=0.4, brightness=0.12, saturation=0.12, hue_degrees=10.0
        ),
        optimizer=AdamW(
            learning_rate=4e-3,
            schedule="cosine",
            warmup_steps=1000,
            weight_decay=0.0,
            clip_norm=None,
            frozen=("teacher/.*",),
        ),
        evaluation=Evaluation(
            metrics=(WholeBodyAP(),), every=10 * TRAIN_PEOPLE // batch_size, batch_size=256
        ),
        steps=270 * TRAIN_PEOPLE // batch_size,
        batch_size=batch_size,
        ema_decay=0.9998,
    )
