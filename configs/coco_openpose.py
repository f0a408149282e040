"""OpenPose on COCO (Cao et al. 2017, arXiv:1611.08050): VGG-19, six stages, whole images.

Prepare the data as in `docs/train.md`: `jaxpose prepare coco --layout images`. The keypoints are
COCO's 17, joined along the skeleton's limbs; the paper's 18th, the neck, is not in the data.
ImageNet weights of VGG-19 (`init_from=vgg19.pth`, `reset_head=true`) start the backbone, as in the
paper.

Differences from the published training: its crops have one person at their middle, who fills 0.6 of
them at a scale of 1, where here a scale of 1 fits the whole image; and its later stages have four
times the rate, and biases twice.
"""

from jaxpose.codecs.part_affinity import fields_of
from jaxpose.data.source import Images
from jaxpose.losses import PartAffinityLoss, StageSum
from jaxpose.models import openpose
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.optimizers import SGD

TRAIN_IMAGES = 56_599  # images of train2017 with keypoints


def get_config() -> BottomUpExperiment:
    """Batch 10 at 4e-5 for SGD with momentum 0.9 and decay 5e-4, 600,000 steps at 368x368.

    Rotations of 40 degrees and scales of 0.5 to 1.1, as in the published training code. The loss is
    a sum over cells: rates of a mean would be thousands of times higher.
    """
    codec = fields_of(COCO17, (368, 368))
    return BottomUpExperiment(
        skeleton=COCO17,
        model=openpose(17, limbs=len(codec.limbs), background=True),
        codec=codec,
        loss=StageSum(PartAffinityLoss(len(codec.limbs))),
        train_data=Images("data/coco_train", "train"),
        eval_data=Images("data/coco_val", "val"),
        augmentation=ImageAugmentation(rotation_degrees=40.0, scale=(0.5, 1.1), shift=0.11),
        optimizer=SGD(
            learning_rate=4e-5,
            momentum=0.9,
            weight_decay=5e-4,
            milestones=(0.227, 0.454, 0.681, 0.907),  # every 136,106 steps
            step_factor=1 / 3,
        ),
        evaluation=Evaluation(every=TRAIN_IMAGES),
        steps=600_000,
        batch_size=10,
    )
