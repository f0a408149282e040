"""People who are odd or absent, with every kind of model: targets and losses stay finite.

Four images: without people, with one keypoint, with a crowd only, and with people of whom the
unlabelled keypoints are NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_crowd import EXPERIMENTS, SIZE

from jaxpose.codecs import Sample

COUNT, ROWS, KEYPOINTS = 4, 3, 17


def odd_people(heatmap_hw):
    rng = np.random.default_rng(0)
    keypoints = rng.uniform(8, 56, (COUNT, ROWS, KEYPOINTS, 2)).astype(np.float32)
    visible = np.zeros((COUNT, ROWS, KEYPOINTS), np.uint8)
    valid, crowd = np.zeros((2, COUNT, ROWS), bool)
    visible[1, 0, 5] = 2
    visible[2, 0] = 2
    visible[3, :2, ::2] = 2
    valid[1, 0] = valid[2, 0] = valid[3, :2] = crowd[2, 0] = True
    keypoints[visible == 0] = np.nan
    low = np.array([8.0, 8.0, 48.0, 48.0], np.float32)
    counted = np.ones((COUNT, *heatmap_hw), bool)
    counted[2] = False  # the crowd fills its image
    return Sample(
        jnp.asarray(visible),
        jnp.asarray(keypoints),
        box_xywh=jnp.broadcast_to(low, (COUNT, ROWS, 4)),
        area=jnp.full((COUNT, ROWS), 48.0 * 48.0),
        valid=jnp.asarray(valid),
        crowd=jnp.asarray(crowd),
        counted=jnp.asarray(counted),
    )


# Those that compile long are slow.
LONG = ("cid", "dekr", "rtmo")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in LONG else name for name in EXPERIMENTS],
)
def test_targets_and_gradients_are_finite(name):
    recipe = EXPERIMENTS[name]()
    codec, model = recipe.codec, recipe.model
    height, width = codec.input_hw
    assert max(height, width) <= SIZE[0] + 1
    sample = odd_people(codec.heatmap_hw)
    images = jnp.zeros((COUNT, height, width, 3))
    guided = getattr(codec, "guided", lambda images, targets: images)

    def outputs(variables, targets):
        given = guided(images, targets)
        return model.apply(variables, given, train=True, mutable=["batch_stats"])[0]

    targets = jax.eval_shape(codec.encode, sample)
    variables = jax.eval_shape(lambda key: model.init(key, images), jax.random.key(0))
    shapes = jax.eval_shape(outputs, variables, targets)
    leaves, form = jax.tree.flatten(shapes)
    rng = np.random.default_rng(1)
    drawn = [
        jnp.asarray(rng.uniform(0.1, 0.9, leaf.shape), leaf.dtype)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
        else jnp.full(leaf.shape, 3, leaf.dtype)
        for leaf in leaves
    ]
    real = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating)]

    @jax.jit
    def cost(changed, sample):
        made = list(drawn)
        for i, leaf in zip(real, changed, strict=True):
            made[i] = leaf
        targets = codec.encode(sample)
        return recipe.loss(jax.tree.unflatten(form, made), *targets), targets

    arguments = [drawn[i] for i in real]
    (value, targets), gradients = jax.value_and_grad(cost, has_aux=True)(arguments, sample)
    assert np.isfinite(value) and value != 0
    for leaf in jax.tree.leaves((targets, gradients)):
        assert np.isfinite(np.asarray(leaf, np.float32)).all()
    # Padding rows and a crowd, wherever they are, add nothing.
    moved = sample._replace(
        keypoints=jnp.where((sample.valid & ~sample.crowd)[..., None, None], sample.keypoints, 20.0)
    )
    again = jax.jit(lambda sample: cost(arguments, sample)[0])(moved)
    assert float(again) == pytest.approx(float(value), rel=1e-6)
