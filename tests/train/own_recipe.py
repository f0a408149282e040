"""A recipe with classes of its own, as a user writes it; `own_parts.py` beside it has the others.

What is trained is as small as `tests/tiny.py`. The tests copy both files to another folder.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import own_parts
from own_parts import Backbone, Head, WideHeatmap

from jaxpose.data.source import SyntheticPeople
from jaxpose.losses.loss import Loss
from jaxpose.metrics import PCK
from jaxpose.models.build import PoseModel
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import Evaluation, TopDownExperiment
from jaxpose.tasks.topdown.task import TopDownTask
from jaxpose.train.experiment import Optimizer

STEPS = 6


@dataclass(frozen=True)
class MyMSE(Loss):
    """Mean squared error of heatmaps times a factor."""

    factor: float = 1.0

    def __call__(self, outputs, targets, weights):
        error = jnp.mean((outputs.astype(jnp.float32) - targets) ** 2, axis=(1, 2))
        return self.factor * jnp.mean(weights * error)


class MyTask(TopDownTask):
    """A task of crops that names its samples."""

    unit = "own samples"


@dataclass(frozen=True, kw_only=True)
class MyExperiment(TopDownExperiment):
    """An experiment with a field of its own."""

    motto: str = "none"

    def task(self) -> MyTask:
        return MyTask(self)


def get_config() -> MyExperiment:
    """Six steps of a network of two layers."""
    assert own_parts.Head is Head and jax.__name__ == "jax"
    input_hw = (64, 48)
    return MyExperiment(
        skeleton=COCO17,
        model=PoseModel(Backbone(width=4), Head(17)),
        codec=WideHeatmap(input_hw, (16, 12), sigma=1.0),
        loss=MyMSE(factor=2.0),
        train_data=SyntheticPeople(count=16, seed=0, canvas_hw=(96, 72), plain=True),
        eval_data=SyntheticPeople(count=8, seed=1, canvas_hw=(96, 72), plain=True),
        augmentation=Augmentation(),
        optimizer=Optimizer(learning_rate=1e-3, warmup_steps=2, schedule="cosine"),
        evaluation=Evaluation(metrics=(PCK(),), every=6, batch_size=8, examples=0),
        steps=STEPS,
        batch_size=8,
        ema_decay=0.9,
        resident=True,
        checkpoint_every=100,
        log_every=1,
        motto="small",
    )
