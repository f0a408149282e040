"""Fits of tracks: one shape, smooth poses, nothing across gaps, and others as they are alone."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.bodies import drawn_body
from jaxpose.bodies.fit import Valleys
from jaxpose.bodies.fit_problem import Fitting
from jaxpose.bodies.fit_tracks import USUAL, Smoothing, fit_tracks, steadiest
from jaxpose.bodies.landmarks import landmarks
from jaxpose.bodies.prior import pose_prior, upright
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.metrics.mesh_error import acceleration_error
from jaxpose.skeletons import COCO17

CAMERA = pinhole([[1000, 0, 399.5], [0, 1000, 299.5], [0, 0, 1]], np.eye(3), np.zeros(3))
FEW = {"starts": 2, "iterations": 20}
FRAMES = 8  # of track 7; the others are one of track 3, and one without a track
TRACKS = np.array([7] * FRAMES + [3, -1])
SECONDS = np.append(0.04 * np.arange(FRAMES), [0.0, 0.0])


@pytest.fixture(scope="module")
def clip():
    """Pixels `[10, 17, 2]` with noise, and points in mm, of a body that moves and turns."""
    body, rng = drawn_body(), np.random.default_rng(0)
    numbers = pose_prior(body).numbers
    unlike = 0.5 * rng.standard_normal((48, 2))
    ends = numbers.means[0, :48] + np.linalg.solve(numbers.whitenings[0, :48, :48], unlike).T
    share = np.append(np.linspace(0, 1, FRAMES), [0.3, 0.6])[:, None]
    local = matrix_from_axis_angle(((1 - share) * ends[0] + share * ends[1]).reshape(-1, 16, 3))
    turns = np.concatenate([0 * share, 0.3 + 0.5 * share, 0 * share], axis=1)
    root = matrix_from_axis_angle(turns) @ upright(body)
    rotations = np.concatenate([root[:, None], local], axis=1)
    place = np.array([-300.0, 0, 4000]) + share * [400.0, 0, 300]
    shape = np.broadcast_to(0.5 * rng.standard_normal(8), (len(share), 8))
    made = landmarks(body, COCO17).points(*(jnp.float32(v) for v in (shape, rotations, place)))
    points = np.asarray(made, np.float64)
    return project(CAMERA, points) + 3 * rng.standard_normal((len(share), 17, 2)), points


def fitted(pixels, tracks=TRACKS, seconds=SECONDS, smoothing=USUAL):
    seen = pixels, None, CAMERA, tracks, seconds
    return fit_tracks(drawn_body(), COCO17, *seen, Fitting(**FEW), smoothing=smoothing)


@pytest.fixture(scope="module")
def alone(clip):
    return fitted(clip[0], smoothing=Smoothing(seconds=0))


@pytest.fixture(scope="module")
def smooth(clip):
    return fitted(clip[0])


def test_a_track_has_one_shape_and_moves_smoothly(clip, alone, smooth):
    truth = clip[1][:FRAMES]
    away = [np.linalg.norm(f.keypoints[:FRAMES] - truth, axis=-1).mean() for f in (smooth, alone)]
    bend = [acceleration_error(f.keypoints[:FRAMES], truth) for f in (smooth, alone)]
    assert bend[0] < 0.2 * bend[1] and away[0] < away[1]
    assert np.ptp(alone.shape[:FRAMES], axis=0).max() > 0.01
    assert (smooth.shape[:FRAMES] == smooth.shape[0]).all()
    assert smooth.error.max() < 8  # still on the keypoints, whose noise is 3 px in x and in y
    # What is returned is the body that gives these keypoints.
    values = smooth.shape, smooth.rotations, smooth.translation
    again = landmarks(drawn_body(), COCO17).points(*values)
    np.testing.assert_allclose(again, smooth.keypoints, atol=0.5)


def test_people_without_neighbours_are_as_they_are_alone(alone, smooth):
    for one, other in zip(smooth, alone, strict=True):
        np.testing.assert_array_equal(one[FRAMES:], other[FRAMES:])


def test_the_order_of_people_does_not_matter(clip, smooth):
    order = np.random.default_rng(1).permutation(len(TRACKS))
    found = fitted(clip[0][order], TRACKS[order], SECONDS[order])
    np.testing.assert_allclose(found.keypoints, smooth.keypoints[order], atol=1)
    np.testing.assert_allclose(found.shape, smooth.shape[order], atol=1e-3)


def test_nothing_is_drawn_across_a_gap(clip, alone):
    pixels, late = clip[0].copy(), np.arange(len(TRACKS)) >= FRAMES // 2
    pixels[late, :, 0] += 200  # 0.8 m
    near = fitted(pixels).translation
    far = fitted(pixels, seconds=SECONDS + 0.6 * late)
    before = FRAMES // 2 - 1
    assert near[before, 0] - alone.translation[before, 0] > 50
    assert abs(far.translation[before, 0] - alone.translation[before, 0]) < 20
    assert (far.shape[:FRAMES] == far.shape[0]).all()  # a person has one shape


def test_a_frame_takes_the_minimum_that_agrees_with_its_neighbours():
    points = np.zeros((3, 2, 17, 3))
    points[:, 1, :8, 2] = 300  # the second minimum bends the other way
    costs = np.array([[1.0, 3.0], [2.0, 1.5], [1.0, 3.0]])
    found = Valleys(*5 * [points], costs)._replace(keypoints=points)
    known = np.ones(17, bool)
    np.testing.assert_array_equal(steadiest(found, known, np.array([True, True])), [0, 0, 0])
    np.testing.assert_array_equal(steadiest(found, known, np.array([False, False])), [0, 1, 0])


def test_tracks_and_times_that_do_not_fit_are_named(clip):
    with pytest.raises(InputError, match="tracks of shape"):
        fitted(clip[0], tracks=TRACKS[:3])
    with pytest.raises(InputError, match="needs a time"):
        fitted(clip[0], seconds=SECONDS * np.nan)
