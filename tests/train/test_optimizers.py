"""Optimizers against plain optax, schedules against values worked out by hand."""

import dataclasses
from pathlib import Path

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jaxpose.codecs.heatmap import udp
from jaxpose.config import from_json, override, to_json
from jaxpose.errors import InputError
from jaxpose.models import abstract_variables, vitpose
from jaxpose.models.build import PoseModel
from jaxpose.models.heads import SimpleHead
from jaxpose.models.vit import ViT
from jaxpose.tasks.topdown.augment import Augmentation
from jaxpose.train import mesh as meshes
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.device_batches import to_device
from jaxpose.train.experiment import Mesh
from jaxpose.train.init_state import abstract_state, first_state, run_key
from jaxpose.train.optimizers import SGD, Adafactor, AdamW, Lion, Muon, Optimizer
from jaxpose.train.parameter_groups import parameter_groups, path_name
from jaxpose.train.recipe import load_recipe
from jaxpose.train.sharding import put
from jaxpose.train.state import new_state
from jaxpose.train.step import lower_step

TINY = Path(__file__).resolve().parents[1] / "tiny.py"

# These programs run for milliseconds: code that is not optimised compiles five times as fast.
QUICK = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}

ALL = {
    "adamw": AdamW(),
    "sgd": SGD(),
    "nesterov": SGD(nesterov=True),
    "lion": Lion(),
    "adafactor": Adafactor(min_factored=4),
    "muon": Muon(),
}
KINDS = pytest.mark.parametrize("kind", ALL)


@dataclasses.dataclass(frozen=True)
class Halving:
    """A schedule from outside: half the rate after every tenth of the run."""

    def build(self, peak: float, steps: int) -> optax.Schedule:
        return lambda count: peak * 0.5 ** (count * 10 // steps)


@dataclasses.dataclass(frozen=True)
class Adan:
    """An optimizer from outside: a chain of optax and nothing else."""

    learning_rate: float = 1e-3

    def build(self, steps: int, model: object) -> optax.GradientTransformation:
        return optax.adan(self.learning_rate)


def test_step_schedule_warms_up_and_falls_at_the_milestones():
    optimizer = AdamW(learning_rate=1.0, warmup_steps=10, milestones=(0.5, 0.8))
    rate = optimizer.learning_rates(100)
    np.testing.assert_allclose(rate(0), 0.1, rtol=1e-6)
    np.testing.assert_allclose(rate(9), 1.0, rtol=1e-6)
    np.testing.assert_allclose([rate(49), rate(51)], [1.0, 0.1], rtol=1e-6)
    np.testing.assert_allclose([rate(79), rate(81), rate(99)], [0.1, 0.01, 0.01], rtol=1e-6)


def test_cosine_schedule_ends_near_zero():
    rate = SGD(learning_rate=2.0, warmup_steps=20, schedule="cosine").learning_rates(120)
    np.testing.assert_allclose(rate(20), 2.0, rtol=1e-6)
    np.testing.assert_allclose(rate(70), 1.0, rtol=1e-6)  # half way down
    assert rate(119) < 1e-3


@KINDS
@pytest.mark.parametrize("schedule", ["constant", "rsqrt", Halving()])
def test_schedules_and_cooldown_work_for_each(kind, schedule):
    optimizer = dataclasses.replace(
        ALL[kind], learning_rate=1.0, schedule=schedule, warmup_steps=4, timescale=12
    )
    rate = optimizer.learning_rates(24)
    expected = {"constant": 1.0, "rsqrt": (12 / 24) ** 0.5}.get(schedule, 0.5**6)
    np.testing.assert_allclose([rate(3), rate(4 + 12)], [1.0, expected], rtol=1e-6)
    cooled = dataclasses.replace(optimizer, cooldown_steps=8).learning_rates(24)
    np.testing.assert_allclose([cooled(16), cooled(20)], [rate(16), rate(20) / 2], rtol=1e-6)
    assert cooled(24) == 0


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_run_shorter_than_its_warmup_has_finite_positive_rates(steps):
    rate = AdamW(warmup_steps=500).learning_rates(steps)
    rates = np.asarray([rate(s) for s in range(steps)])
    assert (rates > 0).all() and np.isfinite(rates).all()


@pytest.mark.parametrize(
    ("cls", "values", "message"),
    [
        (Lion, {"learning_rate": 0.0}, "learning_rate must be positive"),
        (Muon, {"layer_decay": 1.5}, r"layer_decay must be in \(0, 1\]"),
        (Adafactor, {"schedule": "cosine", "cooldown_steps": 5}, "needs no cooldown"),
        (AdamW, {"milestones": (2.0,)}, "fractions of the run"),
        (SGD, {"momentum": 1.0}, "momentum must be in"),
        (SGD, {"momentum": 0.0, "nesterov": True}, "above 0 with nesterov"),
    ],
)
def test_impossible_settings_are_refused(cls, values, message):
    with pytest.raises(InputError, match=message):
        cls(**values)


# A toy: one stacked MLP in a ViT's backbone, and a head. No layer decay but where it is tested.
@pytest.fixture(scope="module")
def toy():
    """Model, parameters and the gradients of four steps."""
    model = vitpose("Ti", input_hw=(64, 48))
    shapes = {
        "backbone": {
            "blocks": {"mlp": {"fc1": {"kernel": (12, 6, 8), "bias": (12, 8)}}},
            "position_embedding": (5, 6),
        },
        "head": {"deconv_0": {"kernel": (2, 2, 6, 5)}, "final": {"kernel": (5, 3), "bias": (3,)}},
    }
    rng = np.random.default_rng(0)

    def draw(scale):
        return jax.tree.map(
            lambda s: jnp.asarray(scale * rng.normal(size=s), jnp.float32),
            shapes,
            is_leaf=lambda x: isinstance(x, tuple),
        )

    return model, draw(1.0), [draw(0.1) for _ in range(4)]


def updates_of(tx, params, gradients):
    """The updates of each step."""
    state, found = tx.init(params), []
    step = jax.jit(tx.update)
    for gradient in gradients:
        updates, state = step(gradient, state, params)
        found.append(updates)
        params = optax.apply_updates(params, updates)
    return found


def assert_equal(ours, theirs, rtol=2e-5):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-8), ours, theirs)


def muon_numbers(_):
    """Written out for the toy; None goes to Adam."""
    numbers = optax.contrib.MuonDimensionNumbers
    return {
        "backbone": {
            "blocks": {"mlp": {"fc1": {"kernel": numbers((1,), (2,)), "bias": None}}},
            "position_embedding": None,
        },
        "head": {
            "deconv_0": {"kernel": numbers((0, 1, 2), (3,))},
            "final": {"kernel": None, "bias": None},
        },
    }


def big_vision_decay(step, exponent):
    return jnp.minimum(0.999, 1.0 - (step + 1.0) ** (-exponent))


def plain(kind, mask):
    """The same rule as optax has it, at a rate of 0.01 and a decay of 0.1."""
    decay = optax.add_decayed_weights(0.1, mask)
    rate = optax.scale_by_learning_rate(0.01)
    return {
        "adamw": lambda: optax.adamw(0.01, mask=mask, weight_decay=0.1),
        "sgd": lambda: optax.chain(optax.trace(0.9), decay, rate),
        "nesterov": lambda: optax.chain(optax.trace(0.9, nesterov=True), decay, rate),
        "lion": lambda: optax.lion(0.01, weight_decay=0.1, mask=mask),
        "adafactor": lambda: optax.chain(
            optax.scale_by_factored_rms(min_dim_size_to_factor=4, decay_rate_fn=big_vision_decay),
            optax.ema(0.9, debias=False, accumulator_dtype=jnp.bfloat16),
            decay,
            rate,
        ),
        "muon": lambda: optax.contrib.muon(
            0.01,
            weight_decay=0.1,
            weight_decay_mask=mask,
            muon_weight_dimension_numbers=muon_numbers,
            consistent_rms=0.2,
        ),
    }[kind]()


@KINDS
def test_updates_equal_those_of_plain_optax(toy, kind):
    model, params, gradients = toy
    optimizer = dataclasses.replace(
        ALL[kind],
        learning_rate=0.01,
        warmup_steps=0,
        milestones=(),
        weight_decay=0.1,
        clip_norm=None,
    )
    ours = updates_of(optimizer.build(10, model), params, gradients)
    mask = parameter_groups(model).weight_decay_mask
    theirs = updates_of(plain(kind, mask), params, gradients)
    if kind == "muon":
        # optax's Muon takes NAdam for the rest and cannot mask its decay; ours is AdamW.
        rest = updates_of(plain("adamw", mask), params, gradients)
        theirs = [
            jax.tree.map(lambda m, a, n: a if n is None else m, muon, adam, muon_numbers(None))
            for muon, adam in zip(theirs, rest, strict=True)
        ]
    assert_equal(ours, theirs)


def test_sgd_equals_optax_without_decay(toy):
    model, params, gradients = toy
    common = {"warmup_steps": 0, "milestones": (), "weight_decay": 0.0, "clip_norm": None}
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True)):
        ours = SGD(0.1, **common, momentum=momentum, nesterov=nesterov).build(10, model)
        theirs = optax.sgd(0.1, momentum or None, nesterov)
        assert_equal(updates_of(ours, params, gradients), updates_of(theirs, params, gradients))


def test_muon_orthogonalises_each_layer_and_each_of_queries_keys_values():
    model = vitpose("Ti", input_hw=(64, 48))
    rng = np.random.default_rng(1)
    shape = (12, 8, 3, 2, 4)  # layers, width, queries keys values, heads, head_dim
    gradient = jnp.asarray(rng.normal(size=shape), jnp.float32)
    tree = {"backbone": {"blocks": {"attention": {"qkv": {"kernel": gradient}}}}}
    optimizer = Muon(1.0, warmup_steps=0, milestones=(), weight_decay=0.0, clip_norm=None)
    (updates,) = updates_of(optimizer.build(10, model), tree, [tree])
    matrices = np.asarray(jax.tree.leaves(updates)[0])
    # The iteration brings singular values near 1, to 0.7 .. 1.2; times 0.2 * sqrt(8).
    singular = np.linalg.svd(matrices.transpose(0, 2, 1, 3, 4).reshape(36, 8, 8))[1]
    singular = singular / (0.2 * 8**0.5)
    assert singular[:, :6].min() > 0.6 and singular.max() < 1.3
    alone = optax.contrib.scale_by_muon()
    one = gradient[3, :, 1].reshape(8, 8)
    expected, _ = alone.update(one, alone.init(one))
    np.testing.assert_allclose(
        matrices[3, :, 1].reshape(8, 8), -0.2 * 8**0.5 * expected, rtol=1e-3, atol=1e-5
    )


@KINDS
def test_layer_decay_multiplies_the_update_of_each_layer(toy, kind):
    model, params, gradients = toy
    flat = dataclasses.replace(ALL[kind], learning_rate=0.01, warmup_steps=0, clip_norm=None)
    deep = dataclasses.replace(flat, layer_decay=0.5)
    scales = parameter_groups(model).layer_scales(params, 0.5)
    one, other = (updates_of(o.build(10, model), params, gradients[:1])[0] for o in (flat, deep))
    assert_equal(other, jax.tree.map(lambda u, s: u * s, one, scales), rtol=1e-6)
    kernel = scales["backbone"]["blocks"]["mlp"]["fc1"]["kernel"]
    np.testing.assert_allclose(kernel.ravel(), 0.5 ** np.arange(12, 0, -1), rtol=1e-6)


@KINDS
def test_frozen_leaves_have_no_update_and_no_state(toy, kind):
    model, params, gradients = toy
    optimizer = dataclasses.replace(ALL[kind], warmup_steps=0, frozen=("backbone/.*",))
    tx = optimizer.build(10, model)
    updates = updates_of(tx, params, gradients)[-1]
    assert all(not np.any(u) for u in jax.tree.leaves(updates["backbone"]))
    assert all(np.any(u) for u in jax.tree.leaves(updates["head"]))
    state = jax.tree_util.tree_leaves_with_path(jax.eval_shape(tx.init, params))
    assert not [path_name(path) for path, _ in state if "backbone" in path_name(path)]


@KINDS
def test_only_kernels_decay(toy, kind):
    model, params, gradients = toy
    still = dataclasses.replace(
        ALL[kind], learning_rate=0.01, warmup_steps=0, clip_norm=None, weight_decay=0.0
    )
    decaying = dataclasses.replace(still, weight_decay=0.5)
    one, other = (
        updates_of(o.build(10, model), params, gradients[:1])[0] for o in (still, decaying)
    )
    mask = parameter_groups(model).weight_decay_mask(params)
    jax.tree.map(
        lambda a, b, p, on: np.testing.assert_allclose(
            b - a, -0.005 * p if on else 0 * p, rtol=1e-3, atol=1e-7
        ),
        one,
        other,
        params,
        mask,
    )


def test_clipping_bounds_the_first_moment(toy):
    optimizer = AdamW(learning_rate=1.0, warmup_steps=0, clip_norm=1.0)
    tx = optimizer.build(10, toy[0])
    params = {"head": {"kernel": jnp.zeros(2)}}
    _, state = tx.update({"head": {"kernel": jnp.asarray([300.0, 400.0])}}, tx.init(params), params)
    moment = optax.tree_utils.tree_get(state, "mu")["head"]["kernel"]
    np.testing.assert_allclose(moment, [0.06, 0.08], rtol=1e-5)  # 0.1 of the clipped gradient


def test_adamw_state_is_laid_out_as_in_the_first_version(toy):
    """Checkpoints of 0.1.0 name arrays by these paths."""
    model, params, _ = toy
    chain = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.scale_by_adam(),
        optax.add_decayed_weights(0.1, jax.tree.map(lambda x: x.ndim > 1, params)),
        optax.identity(),
        optax.scale_by_learning_rate(lambda count: 0.1),
    )
    state = AdamW(layer_decay=0.75).build(10, model).init(params)
    assert jax.tree.structure(state) == jax.tree.structure(chain.init(params))
    still = AdamW(frozen=("backbone/.*",)).build(10, model).init(params)
    assert type(still).__name__ == "PartitionState" and set(still.inner_states) == {False, True}


def test_optimizer_state_of_vitpose_b():
    """The figures that the docs give, in bytes for each parameter."""
    model = vitpose("B")
    params = abstract_variables(model, (256, 192))["params"]
    size = sum(leaf.size for leaf in jax.tree.leaves(params))

    def per_parameter(optimizer):
        state = jax.eval_shape(optimizer.build(10, model).init, params)
        return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state)) / size

    assert round(size / 1e6, 1) == 90.0
    figures = {
        "AdamW": per_parameter(AdamW()),
        "AdamW bfloat16": per_parameter(AdamW(momentum_dtype="bfloat16")),
        "SGD": per_parameter(SGD()),
        "Lion": per_parameter(Lion()),
        "Lion bfloat16": per_parameter(Lion(momentum_dtype="bfloat16")),
        "Adafactor": per_parameter(Adafactor()),
        "Muon": per_parameter(Muon()),
    }
    expected = {"AdamW": 8, "AdamW bfloat16": 6, "SGD": 4, "Lion": 4, "Lion bfloat16": 2}
    expected |= {"Adafactor": 2, "Muon": 4}
    for name, value in figures.items():
        assert expected[name] <= value < expected[name] + 0.1, figures


@pytest.fixture(scope="module")
def tiny():
    """Two layers of a ViT without drop path or augmentation, so that every step is the same."""
    backbone = ViT(input_hw=(32, 32), dim=16, depth=2, heads=4, patch=8)
    return dataclasses.replace(
        load_recipe(str(TINY)),
        model=PoseModel(backbone, SimpleHead(17)),
        codec=udp(input_hw=(32, 32), heatmap_hw=(16, 16), sigma=1.0),
        augmentation=Augmentation(
            flip=0, rotation_probability=0, scale=0, shift_probability=0, half_body=0
        ),
        mesh=Mesh(fsdp_from=1),
        steps=100,
    )


def states(experiment, steps, **sizes):
    """The state after each of `steps` steps on one batch on a mesh of those sizes, and losses."""
    experiment = dataclasses.replace(experiment, mesh=dataclasses.replace(experiment.mesh, **sizes))
    mesh = meshes.make_mesh(experiment.mesh, jax.devices()[: int(np.prod(list(sizes.values())))])
    shapes, layout = abstract_state(experiment, mesh)
    variables = drawn.like({"params": shapes.params, "batch_stats": shapes.batch_stats})
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    state = put(new_state(experiment, variables, tx), layout.state)
    batch = to_device(experiment.train_data.open().samples(np.arange(8)), mesh)
    key = run_key(experiment, mesh)
    step = lower_step(experiment, state, batch, key).compile(compiler_options=QUICK)
    found, losses = [], []
    for _ in range(steps):
        state, scalars = step(state, batch, key)
        found.append(jax.device_get(state))
        losses.append(float(scalars["loss"]))
    return found, losses


COMMON = {"warmup_steps": 0, "schedule": "constant", "layer_decay": 0.9}
TRAINING = {
    "sgd": SGD(0.3, **COMMON, weight_decay=0.0),
    "lion": Lion(2e-3, **COMMON),
    "adafactor": Adafactor(5e-3, **COMMON, min_factored=16),
    "muon": Muon(1e-2, **COMMON),
    "outside": Adan(5e-3),
}


@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if kind == "muon" else pytest.mark.slow) for kind in TRAINING],
)
def test_each_learns_and_steps_on_eight_devices_equal_those_on_one(tiny, kind):
    experiment = dataclasses.replace(tiny, optimizer=TRAINING[kind])
    alone, losses = states(experiment, 40, data=1)
    assert np.mean(losses[-3:]) < 0.7 * losses[0], losses
    shared, also = states(experiment, 2, data=1, fsdp=4, tensor=2)
    np.testing.assert_allclose(also, losses[:2], rtol=1e-4)
    # Sums are taken in another order. Where a gradient is almost zero, its sign or its quotient by
    # its own size turns that into a step of full length: seldom, and in no other way.
    rate = TRAINING[kind].learning_rate
    one, other = alone[0].params, shared[0].params
    far = jax.tree.map(lambda a, b: np.abs(a - b) > 1e-2 * rate, one, other)
    assert np.concatenate([x.ravel() for x in jax.tree.leaves(far)]).mean() < 1e-2


def test_statistics_of_adafactor_lie_as_the_axes_that_they_keep(tiny):
    optimizer = Adafactor(min_factored=16)
    mesh = Mesh(data=1, fsdp=4, tensor=2, fsdp_from=1)
    experiment = dataclasses.replace(tiny, optimizer=optimizer, mesh=mesh)
    state, _ = abstract_state(experiment, meshes.make_mesh(experiment.mesh))
    found = {
        path_name(path): (leaf.shape, tuple(leaf.sharding.spec))
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }
    kernel = "backbone/blocks/mlp/fc1/kernel"
    assert found[f"params/{kernel}"] == ((2, 16, 64), (None, "fsdp", "tensor"))
    statistics = {
        "v_row": ((2, 16), (None, "fsdp")),
        "v_col": ((2, 64), (None, "tensor")),
        "v": ((1,), ()),
        "ema": ((2, 16, 64), (None, "fsdp", "tensor")),
    }
    for part, expected in statistics.items():
        (name,) = (name for name in found if name.endswith(f"/{part}/{kernel}"))
        assert found[name] == expected, part


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lion", "adafactor", "muon"])
def test_a_resumed_run_has_the_same_bits(tiny, tmp_path, kind):
    experiment = dataclasses.replace(tiny, optimizer=TRAINING[kind])
    experiment = dataclasses.replace(experiment, mesh=Mesh(data=1))
    mesh = meshes.make_mesh(experiment.mesh, jax.devices()[:1])
    shapes, layout = abstract_state(experiment, mesh)
    state, _ = first_state(experiment, layout)
    batch = to_device(experiment.train_data.open().samples(np.arange(8)), mesh)
    key = run_key(experiment, mesh)
    step = lower_step(experiment, state, batch, key).compile(compiler_options=QUICK)
    state, _ = step(state, batch, key)
    checkpoints = Checkpoints(tmp_path, "AP")
    checkpoints.save(state, {"next_step": 1})
    checkpoints.wait()
    expected = jax.device_get(step(state, batch, key)[0])
    restored, _ = checkpoints.restore(shapes)
    checkpoints.close()
    found = jax.device_get(step(restored, batch, key)[0])
    jax.tree.map(np.testing.assert_array_equal, expected, found)


def test_optimizers_are_values_of_a_configuration(tiny):
    for optimizer in (*ALL.values(), *TRAINING.values()):
        assert isinstance(optimizer, Optimizer)
        if not isinstance(optimizer, Adan):
            experiment = dataclasses.replace(tiny, optimizer=optimizer)
            assert from_json(to_json(experiment)).optimizer == optimizer
    muon = override(
        dataclasses.replace(tiny, optimizer=Muon()),
        ["optimizer.schedule=cosine", "optimizer.momentum=0.9"],
    ).optimizer
    assert muon == Muon(schedule="cosine", momentum=0.9)
    with pytest.raises(InputError, match="optimizer must be Optimizer"):
        override(tiny, ["optimizer=adam"])


def test_an_optimizer_from_outside_logs_no_rate_that_nobody_knows(tiny):
    experiment = dataclasses.replace(tiny, optimizer=Adan(), mesh=Mesh(data=1))
    mesh = meshes.make_mesh(experiment.mesh, jax.devices()[:1])
    state, _ = abstract_state(experiment, mesh)
    batch = to_device(experiment.train_data.open().samples(np.arange(8)), mesh)
    lowered = lower_step(experiment, state, batch, run_key(experiment, mesh))
    assert "loss" in lowered.out_info[1] and "learning_rate" not in lowered.out_info[1]
