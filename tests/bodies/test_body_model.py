"""Body models against the formulas of the papers, their gradients, and the body of our own."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxpose.bodies import drawn_body, drawn_faces, drawn_keypoints, pose_body
from jaxpose.bodies.drawn import AVERAGE, REST
from jaxpose.bodies.files import HandBasis, body_from_arrays
from jaxpose.data.synthetic.body import coco_joints, forward_kinematics
from jaxpose.errors import InputError
from jaxpose.geometry.rotations import matrix_from_axis_angle
from jaxpose.skeletons import COCO17, H36M17, LSP14


def case(shared, name):
    with np.load(shared / "golden/functions_mesh.npz") as file:
        prefix = f"lbs/{name}/"
        return {k.removeprefix(prefix): file[k] for k in file.files if k.startswith(prefix)}


def published(arrays):
    return {
        k.removeprefix("body_"): v.astype(np.float64) if v.dtype == np.float32 else v
        for k, v in arrays.items()
        if k.startswith("body_")
    }


@pytest.fixture(scope="module")
def drawn():
    return drawn_body()


@pytest.mark.parametrize("name", ["smpl", "mano"])
def test_vertices_and_joints_are_the_papers(shared, name):
    arrays = case(shared, name)
    body, _ = body_from_arrays(published(arrays), name)
    assert body.name == name
    vectors = arrays["axis_angle"].astype(np.float64)
    if name == "mano":
        basis = HandBasis(
            arrays["body_hands_components"].astype(np.float64),
            arrays["body_hands_mean"].astype(np.float64),
        )
        pose = basis.pose(arrays["hand_pca"].astype(np.float64))
        np.testing.assert_allclose(pose, vectors[:, 1:], atol=1e-6)
    with jax.enable_x64(True):
        posed = pose_body(
            body,
            arrays["betas"].astype(np.float64),
            vectors,
            1000 * arrays["transl"].astype(np.float64),
        )
        assert posed.vertices.dtype == np.float64
    for found, expected in (
        (np.asarray(posed.vertices) / 1000, arrays["vertices"]),
        (np.asarray(posed.joints) / 1000, arrays["joints"]),
    ):
        assert np.abs(found - expected).max() <= 1e-9 * np.abs(expected).max()
    single = pose_body(
        jax.tree.map(np.float32, body), *(jnp.float32(arrays[k]) for k in ("betas", "axis_angle"))
    )
    shift = arrays["transl"][:, None]
    assert np.abs(single.vertices / 1000 + shift - arrays["vertices"]).max() < 2e-5


def test_the_rest_pose_is_the_template(drawn):
    posed = pose_body(drawn, jnp.zeros(8), jnp.zeros((17, 3)))
    np.testing.assert_allclose(posed.vertices, drawn.template, atol=1e-3)
    np.testing.assert_allclose(posed.joints, drawn.regressor @ drawn.template, atol=1e-3)


def test_the_root_turns_and_the_translation_moves_the_whole_body(drawn):
    shape, angles = jnp.linspace(-1, 1, 8), 0.3 * jnp.ones((17, 3))
    turn = jnp.asarray([0.2, -1.0, 0.5])
    still = pose_body(drawn, shape, angles.at[0].set(0.0))
    moved = pose_body(drawn, shape, angles.at[0].set(turn), jnp.asarray([10.0, 20, 30]))
    R, root = matrix_from_axis_angle(turn), still.joints[:1]
    expected = (still.vertices - root) @ R.T + root + jnp.asarray([[10.0, 20, 30]])
    np.testing.assert_allclose(moved.vertices, expected, atol=1e-2)


def test_bones_keep_their_lengths_in_every_pose(drawn):
    angles = jax.random.normal(jax.random.key(0), (5, 17, 3))
    posed = pose_body(drawn, jnp.zeros(8), angles)
    parents = np.array(drawn.parents[1:])
    lengths = jnp.linalg.norm(posed.joints[:, 1:] - posed.joints[:, parents], axis=-1)
    rest = drawn.regressor @ drawn.template
    expected = np.linalg.norm(rest[1:] - rest[parents], axis=-1)
    np.testing.assert_allclose(lengths, np.broadcast_to(expected, (5, 16)), rtol=1e-4)


def test_leading_axes_broadcast(drawn):
    angles = jax.random.normal(jax.random.key(1), (2, 3, 17, 3))
    shape = jax.random.normal(jax.random.key(2), (3, 8))
    posed = pose_body(drawn, shape, angles, jnp.ones((2, 1, 3)))
    assert posed.vertices.shape == (2, 3, len(drawn.template), 3)
    one = pose_body(drawn, shape[2], matrix_from_axis_angle(angles[1, 2]), jnp.ones(3))
    np.testing.assert_allclose(posed.vertices[1, 2], one.vertices, atol=1e-2)


def test_gradients_equal_finite_differences(drawn):
    target = jax.random.normal(jax.random.key(3), (17, 3))

    def value(shape, angles, translation):
        posed = pose_body(body, shape, angles, translation)
        return jnp.mean(posed.vertices**2) / 1e6 + jnp.mean(posed.joints * target) / 1e3

    with jax.enable_x64(True):
        body = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), drawn)
        rng = np.random.default_rng(0)
        # The zero pose, where the angle's square root has no slope, and a random one.
        for angles in (np.zeros((17, 3)), 0.5 * rng.standard_normal((17, 3))):
            at = (rng.standard_normal(8), angles, rng.standard_normal(3) * 1000)
            run = jax.jit(value)
            slopes = jax.jit(jax.grad(value, (0, 1, 2)))(*at)
            for which in range(3):
                along = rng.standard_normal(at[which].shape)
                step = 1e-6 * along
                up, down = ([*at] for _ in range(2))
                up[which], down[which] = at[which] + step, at[which] - step
                expected = (run(*up) - run(*down)) / 2e-6
                np.testing.assert_allclose(np.sum(slopes[which] * along), expected, rtol=2e-5)


def test_keypoints_of_the_drawn_body_are_the_renderers(drawn):
    regressor = drawn_keypoints(COCO17)
    np.testing.assert_allclose(regressor.sum(axis=1), 1, atol=1e-5)
    tall = replace(AVERAGE, stature=AVERAGE.stature + 90.0)  # one standard deviation
    for shape, person in ((np.zeros(8), AVERAGE), (np.eye(8)[0], tall)):
        vertices = drawn.template + drawn.shapes @ shape
        expected = coco_joints(forward_kinematics(REST, person), person)
        np.testing.assert_allclose(regressor @ vertices, expected, atol=0.5)
    assert drawn_keypoints(H36M17).shape == (17, len(drawn.template))
    with pytest.raises(KeyError):
        drawn_keypoints(LSP14)


def test_faces_have_all_vertices_and_look_outwards(drawn):
    faces = drawn_faces()
    assert set(np.unique(faces)) == set(range(len(drawn.template)))
    corners = drawn.template[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # The volume by the divergence theorem is positive where faces look outwards.
    volume = np.sum(corners[:, 0] * normal) / 6
    assert 0.03e9 < volume < 0.15e9


def test_wrong_numbers_of_shapes_and_joints_are_named(drawn):
    with pytest.raises(InputError, match="8 shape numbers"):
        pose_body(drawn, jnp.zeros(10), jnp.zeros((17, 3)))
    with pytest.raises(InputError, match="17 joints"):
        pose_body(drawn, jnp.zeros(8), jnp.zeros((24, 3)))
