"""Windows by index: edges, cover, the order of samples, mirroring."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.data.index import sample_indices
from jaxpose.data.windows import (
    covering,
    every_frame,
    frame_indices,
    index_stream,
    random_mirror,
    take_frames,
)
from jaxpose.errors import InputError
from jaxpose.skeletons import H36M17

LENGTHS = np.array([4, 1, 6])


def test_windows_repeat_the_ends_of_their_own_clip():
    windows = every_frame(LENGTHS)
    assert len(windows.at) == 11

    @jax.jit
    def cut(indices):
        return frame_indices(windows, indices, 2, 2)

    frames, inside = cut(jnp.array([0, 3, 4, 5, 10]))
    assert frames.tolist() == [
        [0, 0, 0, 1, 2],
        [1, 2, 3, 3, 3],
        [4, 4, 4, 4, 4],
        [5, 5, 5, 6, 7],
        [8, 9, 10, 10, 10],
    ]
    assert inside[0].tolist() == [False, False, True, True, True]
    assert inside[2].tolist() == [False, False, True, False, False]


def test_frames_are_taken_from_the_whole_array():
    values = jnp.arange(11 * 2).reshape(11, 2)
    frames, _ = frame_indices(every_frame(LENGTHS), jnp.array([5]), 1, 0)
    np.testing.assert_array_equal(take_frames(values, frames), values[jnp.array([[5, 5]])])


def test_every_second_frame_starts_anew_in_each_clip():
    assert every_frame(LENGTHS, 2).at.tolist() == [0, 2, 4, 5, 7, 9]


@pytest.mark.parametrize(("frames", "stride"), [(3, None), (4, 2), (2, 1), (6, 6)])
def test_covering_windows_hold_every_frame(frames, stride):
    windows = covering(LENGTHS, frames, stride)
    count = jnp.arange(len(windows.at))
    held, inside = frame_indices(windows, count, 0, frames - 1)
    assert sorted(set(np.asarray(held)[np.asarray(inside)].tolist())) == list(range(11))
    assert len(set(windows.at.tolist())) == len(windows.at)
    # Only clips shorter than the window are filled up.
    filled = ~np.asarray(inside).all(axis=1)
    lengths = np.asarray(windows.last) - np.asarray(windows.first) + 1
    np.testing.assert_array_equal(filled, lengths < frames)


def test_a_window_longer_than_its_clip_is_named():
    with pytest.raises(InputError, match=r"2 of 3 clips are shorter than a window of 5.*clip 0"):
        covering(LENGTHS, 5, repeat=False)
    with pytest.raises(InputError, match="at least one clip"):
        every_frame(np.array([], np.int64))


def test_the_stream_is_that_of_single_steps():
    stream = index_stream(7, 3, 4, 5, 11)
    assert stream.shape == (4, 5) and stream.dtype == np.int32
    for i in range(4):
        np.testing.assert_array_equal(stream[i], sample_indices(7, 3 + i, 5, 11))
    epoch = index_stream(7, 0, 11, 3, 11)[: 11 // 3 + 1].reshape(-1)[:11]
    assert sorted(epoch) == list(range(11))


def test_an_epoch_runs_on_the_device():
    """Windows are gathered inside a scan over all steps of the epoch: one compiled call."""
    windows = every_frame(LENGTHS)
    values = jnp.arange(11.0)
    stream = index_stream(0, 0, 11, 1, 11)

    @jax.jit
    def epoch(stream):
        def step(total, indices):
            frames, _ = frame_indices(windows, indices, 0, 0)
            return total + take_frames(values, frames).sum(), None

        return jax.lax.scan(step, 0.0, stream)[0]

    assert float(epoch(stream)) == sum(range(11))


def test_a_window_is_mirrored_whole_in_2d_and_3d():
    rng = np.random.default_rng(0)
    permutation = H36M17.flip_permutation
    keypoints = jnp.asarray(rng.normal(size=(64, 5, 17, 2)), jnp.float32)
    joints = jnp.asarray(rng.normal(size=(64, 1, 17, 3)), jnp.float32)
    weights = jnp.asarray(rng.uniform(size=(64, 1, 17)), jnp.float32)

    @jax.jit
    def mirrored(key):
        return random_mirror(key, permutation, keypoints, joints, weights)

    new_keypoints, new_joints, new_weights = mirrored(jax.random.key(0))
    same = np.asarray((new_keypoints == keypoints).all(axis=(1, 2, 3)))
    assert 16 < same.sum() < 48
    np.testing.assert_array_equal(new_joints[same], joints[same])
    other = ~same
    sign = np.array([-1, 1, 1], np.float32)
    for new, old in ((new_joints, joints), (new_keypoints, keypoints)):
        swapped = np.asarray(old)[other][:, :, permutation]
        np.testing.assert_array_equal(np.asarray(new)[other], swapped * sign[: old.shape[-1]])
    np.testing.assert_array_equal(new_weights[other], weights[other][:, :, permutation])
