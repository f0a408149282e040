"""Gradients of whole models against central differences in float64.

The models are the published ones, on small images. Parameters and images are float64, which the
models keep when their `dtype` is "float64". The one exception is inside JAX: its attention takes
the softmax in float32, so here it is written out.
"""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from float64 import enable_x64

from jaxpose.models import hrnet_pose, rtmpose, vitpose
from jaxpose.train.parameter_groups import path_name

HW = (64, 64)
# A wide step takes ReLUs over their kinks, which a narrow one leaves alone but drowns in rounding
# (1e-16 / step of the objective, about 1). Wrong gradients are wrong at each, so one step that
# agrees suffices.
STEPS = (1e-7, 1e-8, 1e-5)
TOLERANCE = 1e-5
COMPILES_LONG = ("hrnet-W18-small", "rtmpose-s")

MODELS = {
    "vitpose-S": (
        # A loop over the blocks, which compiles faster than the blocks written out.
        lambda: unrolled_once(vitpose("S", input_hw=HW, drop_path=0.0, dtype="float64")),
        (
            "backbone/patch_embed/projection/kernel",
            "backbone/position_embedding",
            "backbone/blocks/norm1/scale",
            "backbone/blocks/attention/qkv/kernel",
            "backbone/blocks/mlp/fc2/bias",
            "head/deconv_0/kernel",
            "head/final/kernel",
        ),
    ),
    "hrnet-W18-small": (
        lambda: hrnet_pose("W18-small", dtype="float64"),
        (
            "backbone/stem_0/conv/kernel",
            "backbone/stage_1_block_0/conv_1/norm/scale",
            "backbone/stage_3_module_0/fusion/to_2_from_0_1/conv/kernel",
            "backbone/stage_4_module_0/branch_3_block_0/conv_0/norm/bias",
            "head/final/kernel",
        ),
    ),
    "rtmpose-s": (
        lambda: rtmpose("s", input_hw=HW, dtype="float64"),
        (
            "backbone/stem_0/conv/kernel",
            "backbone/stage_1_csp/block_0/depthwise/conv/kernel",
            "backbone/stage_2_csp/attention/fc/kernel",
            "backbone/stage_4_csp/final/norm/scale",
            "head/norm/scale",
            "head/attention/gate_value_key/kernel",
            "head/attention/gain",
            "head/x/kernel",
        ),
    ),
}


def unrolled_once(model):
    return model.clone(backbone=model.backbone.clone(unroll=1))


def attention(q, k, v, *, scale, implementation):
    logits = scale * jnp.einsum("bqhd,bkhd->bhqk", q, k)
    return jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(logits, axis=-1), v)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in COMPILES_LONG else [])
        for name in MODELS
    ],
)
def test_gradients_equal_central_differences(name, monkeypatch, record_property):
    monkeypatch.setattr(jax.nn, "dot_product_attention", attention)
    make, paths = MODELS[name]
    with enable_x64(True):
        errors = relative_errors(make(), paths, np.random.default_rng(0))
    for path, error in errors.items():
        record_property(path, float(error))
        print(f"{name} {path}: {error:.1e}")
    assert max(errors.values()) <= TOLERANCE, errors


def relative_errors(model, paths, rng):
    """Of the steepest entry of each parameter, and along a line through all of them."""
    variables = jax.tree.map(lambda a: np.asarray(a, np.float64), drawn.variables(model, HW))
    stats, params = variables["batch_stats"], variables["params"]
    # Off the starts that are all one or all zero.
    params = jax.tree.map(lambda a: a + 0.1 * rng.normal(size=a.shape) * (a.ndim == 1), params)
    images = rng.normal(size=(2, *HW, 3))
    outputs = jax.eval_shape(lambda p: apply(model, p, stats, images), params)
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(outputs))
    wanted = jax.tree.map(lambda a: rng.normal(size=a.shape), outputs)

    def objective(params):
        given = apply(model, params, stats, images)
        squares = jax.tree.map(lambda a, b: jnp.mean((a - b) ** 2), given, wanted)
        return sum(jax.tree.leaves(squares))

    options = {"xla_backend_optimization_level": 0}
    # Two programs: the differences want many values, and a value alone costs a tenth.
    value = jax.jit(objective, compiler_options=options)
    gradient = jax.device_get(jax.jit(jax.grad(objective), compiler_options=options)(params))

    def error(direction):
        slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.sum(g * d), gradient, direction)))

        def at(step):
            return float(value(jax.tree.map(lambda p, d: p + step * d, params, direction)))

        least = np.inf
        for h in STEPS:
            least = min(least, abs((at(h) - at(-h)) / (2 * h) - slope) / abs(slope))
            if least <= TOLERANCE:
                break
        return least

    errors = {}
    for wanted_path in paths:

        def steepest(path, g, wanted_path=wanted_path):
            here = path_name(path) == wanted_path
            return np.where(np.arange(g.size) == np.abs(g).argmax(), here, 0.0).reshape(g.shape)

        direction = jax.tree_util.tree_map_with_path(steepest, gradient)
        assert sum(leaf.sum() for leaf in jax.tree.leaves(direction)) == 1, wanted_path
        errors[wanted_path] = error(direction)
    # Random steps, all uphill, so that they do not cancel.
    uphill = jax.tree.map(lambda g: np.sign(g) * rng.uniform(size=g.shape), gradient)
    length = np.sqrt(sum(np.sum(leaf**2) for leaf in jax.tree.leaves(uphill)))
    errors["all parameters"] = error(jax.tree.map(lambda leaf: leaf / length, uphill))
    return errors


def apply(model, params, stats, images):
    """Outputs of training, with the statistics of the batch."""
    return model.apply(
        {"params": params, "batch_stats": stats}, images, train=True, mutable=["batch_stats"]
    )[0]
