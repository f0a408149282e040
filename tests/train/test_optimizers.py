"""Schedules, decay groups and layer-wise rates against values worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose.models import abstract_variables, hrnet_pose, vitpose
from jaxpose.train.optimizers import (
    AdamW,
    build,
    layer_scales,
    learning_rate_schedule,
    path_name,
    weight_decay_mask,
)


def test_step_schedule_warms_up_and_falls_at_the_milestones():
    optimizer = AdamW(learning_rate=1.0, warmup_steps=10, milestones=(0.5, 0.8))
    rate = learning_rate_schedule(optimizer, 100)
    np.testing.assert_allclose(rate(0), 0.1, rtol=1e-6)
    np.testing.assert_allclose(rate(9), 1.0, rtol=1e-6)
    np.testing.assert_allclose([rate(49), rate(51)], [1.0, 0.1], rtol=1e-6)
    np.testing.assert_allclose([rate(79), rate(81), rate(99)], [0.1, 0.01, 0.01], rtol=1e-6)


def test_cosine_schedule_ends_near_zero():
    rate = learning_rate_schedule(AdamW(learning_rate=2.0, warmup_steps=20, schedule="cosine"), 120)
    np.testing.assert_allclose(rate(20), 2.0, rtol=1e-6)
    np.testing.assert_allclose(rate(70), 1.0, rtol=1e-6)  # half way down
    assert rate(119) < 1e-3


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_run_shorter_than_its_warmup_has_finite_positive_rates(steps):
    rate = learning_rate_schedule(AdamW(warmup_steps=500), steps)
    rates = np.asarray([rate(s) for s in range(steps)])
    assert (rates > 0).all() and np.isfinite(rates).all()


@pytest.fixture(scope="module")
def small_vit():
    return abstract_variables(vitpose("Ti", input_hw=(64, 48)), (64, 48))["params"]


def test_kernels_decay_and_nothing_else(small_vit):
    mask = {
        path_name(path): on
        for path, on in jax.tree_util.tree_leaves_with_path(weight_decay_mask(small_vit))
    }
    assert any(mask.values())
    for name, on in mask.items():
        skipped = name.endswith(("bias", "scale")) or "pos" in name
        assert on != skipped, name


def test_layer_scales_follow_the_depth(small_vit):
    """12 layers: position and patch embedding at 0.75**13, layer i at 0.75**(12-i), the rest 1."""
    scales = {
        path_name(path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(layer_scales(small_vit, 0.75))
    }
    stacked = {n: s for n, s in scales.items() if n.startswith("backbone/blocks/")}
    assert stacked
    for scale in stacked.values():
        np.testing.assert_allclose(scale.ravel(), 0.75 ** np.arange(12, 0, -1), rtol=1e-6)
    embeddings = [s for n, s in scales.items() if "embed" in n]
    assert len(embeddings) == 3  # position, patch kernel, patch bias
    np.testing.assert_allclose(embeddings, 0.75**13, rtol=1e-6)
    rest = [s for n, s in scales.items() if n not in stacked and "embed" not in n]
    assert rest and all(s == 1.0 for s in rest)


# ViTPose-L: 24 layers and decay 0.8, so ids 0 (embeddings) to 25 (last norm and head), and id i
# has 0.8 ** (25 - i).
VITPOSE_L = (
    *(0.00377789, 0.00472237, 0.00590296, 0.0073787, 0.00922337, 0.01152922, 0.01441152),
    *(0.0180144, 0.022518, 0.0281475, 0.03518437, 0.04398047, 0.05497558, 0.06871948),
    *(0.08589935, 0.10737418, 0.13421773, 0.16777216, 0.2097152, 0.262144, 0.32768),
    *(0.4096, 0.512, 0.64, 0.8, 1.0),
)


def test_vitpose_large_has_24_and_2_layer_ids_with_two_groups_each():
    params = abstract_variables(vitpose("L"), (256, 192))["params"]
    scales = jax.tree.leaves(layer_scales(params, 0.8))
    mask = jax.tree.leaves(weight_decay_mask(params))
    names = [path_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    groups: dict[tuple[int, bool], list[str]] = {}
    for name, scale, decays in zip(names, scales, mask, strict=True):
        for value in np.ravel(scale):
            id = int(np.argmin(np.abs(np.asarray(VITPOSE_L) - value)))
            np.testing.assert_allclose(value, VITPOSE_L[id], rtol=1e-5)
            groups.setdefault((id, decays), []).append(name)
    assert len(groups) == 2 * (24 + 2)
    assert groups[0, True] == ["backbone/patch_embed/projection/kernel"]
    assert groups[0, False] == [
        "backbone/patch_embed/projection/bias",
        "backbone/position_embedding",
    ]
    layer = "backbone/blocks/"
    kernels = ["attention/out", "attention/qkv", "mlp/fc1", "mlp/fc2"]
    for id in range(1, 25):
        assert groups[id, True] == [f"{layer}{name}/kernel" for name in kernels]
        assert groups[id, False] == [
            *(f"{layer}{name}/bias" for name in kernels),
            *(f"{layer}{norm}/{leaf}" for norm in ("norm1", "norm2") for leaf in ("bias", "scale")),
        ]
    assert groups[25, True] == [f"head/{n}/kernel" for n in ("deconv_0", "deconv_1", "final")]
    assert groups[25, False] == [
        *("backbone/norm/bias", "backbone/norm/scale", "head/final/bias"),
        *(f"head/norm_{i}/{leaf}" for i in range(2) for leaf in ("bias", "scale")),
    ]


def test_stages_of_a_convolution_net_are_its_layers():
    """HRNet: stem at 0.5**5, stages 1 to 4 at 0.5**4 to 0.5, head at 1."""
    params = abstract_variables(hrnet_pose("W18-small"), (64, 64))["params"]
    expected = {"stem": 0.5**5, "stage_1": 0.5**4, "stage_2": 0.5**3, "stage_3": 0.25}
    expected |= {"stage_4": 0.5, "head": 1.0}
    seen = set()
    for path, scale in jax.tree_util.tree_leaves_with_path(layer_scales(params, 0.5)):
        name = path_name(path).removeprefix("backbone/")
        (part,) = (part for part in expected if name.startswith(part))
        assert scale == expected[part], name
        seen.add(part)
    assert seen == set(expected)


def test_decay_follows_the_rank_and_not_the_name():
    leaves = {"x_kernel": (3, 4), "x_bias": (3, 4), "gamma": (5,), "class_token": (2, 3)}
    params = {"head": {name: jnp.zeros(shape) for name, shape in leaves.items()}}
    assert weight_decay_mask(params)["head"] == {name: name == "x_kernel" for name in leaves}


def test_update_equals_optax_adamw_where_the_groups_do_not_matter():
    optimizer = AdamW(
        learning_rate=0.01, warmup_steps=0, milestones=(), weight_decay=0.1, clip_norm=None
    )
    params = {"head": {"kernel": jnp.asarray([1.0, -2.0]), "bias": jnp.asarray([0.5])}}
    gradients = {"head": {"kernel": jnp.asarray([0.3, 0.1]), "bias": jnp.asarray([-0.2])}}
    ours, theirs = build(optimizer, 10), optax.adamw(0.01, mask=weight_decay_mask, weight_decay=0.1)
    for tx in (ours, theirs):
        state = tx.init(params)
        for _ in range(3):
            updates, state = tx.update(gradients, state, params)
        if tx is ours:
            expected = updates
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), expected, updates)


def test_clipping_bounds_the_first_moment():
    optimizer = AdamW(learning_rate=1.0, warmup_steps=0, clip_norm=1.0)
    tx = build(optimizer, 10)
    params = {"head": {"kernel": jnp.zeros(2)}}
    _, state = tx.update({"head": {"kernel": jnp.asarray([300.0, 400.0])}}, tx.init(params), params)
    moment = optax.tree_utils.tree_get(state, "mu")["head"]["kernel"]
    np.testing.assert_allclose(moment, [0.06, 0.08], rtol=1e-5)  # 0.1 of the clipped gradient
