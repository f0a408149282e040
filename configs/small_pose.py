"""The pose network of the package, `jaxpose-small`: PP-TinyPose, trained further on its own labels.

    jaxpose convert model.xml tinypose
    jaxpose prepare teacher --lsp lsp --lspet lspet --teacher tinypose \
        --detector rtmdet-nano-person --canvas 288x216 --out data/labelled
    jaxpose prepare coco --annotations person_keypoints_train2017.json --images train2017 \
        --canvas 288x216 --out data/coco_train
    jaxpose train small_pose --workdir runs/small_pose
    jaxpose convert runs/small_pose jaxpose-small --half --checkpoint last

`model.xml` is PP-TinyPose 256x192 of PaddleDetection as an OpenVINO model. With the flip test it
labels the images of Leeds Sports Pose and its extended set, together with their own joints; people
who are not upright are turned first (see `data_prep/teacher.py`). So the network learns from
estimates that are better than its own: of turned people, of two mirrored images, of annotators.

The first stages are frozen, because their maps are the largest and cost most of the time of a step.
The schedule ends at rate 0, so the last checkpoint is the result; selecting the best of several on
the held-out set would give a score that is too high.
"""

from jaxpose.codecs.heatmap import dark
from jaxpose.data.mixture import Mixture, Weighted
from jaxpose.data.source import Records, SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models.published.litehrnet import tinypose
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

CANVAS_HW = (288, 216)


def get_config() -> TopDownExperiment:
    """500 steps of 16."""
    return TopDownExperiment(
        skeleton=COCO17,
        model=tinypose(),
        codec=dark((256, 192), blur_kernel=3),
        loss=HeatmapMSE(),
        train_data=Mixture(
            (
                Weighted(Records("data/labelled", "train"), weight=0.86),
                Weighted(Records("data/coco_train", "train"), weight=0.08),
                Weighted(SyntheticPeople(1000, seed=0, canvas_hw=CANVAS_HW), weight=0.06),
            )
        ),
        eval_data=Records("data/coco_val", "val"),
        augmentation=Augmentation(
            rotation_degrees=30.0,
            scale=0.3,
            half_body_min_keypoints=8,
            half_body_upper=0.9,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            hue_degrees=10.0,
        ),
        padding=1.1,
        # A network without norms needs a small rate.
        optimizer=AdamW(
            learning_rate=1e-4,
            schedule="cosine",
            warmup_steps=30,
            weight_decay=0.01,
            b2=0.99,
            frozen=(r"backbone/stem/.*", r"backbone/stage_[01]_.*"),
        ),
        evaluation=Evaluation(every=500, batch_size=17),
        steps=500,
        batch_size=16,
        ema_decay=0.99,
        init_from="tinypose",
        resident=True,
        checkpoint_every=100,
        log_every=20,
    )
