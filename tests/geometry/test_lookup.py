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
    lookup._reordered.clear_cache()
    lookup.values_at.clear_cache()
    yield request.param
    lookup._reordered.clear_cache()
    lookup.values_at.clear_cache()


def test_reordered(form):
    values = np.random.default_rng(0).normal(size=(2, 17, 3)).astype(np.float32)
    values[0, 4] = np.nan
    for axis, order in ((1, COCO17.flip_permutation), (-2, [11, 12]), (2, [2, 0, 1])):
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
