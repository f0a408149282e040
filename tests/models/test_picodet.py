"""PicoDet at a few channels: levels, gradients, decoding of bins, and bad input."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models.csp import Style
from jaxpose.models.detection import DetectionModel
from jaxpose.models.lcnet import LCNet
from jaxpose.models.picodet import LightPathAggregation, PicoDetHead

STYLE = Style(activation="hard_swish", norm="none")
TINY = DetectionModel(
    LCNet(0.25, STYLE), PicoDetHead(2, 8, STYLE, convs=1), LightPathAggregation(8, STYLE)
)


def test_levels_have_strides_8_to_64():
    images = jnp.zeros((2, 64, 96, 3))
    levels = jax.eval_shape(lambda: TINY.init_with_output(jax.random.key(0), images)[0])
    places = [(8, 12), (4, 6), (2, 3), (1, 2)]
    assert [level.boxes.shape for level in levels] == [(2, *hw, 4) for hw in places]
    assert [level.classes.shape for level in levels] == [(2, *hw, 2) for hw in places]
    assert [level.objectness.shape for level in levels] == [(2, *hw, 1) for hw in places]


@pytest.mark.slow
def test_gradients_reach_every_parameter():
    variables = drawn.variables(TINY, (64, 96))
    images = jax.random.normal(jax.random.key(0), (2, 64, 96, 3))

    @jax.jit
    def run(params):
        def loss(params):
            levels = TINY.apply({"params": params}, images, train=True)
            return sum(jnp.square(leaf - 3).mean() for leaf in jax.tree.leaves(levels)), levels

        return jax.grad(loss, has_aux=True)(params)

    gradients, levels = run(variables["params"])
    for level in levels:
        assert (level.boxes >= 0).all() and (level.boxes <= 7).all()
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0, path


def test_a_distance_is_the_mean_of_its_bins():
    head = PicoDetHead(1, 8, STYLE, convs=1)
    maps = (jnp.zeros((1, 1, 1, 8)),)
    variables = drawn.init(head, maps)
    bias = np.full((4, 8), -50.0)
    bias[0, 3] = bias[1, 0] = bias[2, 7] = 0  # one bin each
    bias[3, 2] = bias[3, 3] = 0  # two alike
    params = variables["params"] | {
        "box_0": variables["params"]["box_0"] | {"bias": jnp.asarray(bias.ravel())}
    }
    (level,) = head.apply({"params": params}, maps)
    np.testing.assert_allclose(level.boxes[0, 0, 0], [3, 0, 7, 2.5], atol=1e-5)


def test_a_size_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"multiples of 32, but got \[1, 64, 40, 3\]"):
        jax.eval_shape(TINY.init, jax.random.key(0), jnp.zeros((1, 64, 40, 3)))
