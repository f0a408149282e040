"""Which models, codecs and losses go together, and that each kind of recipe takes a step."""

import dataclasses
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

from jaxpose.codecs import IntegralRegression, Megvii, Regression, SimCC
from jaxpose.config import from_json, to_json
from jaxpose.errors import InputError
from jaxpose.losses import (
    OHKM,
    RLE,
    HeatmapJS,
    HeatmapMSE,
    IntegralLoss,
    Loss,
    SimCCKL,
    SmoothL1,
    StageSum,
)
from jaxpose.models import PoseModel, init_variables
from jaxpose.models.heads import DeconvHead, SimCCHead
from jaxpose.models.regression_heads import IntegralRegressionHead, RegressionHead, RLEHead
from jaxpose.tasks.topdown.check_shapes import check_outputs
from jaxpose.tasks.topdown.task import TopDownTask
from jaxpose.train.check_parts import check_parts
from jaxpose.train.recipe import load_recipe
from jaxpose.train.state import new_state
from jaxpose.train.step import train_step

TINY = Path(__file__).resolve().parents[2] / "tiny.py"
HW, MAPS = (64, 48), (16, 12)


class Stages(nn.Module):
    """Two supervised stages, in evaluation the last."""

    num_keypoints: int

    def setup(self):
        self.heads = [DeconvHead(self.num_keypoints, (8, 8)) for _ in range(2)]

    def __call__(self, features: jax.Array, train: bool = False):
        stages = tuple(head(features, train) for head in self.heads)
        return stages if train else stages[-1]


KINDS = {
    "regression": (RegressionHead(17), Regression(HW), SmoothL1()),
    "rle": (RLEHead(17), Regression(HW), RLE()),
    "integral": (
        IntegralRegressionHead(17, (8, 8)),
        IntegralRegression(HW, MAPS),
        IntegralLoss(SmoothL1(), HeatmapJS()),
    ),
    "stages": (Stages(17), Megvii(HW, MAPS), StageSum(OHKM())),
    "simcc": (SimCCHead(17, HW), SimCC(HW), SimCCKL()),
}


def experiment(head, codec, loss):
    tiny = load_recipe(str(TINY))
    backbone = tiny.model.backbone.clone(dim=8, depth=1)
    model = PoseModel(backbone, head)
    return dataclasses.replace(tiny, model=model, codec=codec, loss=loss, batch_size=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_accepted_and_takes_a_step(kind):
    recipe = experiment(*KINDS[kind])
    check_outputs(recipe)
    batch = recipe.train_data.open().samples(np.arange(2))
    tx = recipe.optimizer.build(recipe.steps, recipe.model)

    def first(key):
        state = new_state(recipe, init_variables(recipe.model, key, HW), tx)
        return train_step(state, batch, key, experiment=recipe, tx=tx)

    _, scalars = jax.eval_shape(first, jax.random.key(0))
    assert scalars["loss"].shape == () and scalars["loss"].dtype == np.float32


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "stages"])
def test_each_kind_survives_json(kind):
    recipe = experiment(*KINDS[kind])
    assert from_json(to_json(recipe)) == recipe


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((Stages(17), Megvii(HW, MAPS), HeatmapMSE()), "StageSum"),
        ((RLEHead(17), Regression(HW), SmoothL1()), r"RLE\(\) for an RLE head"),
        ((RegressionHead(17), Regression(HW), HeatmapMSE()), "cannot compare"),
        ((RegressionHead(17), Regression(HW), RLE()), "cannot compare"),
        ((KINDS["integral"][0], KINDS["integral"][1], SmoothL1()), "IntegralLoss"),
        ((DeconvHead(17, (8,)), Megvii(HW, MAPS), HeatmapMSE()), r"\[8, 6, 17\], but Megvii"),
        ((RegressionHead(17), Megvii(HW, MAPS), SmoothL1()), r"\[17, 2\], but Megvii"),
        ((DeconvHead(17, (8, 8)), Regression(HW), SmoothL1()), r"\[17, 2\], or \[17, 4\]"),
        ((DeconvHead(17, (8, 8)), Megvii(HW, MAPS), StageSum(OHKM())), "single output"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(InputError, match=message):
        check_outputs(experiment(*parts))


@dataclasses.dataclass(frozen=True)
class OwnLoss(Loss):
    """A loss with a fault."""

    fault: str

    def __call__(self, outputs, targets, weights):
        error = ((outputs - targets) ** 2).mean((1, 2)) * weights
        return error if self.fault == "array" else error.mean() + weights.missing


@dataclasses.dataclass(frozen=True)
class Stranger:
    """A callable that is no loss."""

    def __call__(self, outputs, targets, weights):
        return weights.mean()


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (OwnLoss("array"), r"OwnLoss must return one number, .* an array of shape \[2, 17\]"),
        (OwnLoss("missing"), r"OwnLoss cannot compare .*AttributeError: .*test_check_shapes\.py, "),
        (Stranger(), r"Stranger must derive from jaxpose\.losses\.Loss"),
    ],
)
def test_a_fault_of_a_loss_is_named(loss, message):
    with pytest.raises(InputError, match=message):
        check_outputs(experiment(DeconvHead(17, (8, 8)), Megvii(HW, MAPS), loss))


class OwnHead(nn.Module):
    """A head with a fault."""

    num_keypoints: int

    @nn.compact
    def __call__(self, features, train=False):
        return features.reshape(3, 5, 7)


class OldHead(nn.Module):
    """A head without `train`."""

    num_keypoints: int

    @nn.compact
    def __call__(self, features):
        return nn.Conv(self.num_keypoints, (1, 1))(features)


@dataclasses.dataclass(frozen=True)
class Half:
    """A codec that lacks all but its size."""

    input_hw: tuple[int, int] = HW


@pytest.mark.parametrize(
    ("head", "codec", "message"),
    [
        (
            OwnHead(17),
            Megvii(HW, MAPS),
            r"OwnHead does not work .*TypeError: .*\(.*test_check_shapes\.py, line \d+\)",
        ),
        (OldHead(17), Megvii(HW, MAPS), r"OldHead does not work .*TypeError: "),
        (DeconvHead(17, (8, 8)), Half(), r"Half does not work .*no attribute 'output_shapes'"),
    ],
)
def test_a_fault_of_a_class_of_ones_own_is_a_sentence(head, codec, message):
    with pytest.raises(InputError, match=message):
        check_parts(experiment(head, codec, HeatmapMSE()))


def test_an_error_without_a_class_of_ones_own_is_not_hidden(monkeypatch):
    def broken(self):
        raise TypeError("a fault of jaxpose")

    monkeypatch.setattr(TopDownTask, "check", broken)
    with pytest.raises(TypeError, match="a fault of jaxpose"):
        check_parts(experiment(DeconvHead(17, (8, 8)), Megvii(HW, MAPS), HeatmapMSE()))


@dataclasses.dataclass(frozen=True)
class Faulty(SmoothL1):
    """Loss that raises an error although the shapes are equal."""

    def __call__(self, outputs, targets, weights):
        return outputs.no_such_method()


def test_the_error_of_a_loss_is_reported_with_its_line():
    with pytest.raises(InputError) as caught:
        check_outputs(experiment(RegressionHead(17), Regression(HW), Faulty()))
    message = str(caught.value)
    assert "It raised AttributeError: " in message and "no_such_method" in message
    assert f"({__file__}, line" in message
    assert "Choose the loss for this head" not in message  # the shapes are equal
