"""Rotations in 3D: matrices, axis-angle vectors, quaternions, Euler angles and six numbers.

Every function takes NumPy or JAX arrays with any leading axes and returns the same kind; NumPy
keeps float64. Gradients are finite everywhere, also at the identity. A matrix turns column
vectors: `x' = R x`.
"""

from itertools import pairwise
from types import ModuleType
from typing import Any, Literal

from jaxpose.errors import InputError
from jaxpose.geometry.namespace import ArrayT, floating, multiply, namespace, prepend_axes

SixD = Literal["columns", "interleaved", "rows"]

# Angles below it are treated by series: sin(a)/a loses no digit there in float32 or float64.
_SMALL = 1e-4


def matrix_from_axis_angle(axis_angle: ArrayT) -> ArrayT:
    """Rotation matrices `[..., 3, 3]` of vectors `[..., 3]`: axis times angle in radians.

    Rodrigues' formula.
    """
    xp = namespace(axis_angle)
    vector = floating(axis_angle, xp)
    square = xp.sum(vector * vector, axis=-1)[..., None, None]
    near = square < _SMALL**2
    # The branch not taken has to have a finite gradient too.
    angle = xp.sqrt(xp.where(near, 1.0, square))
    sine = xp.where(near, 1 - square / 6, xp.sin(angle) / angle)
    half = xp.sin(angle / 2) / angle
    versine = xp.where(near, 0.5 - square / 24, 2 * half * half)
    cross = _cross_matrix(vector, xp)
    identity = prepend_axes(xp.eye(3, dtype=vector.dtype), cross.ndim)
    return identity + sine * cross + versine * multiply(cross, cross)


def axis_angle_from_matrix(matrix: ArrayT) -> ArrayT:
    """Vectors `[..., 3]`, axis times angle in [0, pi], of rotation matrices `[..., 3, 3]`."""
    return axis_angle_from_quaternion(quaternion_from_matrix(matrix))


def axis_angle_from_quaternion(quaternion: ArrayT) -> ArrayT:
    """Vectors `[..., 3]`, axis times angle in [0, pi], of quaternions `[..., 4]` (w, x, y, z)."""
    xp = namespace(quaternion)
    quaternion = _unit(floating(quaternion, xp), xp)
    quaternion = quaternion * xp.where(quaternion[..., :1] < 0, -1.0, 1.0)
    real, vector = quaternion[..., :1], quaternion[..., 1:]
    square = xp.sum(vector * vector, axis=-1, keepdims=True)
    near = square < _SMALL**2
    length = xp.sqrt(xp.where(near, 1.0, square))
    factor = xp.where(near, 2 + square / 3, 2 * xp.arctan2(length, real) / length)
    return factor * vector


def matrix_from_quaternion(quaternion: ArrayT) -> ArrayT:
    """Rotation matrices `[..., 3, 3]` of quaternions `[..., 4]` (w, x, y, z) of any length."""
    xp = namespace(quaternion)
    w, x, y, z = xp.moveaxis(_unit(floating(quaternion, xp), xp), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def quaternion_from_matrix(matrix: ArrayT) -> ArrayT:
    """Unit quaternions `[..., 4]` (w, x, y, z), w >= 0, of rotation matrices `[..., 3, 3]`.

    Each of the four components can be computed first, by the root of a sum of the diagonal; the
    largest one is, since a division by a small one would lose digits (Shepperd 1978).
    """
    xp = namespace(matrix)
    m = floating(matrix, xp)
    diagonal = [m[..., i, i] for i in range(3)]
    # Four times the square of each component.
    squares = xp.stack(
        [
            1 + diagonal[0] + diagonal[1] + diagonal[2],
            1 + diagonal[0] - diagonal[1] - diagonal[2],
            1 - diagonal[0] + diagonal[1] - diagonal[2],
            1 - diagonal[0] - diagonal[1] + diagonal[2],
        ],
        axis=-1,
    )
    wx, wy, wz = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    xy, xz, yz = (
        m[..., 1, 0] + m[..., 0, 1],
        m[..., 0, 2] + m[..., 2, 0],
        m[..., 2, 1] + m[..., 1, 2],
    )
    # Row i is 4 times component i times the quaternion.
    products = (
        (squares[..., 0], wx, wy, wz),
        (wx, squares[..., 1], xy, xz),
        (wy, xy, squares[..., 2], yz),
        (wz, xz, yz, squares[..., 3]),
    )
    candidates = xp.stack([xp.stack(row, axis=-1) for row in products], axis=-2)
    largest = xp.argmax(squares, axis=-1)[..., None]
    chosen = largest == prepend_axes(xp.arange(4), largest.ndim)
    quaternion = _unit(xp.sum(xp.where(chosen[..., None], candidates, 0.0), axis=-2), xp)
    return quaternion * xp.where(quaternion[..., :1] < 0, -1.0, 1.0)


def matrix_from_euler(angles: ArrayT, order: str) -> ArrayT:
    """Rotation matrices `[..., 3, 3]` of Euler angles `[..., 3]` in radians.

    Args:
      angles: in the order of the letters.
      order: three axes; capital letters turn about the axes of the turned body (intrinsic), small
        ones about those of the world (extrinsic), as in SciPy: "XYZ" is `Rx Ry Rz`, "xyz" is
        `Rz Ry Rx`.

    Raises:
      InputError: an order of other letters, or with the same axis in succession.
    """
    axes = order.upper()
    small, capital = order == order.lower(), order == axes
    if len(axes) != 3 or set(axes) - set("XYZ") or not (small or capital):
        raise InputError(f"Euler order {order!r}: it has to be three of XYZ, or three of xyz.")
    if any(first == second for first, second in pairwise(axes)):
        raise InputError(f"Euler order {order!r} has one axis twice in succession.")
    xp = namespace(angles)
    angles = floating(angles, xp)
    first, second, third = (_about(axis, angles[..., i], xp) for i, axis in enumerate(axes))
    if capital:
        return multiply(multiply(first, second), third)
    return multiply(multiply(third, second), first)


def matrix_from_6d(numbers: ArrayT, convention: SixD = "columns") -> ArrayT:
    """Rotation matrices `[..., 3, 3]` of six numbers `[..., 6]`: two vectors, made orthonormal.

    The first vector gives its direction, the second the plane (Gram-Schmidt; Zhou et al., "On the
    Continuity of Rotation Representations in Neural Networks", CVPR 2019). Projects order the six
    numbers in three ways:

    - "columns": the first column, then the second (HMR 2.0, HaMeR);
    - "interleaved": the two columns by turns, a `[3, 2]` array row by row (SPIN, PARE, CLIFF);
    - "rows": the first row, then the second (PyTorch3D).
    """
    xp = namespace(numbers)
    numbers = floating(numbers, xp)
    if convention == "interleaved":
        first, second = numbers[..., 0::2], numbers[..., 1::2]
    else:
        first, second = numbers[..., :3], numbers[..., 3:]
    first = _unit(first, xp)
    second = _unit(second - xp.sum(first * second, axis=-1, keepdims=True) * first, xp)
    third = xp.cross(first, second)
    return xp.stack([first, second, third], axis=-2 if convention == "rows" else -1)


def six_d_from_matrix(matrix: ArrayT, convention: SixD = "columns") -> ArrayT:
    """Six numbers `[..., 6]` of rotation matrices `[..., 3, 3]`, see `matrix_from_6d`."""
    xp = namespace(matrix)
    if convention == "rows":
        first, second = matrix[..., 0, :], matrix[..., 1, :]
    else:
        first, second = matrix[..., :, 0], matrix[..., :, 1]
    if convention == "interleaved":
        return xp.stack([first, second], axis=-1).reshape(*matrix.shape[:-2], 6)
    return xp.concatenate([first, second], axis=-1)


def angle_between(first: ArrayT, second: ArrayT) -> ArrayT:
    """Angle `[...]` in radians of the rotation from one matrix `[..., 3, 3]` to the other.

    By the sine and the cosine: the arc cosine alone has no digits near 0.
    """
    xp = namespace(first, second)
    product = multiply(xp.swapaxes(floating(first, xp), -1, -2), floating(second, xp))
    cosine = product[..., 0, 0] + product[..., 1, 1] + product[..., 2, 2] - 1
    skew = (product - xp.swapaxes(product, -1, -2)) / 2
    sine = xp.sqrt(skew[..., 2, 1] ** 2 + skew[..., 0, 2] ** 2 + skew[..., 1, 0] ** 2)
    return xp.arctan2(2 * sine, cosine)


def _cross_matrix(vector: Any, xp: ModuleType) -> Any:
    """Matrix `[..., 3, 3]` of the cross product with `vector [..., 3]`."""
    x, y, z = xp.moveaxis(vector, -1, 0)
    zero = xp.zeros_like(x)
    rows = ((zero, -z, y), (z, zero, -x), (-y, x, zero))
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def _about(axis: str, angle: Any, xp: ModuleType) -> Any:
    """Rotation matrices `[..., 3, 3]` about a coordinate axis by angles `[...]`."""
    sine, cosine, zero, one = (
        xp.sin(angle),
        xp.cos(angle),
        xp.zeros_like(angle),
        xp.ones_like(angle),
    )
    rows = {
        "X": ((one, zero, zero), (zero, cosine, -sine), (zero, sine, cosine)),
        "Y": ((cosine, zero, sine), (zero, one, zero), (-sine, zero, cosine)),
        "Z": ((cosine, -sine, zero), (sine, cosine, zero), (zero, zero, one)),
    }[axis]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def _unit(vector: Any, xp: ModuleType) -> Any:
    """Vectors of length 1; one of length 0 stays, with a finite gradient."""
    square = xp.sum(vector * vector, axis=-1, keepdims=True)
    return vector / xp.sqrt(xp.where(square > 0, square, 1.0))
