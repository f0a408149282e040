"""RTMO-s on COCO (Lu et al. 2023, arXiv:2312.07526): the last 320 of 600 epochs.

It starts from the run of `coco_rtmo_s`, in the folder runs/coco_rtmo_s: keypoints of the classifier
take the place of the annotated ones as targets of the vectors, and its term weighs five times as
much. Settings and differences as there; in MMPose the last 20 epochs have neither mosaic nor mixup.
"""

from dataclasses import replace

from jaxpose.losses import OneStageLoss
from jaxpose.tasks.bottomup.experiment import BottomUpExperiment
from jaxpose.train.optimizers import AdamW
from jaxpose.train.recipe import load_recipe


def get_config() -> BottomUpExperiment:
    """As the first part, at 5e-4, with the classifier as a teacher of the vectors."""
    recipe = load_recipe("coco_rtmo_s")
    assert isinstance(recipe, BottomUpExperiment)
    loss = recipe.loss
    assert isinstance(loss, OneStageLoss)
    return replace(
        recipe,
        loss=replace(loss, from_classifier=True, classified=5.0, keypoints=10.0),
        optimizer=AdamW(
            learning_rate=5e-4,
            schedule="cosine",
            warmup_steps=0,
            weight_decay=0.05,
            clip_norm=0.1,
        ),
        init_from="runs/coco_rtmo_s",
        reset_head=False,
        steps=320 * recipe.steps // 280,
    )
