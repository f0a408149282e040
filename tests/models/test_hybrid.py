"""TransPose: sizes, positions, and that it learns."""

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxpose.models import DeconvHead, PoseModel, ResNet, abstract_variables, count_parameters
from jaxpose.models.hybrid import TransPose, sine_positions
from jaxpose.models.published.hybrid import TRANSPOSE, transpose_r
from jaxpose.train.parameter_groups import parameter_groups


def test_parameters_are_the_published_ones_less_the_table_of_positions():
    for entry in TRANSPOSE.published:
        count = count_parameters(abstract_variables(entry.model(), entry.input_hw))
        published = (count + 32 * 24 * 256) / 1e6  # the reference keeps its sines as a parameter
        assert abs(published - entry.parameters) < 0.05


def test_heatmaps_are_a_quarter_of_any_image():
    model = transpose_r("A3", 5)
    variables = abstract_variables(model, (64, 96))
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    assert jax.eval_shape(model.apply, variables, images).shape == (2, 16, 24, 5)


def test_positions_are_sines_of_the_row_then_of_the_column():
    table = sine_positions(4, 3, 8).reshape(4, 3, 8)
    np.testing.assert_allclose(table[1, 2, 0], np.sin(np.pi), atol=1e-6)  # row 2 of 4
    np.testing.assert_allclose(table[1, 2, 1], np.cos(np.pi), atol=1e-6)
    np.testing.assert_allclose(table[0, 2, 4:6], [0.0, 1.0], atol=1e-6)  # column 3 of 3
    np.testing.assert_allclose(table[0, 0, 6], np.sin(2 * np.pi / 3 / 100), atol=1e-6)


@pytest.mark.slow
def test_a_small_one_learns_and_its_layers_follow_its_stages():
    trunk = ResNet((1,), bottleneck=False, width=8)
    model = PoseModel(TransPose(trunk, 16, 2, 2, 32), DeconvHead(3, (8,)))
    variables = drawn.variables(model, (32, 32))
    images = jax.random.normal(jax.random.key(1), (4, 32, 32, 3))
    coarse = jax.random.normal(jax.random.key(2), (4, 4, 4, 3))
    target = jax.image.resize(coarse, (4, 16, 16, 3), "bilinear")
    optimiser = optax.adam(1e-2)

    @jax.jit
    def step(params, stats, state):
        def loss(params):
            inputs = {"params": params, "batch_stats": stats}
            outputs, updated = model.apply(inputs, images, train=True, mutable=["batch_stats"])
            return jnp.square(outputs - target).mean(), updated["batch_stats"]

        (value, stats), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), stats, state, value

    params, stats = variables["params"], variables["batch_stats"]
    state, losses = optimiser.init(params), []
    for _ in range(30):
        params, stats, state, value = step(params, stats, state)
        losses.append(float(value))
    assert losses[-1] < losses[0] / 2

    scales = parameter_groups(model).layer_scales(params, 0.5)["backbone"]
    assert scales["trunk"]["stem_0"]["conv"]["kernel"] == 0.5**4
    assert scales["trunk"]["stage_0_block_0"]["conv_0"]["conv"]["kernel"] == 0.5**3
    np.testing.assert_allclose(scales["blocks"]["fc1"]["kernel"].ravel(), [0.25, 0.5])
