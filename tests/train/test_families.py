"""Every family of models, small, learns a few people by heart, and takes a step in bfloat16."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import pytest

from jaxpose.codecs import IntegralRegression, Regression, SimCC
from jaxpose.codecs.codec import Codec
from jaxpose.codecs.heatmap import msra, udp
from jaxpose.codecs.simcc import rtmpose as rtmpose_codec
from jaxpose.data.source import SyntheticPeople
from jaxpose.losses import (
    RLE,
    HeatmapJS,
    HeatmapMSE,
    IntegralLoss,
    Loss,
    SimCCKL,
    SmoothL1,
    StageSum,
)
from jaxpose.models import (
    DeconvHead,
    PoseModel,
    ResNet,
    deeppose,
    hourglass,
    hrnet_pose,
    hrnetv2_pose,
    init_variables,
    integral_regression,
    litehrnet,
    mobilenet_pose,
    openpose,
    rle,
    rtmpose,
    simcc_resnet,
    simple_baseline,
    transpose_r,
    vitpose,
    vitpose_plus,
)
from jaxpose.models.pyramid import Pyramid
from jaxpose.models.refine import SRCNN, RefinedHead
from jaxpose.skeletons import COCO17
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.tasks.topdown.experiment import TopDownExperiment
from jaxpose.train.optimizers import AdamW
from jaxpose.train.state import new_state
from jaxpose.train.step import train_step

HW = (64, 64)
MAPS = (16, 16)
PEOPLE = SyntheticPeople(count=8, seed=0, canvas_hw=(96, 96), plain=True)
STILL = Augmentation(flip=0, rotation_probability=0, scale=0, shift_probability=0, half_body=0)
STEPS = 30
# What the normal run trains, and steps in bfloat16; networks that take longer to
# compile are marked slow.
TYPICAL = ("vit", "vit-simcc")
IN_HALF = ("vit",)
MSE = HeatmapMSE()
HEATMAPS, WIDE = (udp(HW, MAPS, sigma=sigma) for sigma in (1.0, 3.0))
LARGER = (128, 128)


@dataclass(frozen=True)
class Family:
    """A published topology with few channels, and what trains it.

    Attributes:
      make: dtype -> the model.
      codec, loss: as in the family's recipe.
      learning_rate: of Adam, without warm-up.
    """

    make: Callable[[str], PoseModel]
    codec: Codec = HEATMAPS
    loss: Loss = MSE
    learning_rate: float = 3e-3


def small_vit(head: str, dtype: str) -> PoseModel:
    model = vitpose("S", input_hw=HW, head=head, drop_path=0.0, split_ratio=2.0, dtype=dtype)
    return resized(model, {"dim": 32, "depth": 2, "heads": 2, "mlp_hidden": 64}, narrow(model.head))


def small_mixture(dtype: str) -> PoseModel:
    model = vitpose_plus("S", input_hw=HW, head="simple", drop_path=0.0, dtype=dtype)
    return resized(model, {"dim": 32, "depth": 2, "heads": 2, "mlp_hidden": 64, "part_features": 8})


def small_hybrid(dtype: str) -> PoseModel:
    trunk = ResNet((1, 1), width=8, dtype=dtype)
    changes = {"trunk": trunk, "dim": 32, "depth": 2, "heads": 2, "mlp_hidden": 64}
    return resized(transpose_r("A3", dtype=dtype), changes, {"deconv_channels": (32,)})


def small_hrnet(make: Callable[..., PoseModel], size: str, dtype: str) -> PoseModel:
    changes = {
        "channels": (8, 16, 32, 64),
        "modules": (1, 1, 1),
        "blocks": 1,
        "stage1_channels": 8,
        "stage1_blocks": 1,
    }
    return resized(make(size, 17, dtype=dtype), changes)


def small_litehrnet(dtype: str) -> PoseModel:
    changes = {"channels": (8, 16, 32, 64), "modules": (1, 1, 1), "blocks": 1}
    return resized(litehrnet("naive-18", dtype=dtype), changes)


def small_resnet(make: Callable[..., PoseModel], dtype: str, **options) -> PoseModel:
    model = make(18, dtype=dtype, **options)
    return resized(model, {"blocks": (1, 1, 1, 1), "width": 16}, narrow(model.head))


def small_hourglass(dtype: str) -> PoseModel:
    changes = {"channels": (16, 16, 24), "blocks": (1, 1, 1), "feature_channels": 16}
    return resized(hourglass("104", dtype=dtype), changes)


def refined_pyramid(dtype: str) -> PoseModel:
    refiner = SRCNN(widths=(16, 8), dtype=dtype)
    return PoseModel(pyramid(dtype), RefinedHead(DeconvHead(17, (), dtype=dtype), refiner))


def pyramid(dtype: str) -> Pyramid:
    return Pyramid(widths=(16, 32), depths=(1, 1), path_width=16, dtype=dtype)


def resized(model: PoseModel, backbone: dict, head: dict | None = None) -> PoseModel:
    return PoseModel(model.backbone.clone(**backbone), model.head.clone(**(head or {})))


def narrow(head) -> dict:
    """A head's deconvolutions with few channels, where it has any."""
    channels = getattr(head, "deconv_channels", ())
    return {"deconv_channels": (16,) * len(channels)} if channels else {}


FAMILIES = {
    "vit": Family(functools.partial(small_vit, "classic"), learning_rate=1e-3),
    # Four rows of tokens, enlarged: no narrower peaks can be drawn.
    "vit-simple": Family(functools.partial(small_vit, "simple"), WIDE, learning_rate=1e-3),
    "vit-simcc": Family(functools.partial(small_vit, "simcc"), SimCC(HW), SimCCKL(), 1e-2),
    "vit-experts": Family(small_mixture, WIDE, learning_rate=1e-3),
    "transpose": Family(small_hybrid),
    "pyramid": Family(
        lambda dtype: PoseModel(pyramid(dtype), DeconvHead(17, (16,), dtype=dtype)),
        learning_rate=1e-2,
    ),
    "hrnet": Family(functools.partial(small_hrnet, hrnet_pose, "W18-small"), msra(HW, sigma=1.0)),
    "hrnetv2": Family(
        functools.partial(small_hrnet, hrnetv2_pose, "W18-small"), learning_rate=1e-3
    ),
    "resnet": Family(functools.partial(small_resnet, simple_baseline), msra(HW, sigma=1.0)),
    "resnet-simcc": Family(
        functools.partial(small_resnet, simcc_resnet, input_hw=HW), SimCC(HW), SimCCKL()
    ),
    "resnet-regression": Family(
        functools.partial(small_resnet, deeppose), Regression(HW), SmoothL1()
    ),
    "resnet-integral": Family(
        functools.partial(small_resnet, integral_regression),
        IntegralRegression(HW, MAPS, sigma=2.0),
        IntegralLoss(SmoothL1(), HeatmapJS()),
        1e-2,
    ),
    "resnet-rle": Family(functools.partial(small_resnet, rle), Regression(HW), RLE()),
    "rtmpose": Family(
        lambda dtype: resized(rtmpose("t", input_hw=LARGER, dtype=dtype), {"widen": 0.125}),
        rtmpose_codec(LARGER),
        SimCCKL(beta=10.0, label_softmax=True),
        1e-3,
    ),
    "mobilenetv2": Family(
        lambda dtype: resized(
            mobilenet_pose(widen=0.25, dtype=dtype), {}, {"deconv_channels": (16, 16, 16)}
        )
    ),
    "hourglass": Family(small_hourglass, msra(HW, sigma=1.0), StageSum(HeatmapMSE())),
    "litehrnet": Family(small_litehrnet),
    "openpose": Family(
        lambda dtype: openpose(stages=2, dtype=dtype),
        msra((32, 32), (4, 4), sigma=0.7),
        StageSum(HeatmapMSE()),
        1e-3,
    ),
    "srcnn": Family(refined_pyramid),
}


def experiment(family: Family, dtype: str) -> TopDownExperiment:
    return TopDownExperiment(
        skeleton=COCO17,
        model=family.make(dtype),
        codec=family.codec,
        loss=family.loss,
        train_data=PEOPLE,
        eval_data=PEOPLE,
        augmentation=STILL,
        optimizer=AdamW(family.learning_rate, warmup_steps=0, weight_decay=0.0),
        steps=100,
        batch_size=PEOPLE.count,
    )


# Half as long in the making; the code is slower, and little of it runs.
QUICKLY = {"xla_backend_optimization_level": 0}


def trained(family: Family, dtype: str, steps: int):
    """The state after some steps on one batch of all people, and each step's scalars."""
    run = experiment(family, dtype)
    tx = run.optimizer.build(run.steps, run.model)
    fresh = jax.jit(
        lambda key: init_variables(run.model, key, run.input_hw), compiler_options=QUICKLY
    )
    state = new_state(run, fresh(jax.random.key(0)), tx)
    step = jax.jit(functools.partial(train_step, experiment=run, tx=tx), compiler_options=QUICKLY)
    batch, history = people(), []
    for _ in range(steps):
        state, scalars = step(state, batch, jax.random.key(1))
        history.append(scalars)
    return state, history


@functools.cache
def people():
    return PEOPLE.open().samples(np.arange(PEOPLE.count))


def chosen(normal):
    return [
        pytest.param(name, marks=[] if name in normal else [pytest.mark.slow]) for name in FAMILIES
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", chosen(TYPICAL))
def test_thirty_steps_halve_the_loss(name, record_property):
    _, history = trained(FAMILIES[name], "float32", STEPS)
    first, last = (float(history[i]["loss"]) for i in (0, -1))
    record_property("first_loss", first)
    record_property("last_loss", last)
    print(f"{name}: {first:.5g} -> {last:.5g}")
    assert last <= 0.5 * first


@pytest.mark.slow
@pytest.mark.parametrize("name", chosen(IN_HALF))
def test_a_step_in_bfloat16_is_finite(name):
    state, history = trained(FAMILIES[name], "bfloat16", 1)
    assert np.isfinite(history[0]["loss"]) and history[0]["loss"] > 0
    assert np.isfinite(history[0]["gradient_norm"]) and history[0]["gradient_norm"] > 0
    for leaf in jax.tree.leaves((state.params, state.batch_stats)):
        assert leaf.dtype == np.float32 and np.isfinite(leaf).all()
