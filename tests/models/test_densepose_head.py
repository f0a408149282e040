"""Head of DensePose: sizes as published, gradients, and the same numbers as a plain computation."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.models.build import count_parameters
from jaxpose.models.densepose import DensePoseHead

TINY = DensePoseHead(convs=2, width=6)
FEATURES = jax.random.normal(jax.random.key(0), (2, 4, 3, 5))


def test_sizes_are_those_of_the_published_head():
    head = DensePoseHead()
    shapes = jax.eval_shape(head.init, jax.random.key(0), jnp.zeros((1, 14, 14, 256)))
    # Eight 3x3 convolutions and four 4x4 deconvolutions, all with biases (Detectron2's
    # DensePoseV1ConvXHead and DensePoseChartPredictor).
    convolutions = 9 * 256 * 512 + 512 + 7 * (9 * 512 * 512 + 512)
    maps = sum(16 * 512 * n + n for n in (2, 25, 25, 25))
    assert count_parameters(shapes) == convolutions + maps


def test_gradients_reach_every_parameter():
    params = jax.jit(TINY.init)(jax.random.key(1), FEATURES)

    def loss(params):
        outputs = TINY.apply(params, FEATURES)
        assert [x.shape for x in outputs] == [(2, 16, 12, n) for n in (2, 25, 25, 25)]
        return sum(jnp.square(x + 1).mean() for x in outputs)

    for path, leaf in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(params)):
        assert jnp.abs(leaf).max() > 0, path


def test_outputs_are_enlarged_sums_of_the_kernel():
    params = jax.jit(TINY.init)(jax.random.key(1), FEATURES)
    params["params"]["maps_bias"] = jnp.arange(77.0)
    kernel = 0.1 * jax.random.normal(jax.random.key(2), (4, 4, 6, 77))
    params["params"]["maps"]["kernel"] = kernel
    x = FEATURES
    for i in range(2):
        weights = params["params"][f"conv_{i}"]
        x = jax.lax.conv_general_dilated(
            x, weights["kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = np.maximum(np.asarray(x) + np.asarray(weights["bias"]), 0)
    # A transposed convolution by its definition: each pixel adds its kernel to the output.
    made = np.zeros((2, 2 * 4 + 2, 2 * 3 + 2, 77))
    for row in range(4):
        for column in range(3):
            added = np.einsum("bc,rscf->brsf", x[:, row, column], kernel)
            made[:, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4] += added
    made = made[:, 1:-1, 1:-1] + np.arange(77.0)
    # Bilinear by two: quarter and three quarters of the neighbours, edges repeated.
    for axis in (1, 2):
        padded = np.concatenate([made.take([0], axis), made, made.take([-1], axis)], axis)
        here, before, after = (
            padded.take(np.arange(made.shape[axis]) + i, axis) for i in (1, 0, 2)
        )
        pair = np.stack([0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after], axis=axis + 1)
        shape = list(made.shape)
        shape[axis] *= 2
        made = pair.reshape(shape)
    found = jnp.concatenate(TINY.apply(params, FEATURES), axis=-1)
    np.testing.assert_allclose(found, made, atol=2e-4)
