"""Volumes of heatmaps: equal to PYSKL's, and what the codec draws."""

import numpy as np
import pytest

from jaxpose.codecs.heatmap_volume import VolumeCodec, keypoint_volume, limb_volume
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17

# PYSKL's limbs of COCO.
LIMBS = (
    *((0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (5, 7), (7, 9), (0, 6), (6, 8), (8, 10)),
    *((5, 11), (11, 13), (13, 15), (6, 12), (12, 14), (14, 16), (11, 12)),
)
# The references are stored as float16.
HALF = 2.6e-4


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_parts3d.npz") as file:
        return {key: file[key] for key in file.files if key.startswith("posec3d/")}


def case(golden, name):
    """Keypoints `[T, P, K, 2]`, scores `[T, P, K]` and PYSKL's volume `[T, C, H, W]`."""
    keypoints, scores, volume = (
        golden[f"posec3d/{name}/{part}"].astype(np.float32)
        for part in ("keypoint", "keypoint_score", "volume")
    )
    return keypoints.transpose(1, 0, 2, 3), scores.transpose(1, 0, 2), volume


def drawn_like(volume, expected):
    return np.abs(np.moveaxis(np.asarray(volume), -1, 1) - expected).max() <= HALF


def test_keypoints_are_drawn_as_pyskl_does(golden):
    keypoints, scores, expected = case(golden, "keypoint")
    assert drawn_like(keypoint_volume(keypoints, scores, (56, 56)), expected)
    assert not drawn_like(keypoint_volume(keypoints + 0.01, scores, (56, 56)), expected)
    keypoints, scores, expected = case(golden, "scaled")
    assert drawn_like(keypoint_volume(0.5 * keypoints, scores, (28, 28)), expected)


def test_limbs_are_drawn_as_pyskl_does(golden):
    keypoints, scores, expected = case(golden, "limb")
    assert drawn_like(limb_volume(keypoints, scores, LIMBS, (56, 56)), expected)
    assert not drawn_like(limb_volume(keypoints, scores, LIMBS, (56, 56), 0.61), expected)


def test_both_views_of_a_flip_test_are_as_pyskls(golden):
    keypoints, scores, expected = case(golden, "double")
    ones, frames = np.ones_like(scores), len(keypoints)
    assert drawn_like(keypoint_volume(keypoints, ones, (56, 56)), expected[:frames])
    order = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    mirrored = keypoint_volume(keypoints, ones, (56, 56))[:, :, ::-1, np.array(order)]
    assert drawn_like(mirrored, expected[frames:])
    # The codec mirrors coordinates; its windows around them may differ by a cell.
    codec = VolumeCodec(volume_hw=(56, 56), use_score=False)
    framed = keypoints[None] / 55 * 2 - 1
    volume = codec.encode(*codec.mirrored(framed, ones[None], COCO17.flip_permutation))[0]
    assert np.abs(volume - mirrored).max() < 0.012


def test_a_short_limb_is_its_start():
    keypoints = np.array([[[4.0, 5.0], [4.3, 5.2]]], np.float32)[None]
    scores = np.array([[[0.9, 0.4]]], np.float32)
    limb = limb_volume(keypoints, scores, ((0, 1),), (8, 8))
    point = keypoint_volume(keypoints, scores, (8, 8))
    np.testing.assert_allclose(np.asarray(limb)[..., 0], np.asarray(point)[..., 0], atol=1e-6)


def test_the_square_holds_all_people_and_nobody_is_empty():
    codec = VolumeCodec(2, frames=3, people=2, volume_hw=(24, 24))
    keypoints = np.zeros((1, 3, 2, 2, 2), np.float32)
    keypoints[:, :, 0] = [[100, 50], [140, 90]]
    scores = np.ones((1, 3, 2, 2), np.float32)
    scores[:, :, 1] = 0
    volume = np.asarray(codec.encode(codec.framed(keypoints, scores, None), scores))
    assert volume.shape == (1, *codec.input_shape) and volume.max() > 0.7
    # Corners of the box are as far from the edge as the margin of a quarter of its half asks for.
    assert np.unravel_index(volume[0, 0, :, :, 0].argmax(), (24, 24)) == (2, 2)
    empty = codec.encode(codec.framed(keypoints, 0 * scores, None), 0 * scores)
    assert np.isfinite(empty).all() and np.asarray(empty).max() == 0


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(InputError, match=r"codec\.limbs has a number"):
        VolumeCodec(4, limbs=((0, 4),))
    with pytest.raises(InputError, match="at least 1"):
        VolumeCodec(frames=0)
