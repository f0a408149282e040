"""Values at places: the TPU's slices and masked sums give the bits of the gathers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.geometry import lookup
from jaxpose.skeletons import COCO17


@pytest.fixture(params=["gather", "tpu"])
def form(request, monkeypatch):
    """Runs the TPU's form on this platform, and the other one."""
    if request.param == "tpu":
        monkeypatch.setattr(jax.lax, "platform_dependent", lambda *args, tpu, default: tpu(*args))
    functions = lookup._reordered, lookup.values_at, lookup.rows_at, lookup.marked
    for function in functions:
        function.clear_cache()
    yield request.param
    for function in functions:
        function.clear_cache()


def test_reordered(form):
    values = np.random.default_rng(0).normal(size=(2, 17, 3)).astype(np.float32)
    values[0, 4] = np.nan
    for axis, order in (
        (1, COCO17.flip_permutation),
        (-2, [11, 12]),
        (2, [2, 0, 1]),
        (1, [3, 7, 11]),
    ):
        ours = lookup.reordered(jnp.asarray(values), order, axis)
        np.testing.assert_array_equal(ours, np.take(values, order, axis=axis))
        np.testing.assert_array_equal(lookup.reordered(values, order, axis), ours)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8, bool])
def test_values_at(form, dtype):
    rng = np.random.default_rng(1)
    values = (rng.normal(size=(2, 9, 5)) * 50).astype(dtype)
    for axis, shape in ((1, (2, 3, 5)), (1, (2, 3, 1)), (2, (2, 9, 4))):
        index = rng.integers(0, values.shape[axis], shape)
        ours = lookup.values_at(jnp.asarray(values), jnp.asarray(index), axis)
        assert ours.dtype == values.dtype
        np.testing.assert_array_equal(ours, np.take_along_axis(values, index, axis))


def test_values_elsewhere_do_not_matter(form):
    values = jnp.asarray(np.float32([[np.nan, 3.0, np.inf]]))
    assert float(lookup.values_at(values, jnp.asarray([[1]]), 1)[0, 0]) == 3.0


def test_rows_at(form):
    rng = np.random.default_rng(2)
    values = (rng.normal(size=(2, 9, 3, 2)) * 1e3).astype(np.float32)
    index = np.array([[8, 0, 8, 3], [1, 2, 2, 2]])
    ours = lookup.rows_at(jnp.asarray(values), jnp.asarray(index))
    np.testing.assert_array_equal(ours, values[np.arange(2)[:, None], index])


def test_marked(form):
    row = np.array([[[0, 3, 3, -1], [-1, -1, 2, 2]]])
    column = np.array([[[4, 0, 0, 2], [1, -1, 1, -1]]])
    true = np.zeros((1, 2, 4, 5), bool)
    true[0, 0, 0, 4] = true[0, 0, 3, 0] = true[0, 1, 2, 1] = True
    np.testing.assert_array_equal(lookup.marked(row, column, (4, 5)), true)
