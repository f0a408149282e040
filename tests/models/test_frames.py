"""Models of several frames: shapes, gradients, and the deformable convolution by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_frames import TinyBackbone

from jaxpose.errors import InputError
from jaxpose.models.dcpose import DCPoseHead
from jaxpose.models.deformable_conv import DeformableConv
from jaxpose.models.frames import FrameImages, FrameModel
from jaxpose.models.posewarper import PoseWarperHead

HEADS = {
    "dcpose": DCPoseHead(3, dilations=(2,), width=8),
    "posewarper": PoseWarperHead(
        2, frame_weights=(0.5, 0.3, 0.2), times=(0.0, -1.0, 1.0), width=4, blocks=1, dilations=(1,)
    ),
}


def test_a_deformable_convolution_by_hand():
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(1, 5, 6, 4)), jnp.float32)
    conv = DeformableConv(3, groups=2, dilation=2)
    still = jnp.zeros((1, 5, 6, 2, 9, 2))
    variables = conv.init(jax.random.key(0), x, still)
    apply = jax.jit(conv.apply)
    kernel = variables["params"]["kernel"].reshape(3, 3, 4, 3)
    plain = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), [(2, 2)] * 2, rhs_dilation=(2, 2),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    np.testing.assert_allclose(apply(variables, x, still), plain, atol=1e-6)
    # All taps of the second group half a pixel down: the mean of two rows, zeros below the map.
    moved = still.at[..., 1, :, 0].set(0.5)
    below = jnp.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)))[:, 1:]
    mean = jnp.concatenate([x[..., :2], (x + below)[..., 2:] / 2], axis=-1)
    away = apply(variables, mean, still) - apply(variables, x, moved)
    # Taps above the map reach half into its first row; further down nothing differs.
    assert float(jnp.abs(away[:, 2:]).max()) < 1e-6 < float(jnp.abs(away[:, :2]).max())
    weighted = apply(variables, x, still, jnp.full((1, 5, 6, 2, 9), 0.25))
    np.testing.assert_allclose(weighted, plain / 4, atol=1e-6)


def drawn(params):
    """Larger kernels than those of a fresh model, and biases that keep ReLUs open."""
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(2), len(leaves))
    return tree.unflatten(
        0.1 * jax.random.normal(key, leaf.shape) if leaf.ndim > 1 else leaf + 0.5
        for key, leaf in zip(keys, leaves, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_frames_reach_the_heatmaps(name):
    model = FrameModel(TinyBackbone(), HEADS[name])
    crops = jax.random.normal(jax.random.key(0), (2, 3, 16, 16, 3))
    frames = FrameImages(crops, jnp.asarray([[0, -1, 1], [0, -1, 3]]))
    variables = jax.jit(model.init)(jax.random.key(1), frames)

    def total(params, frames):
        maps = model.apply({**variables, "params": params}, frames)
        assert maps.shape == (2, 4, 4, model.head.num_keypoints) and maps.dtype == jnp.float32
        return jnp.square(maps).sum()

    of_params, of_frames = jax.jit(jax.grad(total, argnums=(0, 1), allow_int=True))(
        drawn(variables["params"]), frames
    )
    reached = {
        path[1].key.partition("_")[0]
        for path, leaf in jax.tree_util.tree_leaves_with_path(of_params)
        if path[0].key == "head" and float(jnp.abs(leaf).max()) > 0
    }
    assert reached == {path.partition("_")[0] for path in variables["params"]["head"]}
    assert (jnp.abs(of_frames.images).max(axis=(2, 3, 4)) > 0).all()
    # One image stands for all frames.
    same = FrameImages(jnp.repeat(crops[:, :1], 3, axis=1), jnp.asarray([[0, -1, 1]] * 2))
    apply = jax.jit(model.apply)
    np.testing.assert_allclose(apply(variables, crops[:, 0]), apply(variables, same), atol=1e-6)


def test_another_number_of_frames_is_refused():
    model = FrameModel(TinyBackbone(), HEADS["dcpose"])
    frames = FrameImages(jnp.zeros((1, 2, 16, 16, 3)), jnp.zeros((1, 2)))
    with pytest.raises(InputError, match="joins 3 frames, and there are 2"):
        model.init(jax.random.key(0), frames)
