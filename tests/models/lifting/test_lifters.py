"""Lifters: shapes, dense and strided forms, causality, streams, errors."""

from functools import partial

import drawn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.errors import InputError
from jaxpose.models import (
    abstract_variables,
    count_parameters,
    init_variables,
    martinez,
    motionbert,
    poseformer,
    videopose3d,
    videopose3d_with_trajectory,
)
from jaxpose.models.published.catalogue import LIFTERS

NO_IMAGE = (0, 0)
tiny = partial(videopose3d, num_keypoints=5, num_outputs=4, channels=8)


def apply(model, variables, keypoints, **options):
    return jax.jit(partial(model.apply, **options))(variables, keypoints)


def sequences(frames: int, keypoints: int = 5, features: int = 2) -> jax.Array:
    return jax.random.normal(jax.random.key(3), (2, frames, keypoints, features))


@pytest.mark.parametrize("lifter", LIFTERS, ids=lambda lifter: lifter.name)
def test_published_shapes(lifter):
    model = lifter.model()
    variables = abstract_variables(model, NO_IMAGE)
    shape = model.input_shape()
    assert shape[1] == lifter.frames
    output = jax.eval_shape(model.apply, variables, jax.ShapeDtypeStruct(shape, jnp.float32))
    frames = lifter.frames if lifter.name.startswith("motionbert") else 1
    assert output.shape == (1, frames, 16 if lifter.name == "martinez" else 17, 3)
    assert output.dtype == jnp.float32


def test_parameters_are_as_published():
    counts = {
        # VideoPose3D, arXiv:1811.11742, in its account of computational complexity.
        16.95e6: videopose3d(243),
        8.56e6: videopose3d(27),
        12.75e6: videopose3d(81),
        # MotionBERT, arXiv:2210.06551.
        42.5e6: motionbert(),
    }
    for published, model in counts.items():
        actual = count_parameters(abstract_variables(model, NO_IMAGE))
        assert actual == pytest.approx(published, rel=2e-3)


@pytest.mark.parametrize("causal", [False, True])
def test_the_strided_form_gives_what_the_dense_one_gives(causal):
    dense, strided = tiny(27, causal=causal), tiny(27, causal=causal, strided=True)
    variables = drawn.variables(dense)
    windows = sequences(27)
    expected = apply(dense, variables, windows)
    assert expected.shape == (2, 1, 4, 3)
    # Two orders of the same float32 sums.
    np.testing.assert_allclose(apply(strided, variables, windows), expected, atol=1e-5)


def test_a_long_sequence_gives_what_its_windows_give():
    model = tiny(27)
    variables = drawn.variables(model)
    sequence = sequences(30)
    windows = jnp.concatenate([sequence[:, i : i + 27] for i in range(4)])
    once = apply(model, variables, sequence)
    apart = apply(model, variables, windows).reshape(4, 2, 4, 3).swapaxes(0, 1)
    np.testing.assert_allclose(once, apart, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_an_output_hangs_most_on_its_own_frame(causal):
    """The residual path carries the frame that `margins` names, untouched by the convolutions."""
    model = tiny(9 * 3, causal=causal).backbone
    variables = jax.jit(model.init)(jax.random.key(0), sequences(27))
    muted = jax.tree_util.tree_map_with_path(
        lambda path, x: jnp.zeros_like(x) if "block" in str(path) else x, variables["params"]
    )
    # A filter over the expanding layer's three frames that passes only the frame that it is for.
    kernel = variables["params"]["expand"]["conv"]["kernel"]
    own = 2 if causal else 1
    muted["expand"]["conv"]["kernel"] = jnp.zeros_like(kernel).at[own].set(kernel[own])
    variables = {**variables, "params": muted}
    gradient = jax.jit(jax.grad(lambda x: model.apply(variables, x).sum()))(sequences(27))
    (frames,) = np.nonzero(np.abs(gradient).sum(axis=(0, 2, 3)))
    assert frames.tolist() == [model.margins[0]]
    assert sum(model.margins) + 1 == model.frames == 27


def test_training_updates_statistics_and_drops():
    model = tiny(1, dropout=0.5)
    variables = drawn.variables(model)
    outputs, changed = apply(
        model,
        variables,
        sequences(1),
        train=True,
        rngs={"dropout": jax.random.key(1)},
        mutable=["batch_stats"],
    )
    before, after = jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(changed)
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    assert (outputs != apply(model, variables, sequences(1))).any()


def test_the_mlp_lifts_every_frame_for_itself():
    model = martinez(5, 4, channels=8)
    variables = drawn.variables(model)
    frames = sequences(3)
    together = apply(model, variables, frames)
    apart = apply(model, variables, frames[:, 1:2])
    np.testing.assert_allclose(together[:, 1:2], apart, atol=1e-6)


def test_the_trajectory_has_one_joint_and_parameters_of_its_own():
    model = videopose3d_with_trajectory(27, 5, 4, channels=8)
    variables = drawn.variables(model)
    assert set(variables["params"]) == {"pose", "trajectory"}
    pose, root = apply(model, variables, sequences(27))
    assert pose.shape == (2, 1, 4, 3)
    assert root.shape == (2, 1, 1, 3)


@pytest.mark.slow
def test_poseformer_sees_all_frames_and_lifts_one():
    model = poseformer(9, 5, 4, dim=8, depth=2)
    variables = drawn.variables(model)
    keypoints = sequences(9)
    assert apply(model, variables, keypoints).shape == (2, 1, 4, 3)
    gradient = jax.jit(jax.grad(lambda x: model.apply(variables, x).sum()))(keypoints)
    assert (jnp.abs(gradient).sum(axis=(0, 2, 3)) > 0).all()
    trained = apply(model, variables, keypoints, train=True, rngs={"dropout": jax.random.key(1)})
    assert jnp.isfinite(trained).all()


@pytest.mark.slow
def test_dstformer_takes_shorter_sequences_and_starts_with_equal_streams():
    model = motionbert(9, 5, dim=16, depth=2)
    variables = init_variables(model, jax.random.key(0), NO_IMAGE)
    assert apply(model, variables, sequences(4, features=3)).shape == (2, 4, 5, 3)
    mixture = variables["params"]["backbone"]["layers"]["mixture"]
    assert not mixture["kernel"].any()
    np.testing.assert_array_equal(mixture["bias"], 0.5)


@pytest.mark.parametrize(
    ("model", "shape", "message"),
    [
        (tiny(27), (1, 26, 5, 2), "at least 27 frames, but got 26"),
        (tiny(27, strided=True), (1, 28, 5, 2), "exactly 27"),
        (tiny(27), (1, 27, 6, 2), r"\[B, T, 5, 2\]"),
        (poseformer(9, 5, 4, dim=8), (1, 8, 5, 2), "9 frames, but got 8"),
        (motionbert(9, 5, dim=8), (1, 10, 5, 3), "up to 9 frames"),
        (motionbert(9, 5, dim=8), (1, 9, 5, 2), r"\[B, T, 5, 3\]"),
    ],
)
def test_a_wrong_input_is_named(model, shape, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))


def test_an_unknown_receptive_field_is_named():
    with pytest.raises(InputError, match="1, 27, 81, 243 frames, not 9"):
        videopose3d(9)
