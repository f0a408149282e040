"""RTMO-s on COCO (Lu et al. 2023, arXiv:2312.07526): the first 280 of 600 epochs at 640x640.

Prepare the data as whole images: `jaxpose prepare coco --layout images --canvas 640x640`.
`coco_rtmo_s_second` is the second part of the training, which starts from this one.

Settings of MMPose 1.3, `rtmo-s_8xb32-600e_coco-640x640`, whose backbone starts from YOLOX-s for
boxes. Differences: the transformer layer has the rate of all layers (in MMPose a twentieth), the
statistics of the classifier's norm are those of the most probable places, the warm-up is linear,
the rate falls to 0 instead of 5 %, all images of the training have one size (in MMPose 480 to 800
pixels), and there is no shear.
"""

from jaxpose.data.source import Images
from jaxpose.losses import OneStageLoss, SimOTA
from jaxpose.models import rtmo
from jaxpose.models.published.one_stage import rtmo_codec
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
    codec = rtmo_codec((640, 640))
    return BottomUpExperiment(
        skeleton=COCO17,
        model=rtmo("s", dtype="bfloat16"),
        codec=codec,
        loss=OneStageLoss(
            codec, tuple(COCO17.sigmas), SimOTA(keypoint_center=True), normalised=False
        ),
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
        evaluation=Evaluation(every=20 * epoch, flip_test=False),
        steps=280 * epoch,
        batch_size=batch_size,
        ema_decay=0.9998,
    )
