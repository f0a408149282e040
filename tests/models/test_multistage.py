"""One heatmap head per stage."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models.heads import DeconvHead
from jaxpose.models.multistage import MultiStageHead

HEAD = MultiStageHead(3, deconv_channels=(4,))


@pytest.fixture(scope="module")
def features():
    return tuple(jax.random.normal(jax.random.key(i), (2, 4, 6, 5)) for i in range(2))


def test_all_stages_in_training_and_the_last_one_otherwise(features):
    variables = drawn.init(HEAD, features)
    stages, _ = HEAD.apply(variables, features, train=True, mutable=["batch_stats"])
    assert [y.shape for y in stages] == [(2, 8, 12, 3)] * 2

    last = HEAD.apply(variables, features)
    own = {kind: variables[kind]["stage_1"] for kind in variables}
    np.testing.assert_array_equal(last, DeconvHead(3, deconv_channels=(4,)).apply(own, features[1]))


def test_a_single_feature_map_is_refused(features):
    with pytest.raises(InputError, match="DeconvHead"):
        jax.eval_shape(HEAD.init, jax.random.key(0), features[0])


def test_bfloat16_features_give_float32_heatmaps(features):
    head = MultiStageHead(3, dtype="bfloat16")
    y, _ = jax.eval_shape(lambda: head.init_with_output(jax.random.key(0), features))
    assert y.dtype == jnp.float32
