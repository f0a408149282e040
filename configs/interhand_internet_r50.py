"""InterNet on InterHand2.6M (Moon et al., ECCV 2020): both hands in 3D, and which are there.

    jaxpose prepare interhand --layout images --out data/interhand_train ...
    jaxpose prepare interhand --layout images --out data/interhand_val --split val ...

with the options that the command's help lists. ImageNet's weights of ResNet-50 start the backbone,
as published, with `--set init_from=resnet50.pth --set reset_head=true`.

Settings of MMPose 1.3, `internet_res50_4xb16-20e_interhand3d-256x256`: 20 epochs in batches of 64,
Adam at 2e-4 divided by ten after 15 and 17 epochs. Difference: the rate falls by a cosine to 0.
The evaluation has the published figures (`TwoHands`) and the error of the keypoints in pixels.
"""

from jaxpose.codecs import HandVolumes
from jaxpose.data.source import Records
from jaxpose.losses import HandVolumeLoss
from jaxpose.metrics import EPE, TwoHands
from jaxpose.models import internet
from jaxpose.skeletons import INTERHAND42
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW

TRAIN_IMAGES = 1_361_062  # about: images of the training set at 5 frames a second


def get_config() -> TopDownExperiment:
    """20 epochs; a mirrored image has the other hand, with its depths."""
    batch_size = 64
    return TopDownExperiment(
        skeleton=INTERHAND42,
        model=internet(dtype="bfloat16"),
        codec=HandVolumes(),
        loss=HandVolumeLoss(),
        train_data=Records("data/interhand_train", "train"),
        eval_data=Records("data/interhand_val", "val"),
        augmentation=Augmentation(
            rotation_degrees=45.0, rotation_probability=0.6, scale=0.25, half_body=0.0
        ),
        optimizer=AdamW(
            learning_rate=2e-4,
            schedule="cosine",
            warmup_steps=500,
            weight_decay=0.0,
            clip_norm=None,
        ),
        evaluation=Evaluation(metrics=(TwoHands(), EPE()), every=5000, batch_size=64),
        steps=20 * TRAIN_IMAGES // batch_size,
        batch_size=batch_size,
    )
