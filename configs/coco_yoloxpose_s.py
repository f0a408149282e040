"""YOLOX-Pose-s on COCO (MMPose's, after YOLO-Pose, arXiv:2204.06806): 300 epochs at 640x640.

Prepare the data as whole images: `jaxpose prepare coco --layout images --canvas 640x640`.

Settings of MMPose 1.3, `yoloxpose_s_8xb32-300e_coco-640`, whose backbone starts from YOLOX-s for
boxes. Differences: the warm-up is linear, the rate falls to 0 instead of 5 %, the last 20 epochs
have the same augmentation as the others, all images of the training have one size (in MMPose 480 to
800 pixels), and there is no shear.
"""

from jaxpose.data.source import Images
from jaxpose.losses import OneStageLoss
from jaxpose.models import yolox_pose
from jaxpose.models.published.one_stage import yolox_pose_codec
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.tasks.bottomup.mix import ImageMix
from jaxpose.train.optimizers import AdamW

TRAIN_IMAGES = 56_599  # images of train2017 with labelled keypoints


def get_config() -> BottomUpExperiment:
    """Batch 256 at 4e-3 for AdamW, five epochs of warm-up; averaged weights."""
    batch_size = 256
    epoch = TRAIN_IMAGES // batch_size
    codec = yolox_pose_codec((640, 640))
    return BottomUpExperiment(
        skeleton=COCO17,
        model=yolox_pose("s", dtype="bfloat16"),
        codec=codec,
        loss=OneStageLoss(codec, tuple(COCO17.sigmas)),
        train_data=Images("data/coco_images", "train"),
        eval_data=Images("data/coco_images_val", "val"),
        augmentation=ImageAugmentation(rotation_degrees=10.0, scale=(0.75, 1.0), shift=0.1),
        mix=ImageMix(),
        optimizer=AdamW(
            learning_rate=4e-3,
            schedule="cosine",
            warmup_steps=5 * epoch,
            weight_decay=0.05,
            clip_norm=0.1,
        ),
        init_from="yolox-s",
        reset_head=True,
        evaluation=Evaluation(every=10 * epoch, flip_test=False),
        steps=300 * epoch,
        batch_size=batch_size,
        ema_decay=0.9998,
    )
