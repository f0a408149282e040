"""Rotations: published conventions, SciPy's Euler angles, inverses, gradients at the identity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from jaxpose.errors import InputError
from jaxpose.geometry import rotations

RNG = np.random.default_rng(0)
VECTORS = np.concatenate(
    [
        RNG.standard_normal((6, 3)),
        np.zeros((1, 3)),
        1e-7 * RNG.standard_normal((2, 3)),
        np.pi * np.eye(3),  # half turns: the trace is -1
        (np.pi - 1e-9) * np.array([[0.6, 0, -0.8]]),
    ]
)


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "golden/functions_mesh.npz") as file:
        return dict(file)


@pytest.mark.parametrize(
    ("case", "convention"),
    [("hmr2", "columns"), ("spin", "interleaved"), ("pytorch3d", "rows")],
)
def test_six_numbers_are_read_as_each_project_does(golden, case, convention):
    x, value = golden[f"rotation/rot6d_{case}/x"], golden[f"rotation/rot6d_{case}/value"]
    found = rotations.matrix_from_6d(jnp.asarray(x), convention)
    np.testing.assert_allclose(found, value, atol=1e-5)
    again = rotations.six_d_from_matrix(found, convention)
    np.testing.assert_allclose(rotations.matrix_from_6d(again, convention), value, atol=1e-5)
    others = {"columns", "interleaved", "rows"} - {convention}
    for other in others:
        assert np.abs(rotations.matrix_from_6d(x, other) - value).max() > 0.1


def test_axis_angles_and_quaternions_are_the_published(golden):
    vectors = golden["rotation/axis_angle/axis_angle"].astype(np.float64)
    matrix = rotations.matrix_from_axis_angle(vectors)
    np.testing.assert_allclose(matrix, golden["rotation/axis_angle/matrix"], atol=1e-9)
    quaternion = rotations.quaternion_from_matrix(matrix)
    expected = golden["rotation/axis_angle/quaternion_wxyz"]
    half_turn = expected[:, 0] < 1e-6  # it has two quaternions, and rounding chooses
    np.testing.assert_allclose(quaternion[~half_turn], expected[~half_turn], atol=1e-9)
    np.testing.assert_allclose(np.abs(quaternion), np.abs(expected), atol=1e-9)
    single = rotations.matrix_from_axis_angle(jnp.asarray(vectors, jnp.float32))
    np.testing.assert_allclose(single, golden["rotation/axis_angle/value_hmr2"], atol=1e-5)
    of_any_length = rotations.matrix_from_quaternion(golden["rotation/quat_to_rotmat/quat"])
    np.testing.assert_allclose(of_any_length, golden["rotation/quat_to_rotmat/value"], atol=1e-6)


@pytest.mark.parametrize("order", ["xyz", "XYZ", "ZYX"])
def test_euler_angles_are_the_published(golden, order):
    found = rotations.matrix_from_euler(golden[f"rotation/euler_{order}/euler"], order)
    np.testing.assert_allclose(found, golden[f"rotation/euler_{order}/matrix"], atol=1e-9)


@pytest.mark.parametrize("order", ["xyz", "zxz", "YXZ", "ZYZ", "yzx"])
def test_euler_angles_equal_scipys(order):
    angles = RNG.standard_normal((5, 2, 3))
    expected = Rotation.from_euler(order, angles.reshape(-1, 3)).as_matrix().reshape(5, 2, 3, 3)
    np.testing.assert_allclose(rotations.matrix_from_euler(angles, order), expected, atol=1e-12)


def test_there_and_back():
    matrix = rotations.matrix_from_axis_angle(VECTORS)
    np.testing.assert_allclose(matrix, Rotation.from_rotvec(VECTORS).as_matrix(), atol=1e-12)
    back = rotations.axis_angle_from_matrix(matrix)
    assert np.linalg.norm(back, axis=-1).max() <= np.pi + 1e-12
    np.testing.assert_allclose(rotations.matrix_from_axis_angle(back), matrix, atol=1e-9)
    quaternion = rotations.quaternion_from_matrix(matrix)
    assert (quaternion[:, 0] >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(quaternion, axis=-1), 1, atol=1e-12)
    np.testing.assert_allclose(rotations.matrix_from_quaternion(quaternion), matrix, atol=1e-9)


def test_angles_between_rotations():
    vectors = VECTORS[:6] / np.linalg.norm(VECTORS[:6], axis=-1, keepdims=True)
    angles = np.array([1e-9, 1e-3, 0.5, 1.5, 3.0, np.pi - 1e-6])
    start = rotations.matrix_from_axis_angle(RNG.standard_normal((6, 3)))
    turn = rotations.matrix_from_axis_angle(vectors * angles[:, None])
    np.testing.assert_allclose(rotations.angle_between(start, start @ turn), angles, atol=1e-9)


def test_gradients_are_finite_and_equal_differences():
    factors = np.arange(9.0).reshape(3, 3)

    def value(vector):
        matrix = rotations.matrix_from_axis_angle(vector)
        back = rotations.axis_angle_from_matrix(matrix)
        return (matrix * factors).sum() + (back**2).sum()

    with jax.enable_x64(True):
        slopes = jax.jit(jax.vmap(jax.grad(value)))(jnp.asarray(VECTORS[:9]))
    step = 1e-5 * np.eye(3)
    differences = [[(value(v + e) - value(v - e)) / 2e-5 for e in step] for v in VECTORS[:9]]
    np.testing.assert_allclose(slopes, differences, atol=1e-5)
    slopes = jax.grad(lambda x: jnp.sum(rotations.matrix_from_6d(x)))(jnp.zeros(6))
    assert np.isfinite(slopes).all()


def test_an_unknown_order_is_refused():
    for order in ("xyw", "xY", "XYZX", "xxz", ""):
        with pytest.raises(InputError, match="Euler order"):
            rotations.matrix_from_euler(np.zeros(3), order)
