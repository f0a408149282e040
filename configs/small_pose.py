"""The pose network of the package, `jaxpose-small`: 1.2 M parameters, labels of a teacher.

    jaxpose prepare teacher --lsp lsp --lspet lspet --teacher tinypose \
        --detector rtmdet-nano-person --canvas 288x192 --out data/labelled
    jaxpose prepare coco --annotations person_keypoints_train2017.json --images train2017 \
        --canvas 288x192 --out data/coco_train
    jaxpose train small_pose --workdir runs/small_pose
    jaxpose convert runs/small_pose jaxpose-small --half --checkpoint last

The teacher is PP-TinyPose; `tinypose` is the release that `jaxpose convert` writes of its weights.
It labels the images of Leeds Sports Pose and its extended set, together with their own joints (see
`data_prep/teacher.py`). The trunk begins as the backbone of RTMDet-nano, a person detector. Its
first layers are frozen, because their maps are the largest: backward passes through depthwise
convolutions take most of the time on CPUs. The rest of the network has dense convolutions.

The weights in the package were trained in four parts, whose settings their model card lists; this
recipe is the sum of them in one run, and has not been run as such.

The schedule ends at rate 0, so the last checkpoint is the result; selecting the best of several on
the held-out set would give a score that is too high.
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.data.mixture import Mixture, Weighted
from jaxpose.data.source import Records, SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.heads import DeconvHead
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

CANVAS_HW = (288, 192)


def get_config() -> TopDownExperiment:
    """15,000 steps of 16, which is 18 epochs; the rate falls in the last 6,000."""
    return TopDownExperiment(
        skeleton=COCO17,
        model=PoseModel(
            FeaturePyramid(
                CSPNeXt(0.33, 0.25, (2, 3, 4), True), width=64, blocks=2, patches=True, bgr=True
            ),
            DeconvHead(17, deconv_channels=(64,)),
        ),
        codec=udp(input_hw=(192, 128), heatmap_hw=(48, 32), sigma=1.5, blur_kernel=7),
        loss=HeatmapMSE(),
        train_data=Mixture(
            (
                Weighted(Records("data/labelled", "train"), weight=0.8),
                Weighted(Records("data/coco_train", "train"), weight=0.14),
                Weighted(SyntheticPeople(1000, seed=0, canvas_hw=CANVAS_HW), weight=0.06),
            )
        ),
        eval_data=Records("data/coco_val", "val"),
        # The people of both sets are seen whole; crops of the upper half make up for the people cut
        # off by the image or by others.
        augmentation=Augmentation(
            rotation_degrees=20.0,
            scale=0.4,
            half_body=0.4,
            half_body_min_keypoints=8,
            half_body_padding=1.6,
            half_body_upper=0.9,
            shift_probability=0.5,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            hue_degrees=10.0,
        ),
        padding=1.15,
        optimizer=AdamW(
            learning_rate=1e-3,
            schedule="constant",
            warmup_steps=300,
            cooldown_steps=6000,
            weight_decay=0.02,
            b2=0.99,
            frozen=(r"backbone/trunk/(stem_\d|stage_1_.*)/.*",),
        ),
        evaluation=Evaluation(every=1000, batch_size=17),
        steps=15_000,
        batch_size=16,
        ema_decay=0.999,
        init_from="rtmdet-nano-person",
        reset_head=True,
        resident=True,
        checkpoint_every=500,
        log_every=100,
    )
