"""The person detector of the package, `jaxpose-finder`: distilled from RTMDet-nano.

    jaxpose prepare coco --annotations person_keypoints_val2017.json --images val2017 \
        --split val --layout images --canvas 256x256 --out data/coco_val_images
    jaxpose train small_finder --workdir runs/small_finder
    jaxpose convert runs/small_finder jaxpose-finder --half --checkpoint last

Training data as for `small_pose`; only the images are used, because the teacher gives the boxes on
mosaics of them. The trunk is the teacher's and is frozen. Neck and head have dense convolutions of
few channels and are trained from random values.
"""

from jaxpose.data.mixture import Mixture, Weighted
from jaxpose.data.source import Images, Records
from jaxpose.models import rtmdet
from jaxpose.models.csp import Style
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.detection import DetectionModel, RTMDetHead
from jaxpose.models.distillation import DistillationModel
from jaxpose.models.feature_pyramid import FixedStatistics, PyramidNeck
from jaxpose.tasks.detection.experiment import DetectionExperiment, Evaluation
from jaxpose.train.optimizers import AdamW

WIDTH = 48


def get_config() -> DetectionExperiment:
    """1,500 steps of 8."""
    student = DetectionModel(
        FixedStatistics(CSPNeXt(0.33, 0.25, (2, 3, 4), True)),
        RTMDetHead(1, WIDTH, style=Style()),
        PyramidNeck(WIDTH),
    )
    return DetectionExperiment(
        model=DistillationModel(student, rtmdet("nano", 1), features=False),
        teacher_from="rtmdet-nano-person",
        init_from="rtmdet-nano-person",
        reset_head=True,
        train_data=Mixture(
            (
                Weighted(Records("data/labelled", "train"), weight=0.85),
                Weighted(Records("data/coco_train", "train"), weight=0.15),
            )
        ),
        eval_data=Images("data/coco_val_images", "val"),
        image_hw=(256, 256),
        optimizer=AdamW(
            learning_rate=2e-3,
            schedule="cosine",
            warmup_steps=100,
            weight_decay=0.02,
            b2=0.99,
            frozen=("teacher/.*", "student/backbone/.*"),
        ),
        evaluation=Evaluation(every=500),
        steps=1500,
        batch_size=8,
        ema_decay=0.998,
        resident=True,
        checkpoint_every=500,
        log_every=50,
    )
