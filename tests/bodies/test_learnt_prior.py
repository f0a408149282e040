"""Priors learnt from poses, their files, and the fit to 3D keypoints that they are learnt from."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.bodies import drawn_body, drawn_keypoints, pose_body
from jaxpose.bodies.fit import Fitting, fit_body, fit_body_3d
from jaxpose.bodies.landmarks import landmarks
from jaxpose.bodies.learnt_prior import FORMAT, fit_mixture, learn_prior, read_prior, save_prior
from jaxpose.bodies.prior import PriorNumbers, pose_prior, upright
from jaxpose.cli.main import app
from jaxpose.data.motion import Clip, motion_of, write_motion
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.geometry.rotations import angle_between, matrix_from_axis_angle
from jaxpose.skeletons import H36M17

COUNT = 64  # of a batch of the script: one program is compiled for all tests
SETTINGS = Fitting(pixel_sigma=0.005, iterations=20)
KNEE = drawn_body().joints.index("left_knee")


@pytest.fixture(scope="module")
def poses():
    """Shape and rotations of people who sit or stand, turned anyhow, and their points."""
    rng = np.random.default_rng(0)
    numbers = pose_prior(drawn_body()).numbers
    vectors = np.tile(numbers.means[0, :48].reshape(16, 3), (COUNT, 1, 1))
    vectors = vectors + 0.1 * rng.standard_normal(vectors.shape)
    for joint in ("left_hip", "right_hip", "left_knee", "right_knee"):
        bend = -1.4 if joint.endswith("hip") else 1.4
        vectors[::2, drawn_body().joints.index(joint) - 1] += [0.0, bend, 0.0]
    turn = np.zeros((COUNT, 3))
    turn[:, 1] = rng.uniform(0, 2 * np.pi, COUNT)
    root = matrix_from_axis_angle(turn) @ upright(drawn_body())
    rotations = np.concatenate([root[:, None], matrix_from_axis_angle(vectors)], axis=1)
    rotations, shape = rotations.astype(np.float32), np.zeros((COUNT, 8), np.float32)
    place = rng.uniform(-1000, 1000, (COUNT, 3)).astype(np.float32)
    points = landmarks(drawn_body(), H36M17).points(shape, rotations, place)
    return shape, rotations, np.asarray(points)


@pytest.fixture(scope="module")
def prior(poses):
    shape, rotations, _ = poses
    return learn_prior(drawn_body(), shape, rotations, 2, level=True)


def test_landmarks_lie_on_the_surface_that_pose_and_shape_deform():
    rng, body = np.random.default_rng(0), drawn_body()
    body = replace(body, pose_shapes=rng.standard_normal(body.pose_shapes.shape).astype(np.float32))
    rotations = matrix_from_axis_angle(rng.standard_normal((2, 17, 3)).astype(np.float32))
    shape = rng.standard_normal((2, 8)).astype(np.float32)
    place = rng.standard_normal((2, 3)).astype(np.float32)
    vertices = np.asarray(pose_body(body, shape, rotations, place).vertices, np.float64)
    expected = drawn_keypoints(H36M17) @ vertices
    points = landmarks(body, H36M17).points(jnp.asarray(shape), rotations, place)
    np.testing.assert_allclose(points, expected, atol=0.01)


def test_bodies_are_found_from_points(poses):
    _, _, points = poses
    seen = points.copy()
    seen[3, 13] = np.nan
    seen[4, 5:] = np.nan
    found = fit_body_3d(drawn_body(), H36M17, seen, settings=SETTINGS)
    assert found.used[[0, 3, 4]].tolist() == [17, 16, 5]
    assert np.isnan(found.error[4]) and np.isnan(found.rotations[4]).all()
    others = np.delete(np.arange(COUNT), 4)
    assert found.error[others].max() < 12 and np.median(found.error[others]) < 5
    off = np.linalg.norm(found.keypoints - seen, axis=-1)
    assert np.nanmax(off[others]) < 40
    with pytest.raises(InputError, match=r"\[people, 17, 3\]"):
        fit_body_3d(drawn_body(), H36M17, points[..., :2])


def test_a_mixture_finds_its_groups():
    rng = np.random.default_rng(0)
    spread = np.array([[0.2, 0.0], [0.1, 0.05]])
    near = np.array([1.0, 2.0]) + rng.standard_normal((300, 2)) @ spread.T
    far = np.array([-3.0, 0.0]) + 0.3 * rng.standard_normal((100, 2))
    shares, means, covariances = fit_mixture(np.concatenate([near, far]), 2, np.eye(2) * 1e-6)
    order = np.argsort(shares)
    np.testing.assert_allclose(shares[order], [0.25, 0.75], atol=1e-3)
    np.testing.assert_allclose(means[order], [[-3, 0], [1, 2]], atol=0.1)
    np.testing.assert_allclose(covariances[order[1]], spread @ spread.T, atol=0.01)


def test_a_prior_rates_known_poses_above_mixed_ones(poses, prior):
    shape, rotations, _ = poses
    again = learn_prior(drawn_body(), shape, rotations, 2, level=True)
    for value, other in zip(prior.numbers, again.numbers, strict=True):
        np.testing.assert_array_equal(value, other)
    means = matrix_from_axis_angle(prior.numbers.means[:, :48].reshape(2, 16, 3))[:, KNEE - 1]
    truth = rotations[:2, KNEE]
    away = np.degrees(angle_between(means[:, None], truth[None]))
    assert sorted(away.argmin(axis=0).tolist()) == [0, 1] and away.min(axis=0).max() < 20
    # The direction up is the body's own axis z: everyone in the set is upright.
    np.testing.assert_allclose(prior.numbers.means[:, 48:], [[0, 0, 1]] * 2, atol=0.05)
    blind = learn_prior(drawn_body(), shape, rotations, 2, level=False)
    assert not blind.numbers.whitenings[:, :, 48:].any()
    with pytest.raises(InputError, match="64 poses are too few for a prior of 8"):
        learn_prior(drawn_body(), shape, rotations, level=True)


@pytest.mark.slow
def test_hidden_legs_follow_the_prior(poses, prior):
    _, _, points = poses
    camera = pinhole([[1000, 0, 500], [0, 1000, 500], [0, 0, 1]], np.eye(3), np.zeros(3))
    before = points[:8] - points[:8, :1] + [0, 0, 4000]
    scores = np.ones((8, 17))
    scores[:, [3, 6]] = 0  # feet; the knees are seen
    pixels = project(camera, before.astype(np.float64))
    found = fit_body(drawn_body(), H36M17, pixels, scores, camera, prior=prior)
    usual = fit_body(drawn_body(), H36M17, pixels, scores, camera)
    off, before_off = (
        np.linalg.norm(
            (f.keypoints - f.keypoints[:, :1] - before + before[:, :1])[:, [3, 6]], axis=-1
        )
        for f in (found, usual)
    )  # fmt: skip
    assert np.median(off) < 60 and np.median(off) < np.median(before_off)


def test_files_come_back_and_others_are_refused(prior, tmp_path):
    path = tmp_path / "prior.npz"
    save_prior(path, prior)
    again = read_prior(path)
    assert again.body == "drawn" and again.joints == drawn_body().joints
    for value, other in zip(prior.numbers, again.numbers, strict=True):
        np.testing.assert_array_equal(value, other)
    other = replace(drawn_body(), name="smpl", joints=("pelvis",))
    with pytest.raises(InputError, match=r"of the body 'drawn' \(17 joints.*not of 'smpl' \(1 jo"):
        again.of(other)

    def changed(**arrays):
        stored = {"format": FORMAT, "body": prior.body, "joints": np.array(prior.joints)}
        np.savez(path, **{**stored, **prior.numbers._asdict(), **arrays})
        return path

    for arrays, message in (
        ({"format": "other"}, "is not a prior of poses"),
        ({"means": prior.numbers.means[:, :7]}, r"means is float32 \[2, 7\], float \[2, 51\]"),
        ({"penalties": np.array([0.0, np.nan])}, "penalties has values that are not finite"),
    ):
        with pytest.raises(InputError, match=message):
            read_prior(changed(**arrays))
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match="not an intact npz"):
        read_prior(path)


def test_the_script_learns_from_a_motion_dataset(poses, tmp_path):
    _, _, points = poses
    clip = Clip(joints_mm=points[..., [0, 2, 1]] * [1, 1, -1], split="train", name="a", fps=10.0)
    write_motion(tmp_path / "poses.npz", motion_of(H36M17, [clip], frame="world", up="z"))
    options = ["--poses", str(tmp_path / "poses.npz"), "--out", str(tmp_path / "prior.npz")]
    command = ["prepare", "pose_prior", *options, "--components"]
    result = CliRunner().invoke(app, [*command, "2"])
    assert result.exit_code == 0, result.output
    assert "Given 64 poses = done 64 + left out 0" in result.output
    numbers = read_prior(tmp_path / "prior.npz").of(drawn_body()).numbers
    assert numbers.means.shape == (2, 51) and isinstance(numbers, PriorNumbers)
    np.testing.assert_allclose(numbers.means[:, 48:], [[0, 0, 1]] * 2, atol=0.15)
    result = CliRunner().invoke(app, [*command, "4"])
    assert result.exit_code == 2 and "too few" in result.output


def test_the_command_refuses_a_file_that_is_no_prior(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "people.json").write_text("[]")
    files = [str(tmp_path / "people.json"), str(tmp_path / "out.npz")]
    result = CliRunner().invoke(app, ["fit", *files, "--prior", str(tmp_path / "other.npz")])
    assert result.exit_code == 2 and "is not a prior of poses" in result.output.replace("\n", " ")
