"""Fit of bodies to keypoints: known bodies are found again; what is missing is said."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.bodies import drawn_body, drawn_faces, pose_body
from jaxpose.bodies.fit import fit_body
from jaxpose.bodies.landmarks import landmarks
from jaxpose.bodies.prior import pose_prior, upright
from jaxpose.cli.main import app
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.geometry.procrustes import move, procrustes
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.skeletons import COCO17, H36M17, HAND21
from jaxpose.viz.meshes import draw_meshes

WH = (800, 600)
CAMERA = pinhole([[1000, 0, 399.5], [0, 1000, 299.5], [0, 0, 1]], np.eye(3), np.zeros(3))


@pytest.fixture(scope="module")
def people():
    """Pixels `[4, 17, 2]` and joints of four bodies near the mean pose, one without a leg seen."""
    body, rng = drawn_body(), np.random.default_rng(0)
    numbers = pose_prior(body).numbers
    mean, whitening = numbers.means[0, :48], numbers.whitenings[0, :48, :48]
    angles = mean + 0.5 * np.linalg.solve(whitening, rng.standard_normal((48, 4))).T
    turn = np.array([[0, 0.3, 0], [0, 1.2, 0], [0.1, -2.0, 0], [0, 3.0, 0.1]])
    root = matrix_from_axis_angle(turn) @ upright(body)
    local = matrix_from_axis_angle(angles.reshape(4, 16, 3))
    rotations = np.concatenate([root[:, None], local], axis=1).astype(np.float32)
    place = np.array([[-900, 0, 4500], [0, 100, 3500], [700, 0, 5000], [1200, -100, 6000.0]])
    shape = 0.5 * rng.standard_normal((4, 8))
    points = landmarks(body, COCO17).points(jnp.float32(shape), rotations, jnp.float32(place))
    points = np.asarray(points, np.float64)
    scores = np.ones((4, 17))
    scores[3, [14, 16]] = 0
    return project(CAMERA, points), points, scores


@pytest.fixture(scope="module")
def fitted(people):
    pixels, _, scores = people
    return fit_body(drawn_body(), COCO17, pixels, scores, CAMERA)


def test_known_bodies_are_found_again(people, fitted):
    _, points, scores = people
    assert fitted.error.max() < 2
    aligned = move(procrustes(fitted.keypoints.astype(float), points), fitted.keypoints)
    away = np.where(scores > 0, np.linalg.norm(aligned - points, axis=-1), np.nan)
    assert np.nanmean(away, axis=1).max() < 60  # mm; depth is not in one image
    assert np.abs(fitted.translation[:, 2] / points.mean(axis=1)[:, 2] - 1).max() < 0.15
    np.testing.assert_array_equal(fitted.used, [17, 17, 17, 15])
    # What is returned is the body that gives these keypoints.
    again = landmarks(drawn_body(), COCO17).points(
        fitted.shape, fitted.rotations, fitted.translation
    )
    np.testing.assert_allclose(again, fitted.keypoints, atol=0.5)
    determinant = np.linalg.det(fitted.rotations)
    np.testing.assert_allclose(determinant, 1, atol=1e-3)


def test_people_of_few_keypoints_are_not_fitted(people):
    pixels, _, scores = people
    few = scores.copy()
    few[1, 5:] = 0
    lost = pixels.copy()
    lost[2] = np.nan
    found = fit_body(drawn_body(), COCO17, lost, few, CAMERA)
    np.testing.assert_array_equal(found.used, [17, 5, 0, 15])
    assert np.isnan(found.error[[1, 2]]).all() and np.isnan(found.rotations[[1, 2]]).all()
    assert np.isfinite(found.error[[0, 3]]).all()


def test_wrong_shapes_skeletons_and_cameras_are_named(people):
    pixels, _, _ = people
    with pytest.raises(InputError, match=r"\[people, 17, 2\]"):
        fit_body(drawn_body(), COCO17, pixels[:, :5], None, CAMERA)
    with pytest.raises(InputError, match="scores of shape"):
        fit_body(drawn_body(), COCO17, pixels, np.ones(4), CAMERA)
    with pytest.raises(InputError, match="hand21"):
        fit_body(drawn_body(), HAND21, np.zeros((1, 21, 2)), None, CAMERA)
    backwards = CAMERA._replace(K=CAMERA.K * [[-1], [1], [1]])
    with pytest.raises(InputError, match="fx, fy > 0"):
        fit_body(drawn_body(), COCO17, pixels, None, backwards)


def test_priors_describe_drawn_people():
    numbers = pose_prior(drawn_body()).numbers
    assert np.isfinite(numbers.means).all() and numbers.whitenings.shape == (1, 51, 51)
    mean = pose_body(
        drawn_body(),
        jnp.zeros(8),
        np.concatenate([np.zeros(3), numbers.means[0, :48]]).reshape(17, 3),
    )
    place = dict(zip(drawn_body().joints, np.asarray(mean.joints), strict=True))
    # The mean pose stands: feet below the pelvis, wrists below the shoulders, knees bent forward.
    assert place["left_ankle"][2] < place["left_knee"][2] < place["pelvis"][2]
    assert place["left_wrist"][2] < place["left_shoulder"][2]
    assert abs(place["left_wrist"][1] + place["right_wrist"][1]) < 60


def test_h36m_and_coco_are_on_the_drawn_body():
    for skeleton in (COCO17, H36M17):
        assert landmarks(drawn_body(), skeleton).known.all()
    with pytest.raises(InputError, match="6 are needed"):
        landmarks(drawn_body(), HAND21)


def record(pixels, scores, boxes=(0, 0, 1, 1)):
    return {
        "width": WH[0],
        "height": WH[1],
        "people": [
            {
                "score": 1.0,
                "box_xywh": list(boxes),
                "keypoints": {
                    name: {"x": float(x), "y": float(y), "score": float(score)}
                    for name, (x, y), score in zip(COCO17.keypoints, person, certain, strict=True)
                },
            }
            for person, certain in zip(pixels, scores, strict=True)
        ],
    }


def run(*arguments):
    return CliRunner().invoke(
        app, ["fit", *map(str, arguments), "--focal", "1000", "--min-score", "0.05"]
    )


def test_the_command_writes_parameters_mesh_and_picture(people, fitted, tmp_path):
    pixels, _, scores = people
    (tmp_path / "people.json").write_text(json.dumps(record(pixels, scores)))
    outputs = [tmp_path / name for name in ("fit.npz", "fit.obj", "fit.png")]
    result = run(tmp_path / "people.json", *outputs)
    assert result.exit_code == 0, result.output
    assert "Given 4 people = done 4 + left out 0" in result.output
    with np.load(outputs[0]) as file:
        saved = dict(file)
    np.testing.assert_allclose(saved["betas"], fitted.shape, atol=1e-3)
    np.testing.assert_array_equal(saved["person"], np.arange(4))
    posed = pose_body(
        drawn_body(), saved["betas"], saved["poses"].reshape(4, 17, 3), 1000 * saved["trans"]
    )
    assert str(saved["model"]) == "drawn" and list(saved["joints"]) == list(drawn_body().joints)
    lines = outputs[1].read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    expected = np.asarray(posed.vertices).reshape(-1, 3) / 1000 * [1, -1, -1]
    np.testing.assert_allclose(vertices, expected, atol=2e-3)
    assert sum(line.startswith("f ") for line in lines) == 4 * len(drawn_faces())
    assert outputs[2].stat().st_size > 5000


def test_the_command_counts_who_is_left_out(people, tmp_path):
    pixels, _, scores = people
    scores = scores.copy()
    scores[1] = 0
    (tmp_path / "people.json").write_text(json.dumps(record(pixels, scores)))
    result = run(tmp_path / "people.json", tmp_path / "fit.npz")
    assert result.exit_code == 1
    assert "done 3 + left out 1 (fewer than 6 keypoints: 1)" in result.output
    for arguments, message in (
        ((tmp_path / "people.json", tmp_path / "a.fbx"), "written as .npz"),
        ((tmp_path / "none.json", tmp_path / "a.npz"), "none.json"),
        (
            (tmp_path / "people.json", tmp_path / "a.png", "--frame", "3"),
            "leave --frame 3 out",
        ),
    ):
        result = run(*arguments)
        assert result.exit_code == 2 and message in result.output.replace("\n", ""), result.output


def test_meshes_hide_each_other_and_the_image():
    body, faces = drawn_body(), drawn_faces()
    near, far = (
        np.asarray(pose_body(body, jnp.zeros(8), jnp.zeros((17, 3)).at[0].set(0.0)).vertices)
        @ upright(body).T + [0, 0, depth]
        for depth in (4000.0, 6000.0)
    )  # fmt: skip
    image = np.full((WH[1], WH[0], 3), 255, np.uint8)
    colors = np.array([[255, 0, 0], [0, 0, 255]], np.uint8)
    one_way = draw_meshes(image, [near, far], faces, CAMERA, colors=colors, opacity=1.0)
    other_way = draw_meshes(image, [far, near], faces, CAMERA, colors=colors[::-1], opacity=1.0)
    np.testing.assert_array_equal(one_way, other_way)
    middle = one_way[300, 400]
    assert middle[0] > 150 and middle[2] == 0
    assert (one_way[5, 5] == 255).all()
    # The silhouette's width at the arms is the span by the camera's arithmetic.
    drawn = np.flatnonzero((one_way[:, :, 1] < 250).any(axis=0))
    span = np.ptp(project(CAMERA, near)[:, 0])
    assert abs((drawn[-1] - drawn[0]) - span) < 2
    with pytest.raises(InputError, match="do not belong"):
        draw_meshes(image, [near[:10]], faces, CAMERA)
    with pytest.raises(InputError, match="finite"):
        draw_meshes(image, [near * np.nan], faces, CAMERA)
