"""The pose network of the package, `jaxpose-small`, first part: neck and head on fixed features.

    jaxpose prepare teacher --lsp lsp --lspet lspet --teacher tinypose \
        --detector rtmdet-nano-person --canvas 384x288 --out data/labelled
    jaxpose prepare coco --annotations person_keypoints_train2017.json --images train2017 \
        --canvas 384x288 --out data/coco_train
    jaxpose train small_pose --workdir runs/small_pose
    jaxpose train small_pose_tuned --workdir runs/small_pose_tuned
    jaxpose convert runs/small_pose_tuned jaxpose-small --half --checkpoint last

The teacher is PP-TinyPose; `tinypose` is the release that `jaxpose convert` writes of its weights.
It labels the images of Leeds Sports Pose and its extended set, together with their own joints (see
`data_prep/teacher.py`). The trunk begins as that of MoveNet Lightning, which finds the people of a
whole image; here it sees one person's box. Its MobileNetV2 is fixed in this part, and its last
stages are trained in the second one, `small_pose_tuned`. Rate and length of both were chosen by the
held-out images; of each run the last weights count.
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.data.mixture import Mixture, Weighted
from jaxpose.data.source import Records, SyntheticPeople
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.feature_pyramid import FeaturePyramid
from jaxpose.models.heads import DeconvHead
from jaxpose.models.movenet import MobileNetV2Pyramid
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

CANVAS_HW = (384, 288)


def get_config() -> TopDownExperiment:
    """1,250 steps of 16 at one rate."""
    return TopDownExperiment(
        skeleton=COCO17,
        model=PoseModel(
            FeaturePyramid(MobileNetV2Pyramid(whole_path=True), width=48, blocks=1),
            DeconvHead(17, deconv_channels=()),
        ),
        codec=udp(input_hw=(256, 192), heatmap_hw=(64, 48)),
        loss=HeatmapMSE(),
        train_data=Mixture(
            (
                Weighted(Records("data/labelled", "train"), weight=0.8),
                Weighted(Records("data/coco_train", "train"), weight=0.16),
                Weighted(SyntheticPeople(1000, seed=0, canvas_hw=CANVAS_HW), weight=0.04),
            )
        ),
        eval_data=Records("data/coco_val", "val"),
        # The people of both sets are seen whole; crops of the upper half make up for the people cut
        # off by the image or by others.
        augmentation=Augmentation(
            rotation_degrees=25.0,
            scale=0.35,
            half_body=0.4,
            half_body_min_keypoints=8,
            half_body_padding=1.6,
            half_body_upper=0.8,
            shift_probability=0.4,
            brightness=0.2,
            contrast=0.2,
            saturation=0.2,
            hue_degrees=10.0,
        ),
        optimizer=AdamW(
            learning_rate=1e-3,
            schedule="constant",
            warmup_steps=100,
            weight_decay=0.02,
            b2=0.99,
            frozen=(r"backbone/trunk/mobilenet/.*",),
        ),
        evaluation=Evaluation(every=250, batch_size=17),
        steps=1250,
        batch_size=16,
        ema_decay=0.995,
        init_from="movenet-lightning",
        reset_head=True,
        resident=True,
        checkpoint_every=250,
        log_every=50,
    )
