"""Each operation in ONNX against JAX, where a batch of any size allows it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxpose.errors import InputError
from jaxpose.export import onnx
from jaxpose.export.fold import folded
from jaxpose.export.program import Program, Value
from jaxpose.geometry.lookup import values_at

pytest.importorskip("onnxruntime")
WEIGHTS = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype(np.float32)


def windows(x):
    return lax.conv_general_dilated(
        x, WEIGHTS, (2, 1), ((1, 0), (2, 1)), rhs_dilation=(1, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip


def grouped(x):
    return lax.conv_general_dilated(
        x, WEIGHTS[:, :, :1], (1, 1), "SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=2,
    )  # fmt: skip


def picked(x):
    index = jnp.argmax(x, axis=2).astype(jnp.int32)
    return jnp.take_along_axis(x, index[:, :, None], axis=2)


def doubled(x):
    """Numbers, doubled until their sum exceeds 9: the samples of a batch need unlike numbers."""
    start = jnp.abs(x) + 0.1
    return lax.while_loop(lambda s: s[0].sum() < 9, lambda s: (2 * s[0], s[1] + 1), (start, 0))[0]


def at_places(x):
    """Integers `[B, 3]` from -1 to 7, of which some are outside an axis of 5 numbers."""
    return (jnp.abs(x[:, :, 0, 0]) * 5).astype(jnp.int32) - 1


def put(x):
    """Values, rows and sums at places of each sample; those outside are left out."""
    place = at_places(x)

    def of_sample(x, place):
        maps = x[..., 0].at[jnp.arange(3), place].set(7.0, mode="drop")
        rows = x.at[:, jnp.maximum(place[0], 0)].set(x[:, 1], mode="drop")
        total = jnp.zeros(5).at[place].add(x[:, 0, 1], mode="drop")
        marks = jnp.zeros(5, bool).at[place[0]].set(True, mode="drop")
        window = lax.dynamic_update_slice(jnp.zeros((5, 5)), x[..., 1], (place[0], 0))
        return jnp.concatenate([maps, rows.sum(-1), total[None], marks[None] + 0.0, window])

    return jax.vmap(of_sample)(x, place)


def taken(x):
    """Values and slices at places of each sample along two axes; zeros outside."""
    place = at_places(x)

    def of_sample(x, place):
        single = x.at[jnp.arange(3), place, place % 2].get(mode="fill", fill_value=0.0)
        rows = x.at[place % 3, :, jnp.maximum(place, 0) % 2].get(mode="fill", fill_value=0.0)
        row = lax.dynamic_slice(x[..., 0], (place[0], place[1]), (1, 3))
        return jnp.concatenate([single, rows.ravel(), row[0]])

    return jax.vmap(of_sample)(x, place)


FUNCTIONS = {
    "argmax": lambda x: jnp.argmax(x, axis=1),
    "argmax of marks": lambda x: jnp.argmax(x > 0, axis=2),
    "batched product": lambda x: jnp.einsum("bhwc,bkwc->bhkw", x, x[:, ::-1]),
    "broadcast to the batch": lambda x: jnp.broadcast_to(jnp.arange(5.0), (x.shape[0], 5)),
    "concatenate": lambda x: jnp.concatenate([x[:, 1:3], x], axis=1),
    "convolution": windows,
    "count of the batch": lambda x: x[:, 0, 0] * x.shape[0],
    "error functions": lambda x: jax.nn.gelu(x, approximate=False) + lax.erf(x),
    "exact halves": lambda x: jnp.round(x * 4) + jnp.floor(x) + jnp.ceil(x) + jnp.sign(x),
    "folded batch": lambda x: jnp.stack([x, -x], axis=1).reshape(-1, *x.shape[1:]) + 1,
    "grouped convolution": grouped,
    "highest few": lambda x: jnp.concatenate(lax.top_k(jnp.abs(x[:, :, :, 0]).round(), 3), axis=1),
    "highest of windows": lambda x: lax.reduce_window(
        x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), ((0, 0), (1, 1), (1, 0), (0, 0))
    ),
    "largest and smallest": lambda x: jnp.clip(x, -0.5, 0.5) + x.max(axis=2, keepdims=True),
    "logarithms": lambda x: jnp.log1p(jnp.abs(x)) + jnp.log(x**2 + 1) + jnp.exp(-x),
    "mirror": lambda x: x[:, :, ::-1],
    "pad": lambda x: jnp.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=7),
    "picked along an axis": picked,
    "picked rows": lambda x: jax.vmap(lambda v, i: values_at(v, i[None, None, None], axis=1))(
        x, jnp.argmax(x[:, 0, :, 0], axis=1).astype(jnp.int32)
    ),
    "picked several": lambda x: jnp.take_along_axis(
        x, jnp.argmax(x, axis=1)[:, :3, :1, None].astype(jnp.int32), axis=1
    ),
    "picked beside an axis of one": lambda x: picked(x[:, :1]),
    "powers": lambda x: x**3 + jnp.abs(x) ** 0.5 + lax.rsqrt(x**2 + 1) + jnp.tanh(x),
    "product with weights": lambda x: jnp.tensordot(x, WEIGHTS[0, :, :, 0], [[1, 3], [0, 1]]),
    "put at places": put,
    "remainder": lambda x: lax.rem((x * 10).astype(jnp.int32), jnp.int32(3)).astype(jnp.float32),
    "select": lambda x: jnp.where((x > 0) & jnp.isfinite(x) | (x != x), x, jnp.where(x < -1, 0, 2)),
    "soft": lambda x: jax.nn.softmax(x, axis=-1) * jax.nn.sigmoid(x),
    "sorted places": lambda x: jnp.argsort((2 * x).round(), axis=1),
    "running sums": lambda x: jnp.cumsum(x, axis=1) + lax.cumsum(x, axis=2, reverse=True),
    "selected marks": lambda x: jnp.where(x > 1, x < 2, x > -1),
    "slice at a place": lambda x: lax.dynamic_slice_in_dim(x, at_places(x)[0, 0] + 1, 3, axis=2),
    "sorted by a mark": lambda x: jnp.argsort(x > 0, axis=2, stable=True),
    "split": lambda x: jnp.split(x, [1, 2], axis=1)[1],
    "strided slice": lambda x: x[:, 1::2, :3],
    "highest of windows of maps": lambda x: lax.reduce_window(
        x[..., 0], -jnp.inf, lax.max, (1, 3, 3), (1, 1, 1), "SAME"
    ),
    "sums of windows": lambda x: lax.reduce_window(
        x, 0.0, lax.add, (1, 3, 2, 1), (1, 2, 1, 1), ((0, 0), (1, 1), (0, 1), (0, 0))
    ),
    "taken by numbers": lambda x: jnp.take(x, np.array([2, 0, 1]), axis=1),
    "taken at places": taken,
    "transpose": lambda x: x.transpose(0, 3, 1, 2).sum(axis=(1, 3)),
    "until large": lambda x: jax.vmap(doubled)(x[:, 0, 0]),
    "waves": lambda x: jnp.sin(x) + jnp.cos(x),
}


def program(functions):
    """One graph of all the functions: an output of each."""

    def together(x):
        return {name.replace(" ", "_"): f(x).astype(jnp.float32) for name, f in functions.items()}

    example = jax.ShapeDtypeStruct((2, 3, 5, 2), jnp.float32)
    made = jax.eval_shape(together, example)
    outputs = tuple(
        Value(name, ("?", *shape.shape[1:]), "float32", "") for name, shape in made.items()
    )
    return Program(together, (Value("x", ("B", 3, 5, 2), "float32", ""),), outputs, "model")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "all.onnx"
    traced = program(FUNCTIONS)
    onnx.write(traced, path)
    x = np.random.default_rng(1).normal(size=(3, 3, 5, 2)).astype(np.float32)
    return onnx.start(path, ("x",))(x), jax.jit(traced.function)(x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operation(name, found):
    theirs, ours = (results[name.replace(" ", "_")] for results in found)
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(theirs, ours, rtol=1e-5, atol=1e-5)


def test_what_is_not_written_is_named(tmp_path):
    with pytest.raises(
        InputError,
        match=r"'cumprod', which the ONNX export does not support; export stablehlo or saved",
    ):
        onnx.write(program({"products": lambda x: jnp.cumprod(x, axis=1)}), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def primitives(function, *arguments):
    return [e.primitive.name for e in jax.make_jaxpr(folded(function))(*arguments).jaxpr.eqns]


def test_folding_leaves_what_depends_on_the_input():
    weights = jnp.arange(12.0).reshape(3, 4)

    def function(x):
        def step(carry, row):
            return carry + jnp.exp(row).sum() * x, carry

        last, stacked = lax.scan(step, x, weights)
        return last, stacked, jnp.zeros((1000, 1000))

    left = primitives(function, jnp.ones(4))
    assert "scan" not in left and "exp" not in left and "reduce_sum" not in left
    assert left.count("mul") == 3
    assert "broadcast_in_dim" in left  # a million zeros stay an operation
    for ours, theirs in zip(folded(function)(jnp.ones(4)), function(jnp.ones(4)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
