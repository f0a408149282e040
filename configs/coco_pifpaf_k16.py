"""OpenPifPaf on COCO (Kreiss et al. 2021, arXiv:2103.02440): ShuffleNetV2K16, 250 epochs.

Prepare the data as in `docs/train.md`: `jaxpose prepare coco --layout images`.

Settings of the paper's section 4.1, as far as it gives them. Differences: the losses have fixed
factors in place of learned ones, the rate falls by steps at the end, and there are no crops of
single people.
"""

from jaxpose.codecs import CompositeFields
from jaxpose.data.source import Images
from jaxpose.losses import CompositeFieldLoss
from jaxpose.models import pifpaf
from jaxpose.skeletons import COCO17
from jaxpose.tasks.bottomup.augment import ImageAugmentation
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment, Evaluation
from jaxpose.train.optimizers import SGD

TRAIN_IMAGES = 56_599  # images of train2017 with keypoints


def get_config() -> BottomUpExperiment:
    """Batch 32 at 1e-4 for SGD with Nesterov's momentum 0.95, images of 385; averaged weights."""
    batch_size = 32
    epoch = TRAIN_IMAGES // batch_size
    return BottomUpExperiment(
        skeleton=COCO17,
        model=pifpaf("k16", dtype="bfloat16"),
        codec=CompositeFields((385, 385)),
        loss=CompositeFieldLoss(),
        train_data=Images("data/coco_train", "train"),
        eval_data=Images("data/coco_val", "val"),
        augmentation=ImageAugmentation(rotation_degrees=10.0, scale=(0.5, 2.0), shift=0.2),
        optimizer=SGD(
            learning_rate=1e-4,
            momentum=0.95,
            nesterov=True,
            weight_decay=1e-5,
            warmup_steps=epoch,
            milestones=(220 / 250, 240 / 250),
        ),
        evaluation=Evaluation(every=10 * epoch),
        steps=250 * epoch,
        batch_size=batch_size,
        ema_decay=0.999,
    )
