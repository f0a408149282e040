"""Attention over frames: equal to one frame at first, then sees all of them with their times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models.heads import DeconvHead
from jaxpose.models.temporal_head import TemporalHead

HEAD = DeconvHead(2, ())
TEMPORAL = TemporalHead(HEAD, width=8, heads=2, stride=2)
FEATURES = jax.random.normal(jax.random.key(0), (1, 3, 4, 6, 5))
TIMES = jnp.asarray([[0.0, -1.0, 1.0]])


@pytest.fixture(scope="module")
def variables():
    return jax.jit(TEMPORAL.init)(jax.random.key(1), FEATURES, TIMES)


def test_a_fresh_head_sees_the_current_frame_alone(variables):
    maps = jax.jit(TEMPORAL.apply)(variables, FEATURES, TIMES)
    own = {"params": variables["params"]["head"]}
    np.testing.assert_allclose(maps, jax.jit(HEAD.apply)(own, FEATURES[:, 0]), atol=1e-7)
    assert TEMPORAL.num_keypoints == 2


def test_all_frames_and_their_times_count(variables):
    params = {**variables["params"], "out": {"kernel": jnp.ones((8, 5)), "bias": jnp.zeros(5)}}

    @jax.jit
    def maps(features, times, params=params):
        return TEMPORAL.apply({"params": params}, features, times)

    def away(features, times):
        return float(jnp.abs(maps(features, times) - maps(FEATURES, TIMES)).max())

    # The others in another order, with their times, are the same set.
    swapped = FEATURES[:, [0, 2, 1]], TIMES[:, [0, 2, 1]]
    assert away(*swapped) < 1e-6 < away(swapped[0], TIMES)
    for frame in (1, 2):
        assert away(FEATURES.at[:, frame].set(FEATURES[:, frame, ::-1]), TIMES) > 1e-6
    assert away(FEATURES, TIMES.at[:, 1].set(-3.0)) > 1e-6
    of_params = jax.grad(lambda p: jnp.square(maps(FEATURES, TIMES, p)).sum())(params)
    for path, leaf in jax.tree_util.tree_leaves_with_path(of_params):
        # A bias of the keys adds the same to every logit.
        if [part.key for part in path] != ["key", "bias"]:
            assert float(jnp.abs(leaf).max()) > 0, path


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="multiples of stride 2, not 3x6"):
        TEMPORAL.init(jax.random.key(1), FEATURES[:, :, :3], TIMES)
    with pytest.raises(InputError, match="of the 3 heads, not 8"):
        TEMPORAL.clone(heads=3).init(jax.random.key(1), FEATURES, TIMES)
