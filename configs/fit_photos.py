r"""Overfitting test: fits a few of your images, the first test for a new dataset.

If a model cannot fit a few dozen people, the labels, the boxes or the recipe are wrong, and this
recipe shows it in minutes. It says nothing about the score on other images.

    jaxpose prepare coco --annotations mine.json --images images --out data/mine
    jaxpose train fit_photos --workdir runs/fit --set train_data.path=data/mine \
        --set eval_data.path=data/mine
"""

from jaxpose.codecs.heatmap import udp
from jaxpose.data.source import Records
from jaxpose.losses import HeatmapMSE
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import DeconvHead
from jaxpose.models.pyramid import Pyramid
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.train.optimizers import AdamW


def get_config() -> TopDownExperiment:
    """600 steps without augmentation; trained and scored on the same people."""
    input_hw = (128, 96)
    return TopDownExperiment(
        skeleton=COCO17,
        model=PoseModel(
            Pyramid(patch=8, widths=(64, 128, 256), depths=(2, 2, 2), path_width=64),
            DeconvHead(17, deconv_channels=(64,)),
        ),
        codec=udp(input_hw, heatmap_hw=(32, 24), sigma=1.5),
        loss=HeatmapMSE(),
        train_data=Records("data/mine", "train"),
        eval_data=Records("data/mine", "train"),
        augmentation=Augmentation(
            flip=0.0, rotation_probability=0.0, scale=0.0, shift_probability=0.0, half_body=0.0
        ),
        padding=1.5,
        optimizer=AdamW(learning_rate=2e-3, schedule="cosine", warmup_steps=50, weight_decay=0.0),
        evaluation=Evaluation(every=300, flip_test=False, batch_size=16),
        steps=600,
        batch_size=32,
        resident=True,
    )
