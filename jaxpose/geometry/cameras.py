"""Pinhole cameras with radial and tangential distortion, as OpenCV and Human3.6M define them.

Frames: world and camera in millimetres, x right, y down and z forward in the camera, `x_camera = R
x_world + t`; pixels `(x, y)` with centres at integers. Every function takes NumPy or JAX arrays and
returns the same kind; NumPy keeps float64. Leading axes `...` of cameras and points broadcast
against each other by NumPy's rules, in any number.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.namespace import (
    ArrayT,
    floating,
    namespace,
    prepend_axes,
    transform,
    transpose,
)

# Largest deviation of a calibrated rotation from orthonormal: files print few digits.
_ORTHONORMAL = 5e-3


class Camera(NamedTuple):
    """One camera, or a stack of cameras, as a pytree of arrays.

    Attributes:
      K: `[..., 3, 3]` intrinsics in pixels, with skew.
      R: `[..., 3, 3]` rotation, world to camera.
      t: `[..., 3]` the world's origin in the camera's frame, mm.
      distortion: `[..., 5]` (k1, k2, p1, p2, k3), or `[..., 8]` with k4, k5, k6 of the rational
        model.
    """

    K: Any
    R: Any
    t: Any
    distortion: Any

    @property
    def position(self) -> Any:
        """Optical centre in the world `[..., 3]`, mm: -Rᵀ t."""
        return -transform(transpose(self.R), self.t)

    def take(self, index: Any) -> "Camera":
        """Camera or cameras at an index of the leading axes, as in `array[index]`."""
        return Camera(*(field[index] for field in self))


def centred_camera(focal: float, image_hw: tuple[int, int], R: Any = None, t: Any = None) -> Camera:
    """Camera whose axis goes through the centre of its image, with square pixels.

    Args:
      focal: focal length, pixels.
      image_hw: height and width, pixels.
      R, t: as of `pinhole`; None is the identity and zero, for a world in the camera's frame.
    """
    height, width = image_hw
    K = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    return pinhole(K, np.eye(3) if R is None else R, np.zeros(3) if t is None else t)


def pinhole(K: Any, R: Any, t: Any, distortion: Any = None) -> Camera:
    """Checked float64 camera on the host; `t` may be a column, distortion may have 0 to 8 values.

    Args:
      K: `[..., 3, 3]`.
      R: `[..., 3, 3]`.
      t: `[..., 3]` or `[..., 3, 1]`, mm.
      distortion: `[..., n]`, n <= 8; absent terms are zero. The camera gets eight terms if those
        of the rational model are not zero, else five.

    Raises:
      InputError: as `check_cameras`; more than eight terms.
    """
    K, R, t = (np.asarray(value, np.float64) for value in (K, R, t))
    t = t[..., 0] if t.shape[-2:] == (3, 1) else t
    given = np.zeros((*t.shape[:-1], 0)) if distortion is None else np.asarray(distortion, float)
    if given.shape[-1] > 8 and np.any(given[..., 8:]):
        raise InputError(
            f"a camera has {given.shape[-1]} distortion terms; this model has eight (k1, k2, p1, "
            "p2, k3, k4, k5, k6): calibrate without the thin-prism and tilted terms"
        )
    kept = given[..., : 8 if np.any(given[..., 5:]) else 5]
    terms = np.zeros((*t.shape[:-1], 8 if kept.shape[-1] > 5 else 5))
    terms[..., : kept.shape[-1]] = kept
    camera = Camera(K, R, t, terms)
    check_cameras(camera)
    return camera


def stack(cameras: list[Camera]) -> Camera:
    """Stacks cameras `[...]` along a new first axis; distortions get one length."""
    terms = max(camera.distortion.shape[-1] for camera in cameras)
    cameras = [_with_terms(camera, terms) for camera in cameras]
    return Camera(*(namespace(*field).stack(field) for field in zip(*cameras, strict=True)))


def _with_terms(camera: Camera, terms: int) -> Camera:
    lens = camera.distortion
    if lens.shape[-1] == terms:
        return camera
    xp = namespace(lens)
    absent = xp.zeros((*lens.shape[:-1], terms - lens.shape[-1]), lens.dtype)
    return camera._replace(distortion=xp.concatenate([lens, absent], axis=-1))


def check_cameras(cameras: Camera, names: tuple[str, ...] = ()) -> None:
    """Checks cameras: shapes, finite values, invertible K, an R that neither mirrors nor stretches.

    `names` are the names of the cameras along the first axis, for messages. Host only.

    Raises:
      InputError: names the camera, the fault and a remedy.
    """
    shapes = [np.shape(field) for field in cameras]
    lead = shapes[2][:-1]
    terms = 8 if shapes[3][-1:] == (8,) else 5
    if shapes != [(*lead, 3, 3), (*lead, 3, 3), (*lead, 3), (*lead, terms)]:
        raise InputError(
            f"a camera has K, R, t, distortion of shapes {shapes}; they have to be [.., 3, 3], "
            "[.., 3, 3], [.., 3] and [.., 5] or [.., 8]"
        )
    fields = [np.asarray(f, np.float64).reshape(-1, *f.shape[len(lead) :]) for f in cameras]
    for index, (K, R, t, distortion) in enumerate(zip(*fields, strict=True)):
        name = repr(names[index]) if index < len(names) else str(index)
        fault = _fault(K, R, t, distortion)
        if fault:
            raise InputError(f"camera {name}: {fault}")


def _fault(K: np.ndarray, R: np.ndarray, t: np.ndarray, distortion: np.ndarray) -> str:
    for label, value in (("K", K), ("R", R), ("t", t), ("distortion", distortion)):
        if not np.isfinite(value).all():
            return f"{label} has values that are not finite; leave the camera out or calibrate it"
    if K[0, 0] <= 0 or K[1, 1] <= 0 or np.any(K[2] != (0, 0, 1)) or K[1, 0] != 0:
        return (
            f"K is not an intrinsic matrix (singular, or not [[fx, s, cx], [0, fy, cy], [0, 0, 1]] "
            f"with fx, fy > 0): {K.tolist()}"
        )
    determinant = np.linalg.det(R)
    if abs(determinant) < 0.5:
        return f"R is singular (determinant {determinant:.3g}); it has to be a rotation"
    if determinant < 0:
        return (
            "R mirrors the world (determinant -1); an axis is flipped or two axes are exchanged "
            "in the calibration"
        )
    if np.abs(R @ R.T - np.eye(3)).max() > _ORTHONORMAL:
        return f"R is not orthonormal (determinant {determinant:.4g}); it has to be a rotation"
    return ""


def world_to_camera(camera: Camera, points: ArrayT) -> ArrayT:
    """Transforms world points `[..., N, 3]` to the camera's frame, mm."""
    R, t, points = _paired(camera.R, camera.t, points)
    return transform(R, points) + t


def camera_to_world(camera: Camera, points: ArrayT) -> ArrayT:
    """Transforms points `[..., N, 3]` of the camera's frame to the world, mm."""
    R, t, points = _paired(camera.R, camera.t, points)
    return transform(transpose(R), points - t)


def distort(distortion: ArrayT, points: ArrayT) -> ArrayT:
    """Applies lens distortion to ideal image points `[..., N, 2]` (x / z, y / z).

    Brown-Conrady with `distortion [..., 5]`: x (1 + k1 r² + k2 r⁴ + k3 r⁶) + 2 p1 x y + p2 (r² + 2
    x²), and likewise y. With `[..., 8]`, the radial factor is divided by (1 + k4 r² + k5 r⁴ + k6
    r⁶), OpenCV's rational model. Both are valid inside the calibrated field of view; far outside
    it, the mapping folds back.
    """
    return distort_with_jacobian(distortion, points)[0]


def undistort(distortion: ArrayT, points: ArrayT, iterations: int = 8) -> ArrayT:
    """Inverts `distort` by a fixed number of Newton steps; differentiable.

    Eight steps reach rounding error for lenses that do not fold within the image.
    """
    xp = namespace(distortion, points)
    ideal = points
    for _ in range(iterations):
        seen, (a, b, c, d) = distort_with_jacobian(distortion, ideal)
        x, y = seen[..., 0] - points[..., 0], seen[..., 1] - points[..., 1]
        determinant = a * d - b * c
        ideal = ideal - xp.stack([d * x - b * y, a * y - c * x], axis=-1) / determinant[..., None]
    return ideal


def distort_with_jacobian(
    distortion: ArrayT, points: ArrayT
) -> tuple[ArrayT, tuple[Any, Any, Any, Any]]:
    """Distorted points as of `distort`, and the Jacobian (dx/dx, dx/dy, dy/dx, dy/dy)."""
    xp = namespace(distortion, points)
    rank = max(distortion.ndim + 1, points.ndim)
    terms = prepend_axes(distortion[..., None, :], rank)
    points = prepend_axes(points, rank)
    k1, k2, p1, p2, k3 = (terms[..., i] for i in range(5))
    x, y = points[..., 0], points[..., 1]
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + r2 * 3 * k3))  # derivative of `radial` by r², doubled
    if terms.shape[-1] == 8:
        k4, k5, k6 = (terms[..., i] for i in range(5, 8))
        below = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
        radial = radial / below
        slope = (slope - 2 * radial * (k4 + r2 * (2 * k5 + r2 * 3 * k6))) / below
    seen_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    seen_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    across = x * y * slope + 2 * p1 * x + 2 * p2 * y
    along_x = radial + x * x * slope + 2 * p1 * y + 6 * p2 * x
    along_y = radial + y * y * slope + 6 * p1 * y + 2 * p2 * x
    return xp.stack([seen_x, seen_y], axis=-1), (along_x, across, across, along_y)


def project(camera: Camera, points: ArrayT) -> ArrayT:
    """Projects world points `[..., N, 3]` to pixels `[..., N, 2]`.

    A point behind the camera gets the pixel of its mirror image: check z > 0 with
    `world_to_camera`.
    """
    local = world_to_camera(camera, points)
    ideal = local[..., :2] / local[..., 2:]
    return to_pixels(camera.K, distort(camera.distortion, ideal))


def to_pixels(K: ArrayT, image: ArrayT) -> ArrayT:
    """Pixels `[..., N, 2]` of image points (x / z, y / z) by intrinsics `[..., 3, 3]`."""
    rank = max(K.ndim, image.ndim)
    K, image = prepend_axes(K[..., None, :, :], rank + 1), prepend_axes(image, rank)
    xp = namespace(K, image)
    x, y = image[..., 0], image[..., 1]
    column = K[..., 0, 0] * x + K[..., 0, 1] * y + K[..., 0, 2]
    return xp.stack([column, K[..., 1, 1] * y + K[..., 1, 2]], axis=-1)


def normalise(camera: Camera, pixels: ArrayT, iterations: int = 8) -> ArrayT:
    """Converts pixels `[..., N, 2]` to undistorted ideal image points (x / z, y / z)."""
    xp = namespace(camera.K, pixels)
    rank = max(camera.K.ndim, pixels.ndim)
    K = prepend_axes(camera.K[..., None, :, :], rank + 1)
    pixels = prepend_axes(floating(pixels, xp), rank)
    y = (pixels[..., 1] - K[..., 1, 2]) / K[..., 1, 1]
    x = (pixels[..., 0] - K[..., 0, 2] - K[..., 0, 1] * y) / K[..., 0, 0]
    return undistort(camera.distortion, xp.stack([x, y], axis=-1), iterations)


def back_project(camera: Camera, pixels: ArrayT, depth: ArrayT) -> ArrayT:
    """World points `[..., N, 3]` at pixels `[..., N, 2]` and depths `[..., N]` (mm along z)."""
    xp = namespace(camera.K, pixels, depth)
    image = normalise(camera, pixels)
    depth = prepend_axes(depth, image.ndim - 1)[..., None]
    image, depth = xp.broadcast_arrays(image, depth)
    return camera_to_world(camera, xp.concatenate([image * depth, depth[..., :1]], axis=-1))


def rays(camera: Camera, pixels: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Rays through pixels `[..., N, 2]`.

    Returns:
      origins `[..., 1, 3]` mm and unit directions `[..., N, 3]`, in the world.
    """
    xp = namespace(camera.K, pixels)
    image = normalise(camera, pixels)
    ahead = xp.concatenate([image, xp.ones_like(image[..., :1])], axis=-1)
    ahead = ahead / xp.sqrt(xp.sum(ahead * ahead, axis=-1, keepdims=True))
    rank = max(ahead.ndim + 1, camera.R.ndim + 1)
    turned = transform(
        transpose(prepend_axes(camera.R[..., None, :, :], rank)), prepend_axes(ahead, rank - 1)
    )
    return prepend_axes(camera.position[..., None, :], rank - 1), turned


def look_at(position: ArrayT, target: ArrayT, up: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Rotation `[..., 3, 3]` and translation `[..., 3]` of an upright camera that faces a target.

    `position`, `target`, `up`: `[..., 3]` in the world, of one shape; `up` not along the view.
    """
    xp = namespace(position, target, up)
    forward = _unit(target - position)
    right = _unit(xp.cross(forward, up))
    R = xp.stack([right, xp.cross(forward, right), forward], axis=-2)
    return R, -transform(R, position)


def random_cameras(
    key: jax.Array,
    subjects: jax.Array,
    *,
    up: tuple[float, float, float] = (0.0, 0.0, 1.0),
    image_wh: tuple[int, int] = (1000, 1000),
    distance: tuple[float, float] = (3000.0, 6000.0),
    elevation_degrees: tuple[float, float] = (-10.0, 30.0),
    focal: tuple[float, float] = (1000.0, 1300.0),
    aim: float = 200.0,
) -> Camera:
    """Draws virtual cameras that face subjects from any bearing, without distortion.

    Args:
      key: a JAX key; the same key gives the same cameras.
      subjects: `[..., 3]` target points, mm; one camera each.
      up: the world's vertical.
      image_wh: the image's size; the principal point is its centre.
      distance: range of distances from the subject, mm.
      elevation_degrees: range of angles above the subject's horizon, within -80 to 80.
      focal: range of focal lengths, pixels.
      aim: standard deviation of the target point, mm along each axis.
    """
    lead = subjects.shape[:-1]
    keys = jax.random.split(key, 5)
    bearing = jax.random.uniform(keys[0], lead, maxval=2 * np.pi)
    low, high = np.deg2rad(elevation_degrees)
    elevation = jax.random.uniform(keys[1], lead, minval=low, maxval=high)
    away = jax.random.uniform(keys[2], lead, minval=distance[0], maxval=distance[1])
    length = jax.random.uniform(keys[3], lead, minval=focal[0], maxval=focal[1])
    targets = subjects + aim * jax.random.normal(keys[4], subjects.shape)

    vertical = _unit(np.asarray(up, np.float32))
    # Any horizontal axis works, since the bearing is uniform; the least vertical one is stable.
    first = _unit(np.cross(vertical, np.eye(3, dtype=np.float32)[np.argmin(np.abs(vertical))]))
    axes = [prepend_axes(jnp.asarray(a), subjects.ndim) for a in (first, np.cross(vertical, first))]
    vertical = prepend_axes(jnp.asarray(vertical), subjects.ndim)
    flat = jnp.cos(bearing)[..., None] * axes[0] + jnp.sin(bearing)[..., None] * axes[1]
    direction = jnp.cos(elevation)[..., None] * flat + jnp.sin(elevation)[..., None] * vertical
    position = subjects + away[..., None] * direction
    R, t = look_at(position, targets, jnp.broadcast_to(vertical, position.shape))

    centre = [jnp.full(lead, 0.5 * (size - 1)) for size in image_wh]
    zero, one = jnp.zeros(lead), jnp.ones(lead)
    entries = [length, zero, centre[0], zero, length, centre[1], zero, zero, one]
    K = jnp.stack(entries, axis=-1).reshape(*lead, 3, 3)
    return Camera(K, R, t, jnp.zeros((*lead, 5)))


def _unit(vectors: Any) -> Any:
    xp = namespace(vectors)
    return vectors / xp.sqrt(xp.sum(vectors * vectors, axis=-1, keepdims=True))


def _paired(R: Any, t: Any, points: Any) -> tuple[Any, Any, Any]:
    """R `[..., 1, 3, 3]`, t `[..., 1, 3]` and points `[..., N, 3]` with matching ranks."""
    rank = max(t.ndim + 1, points.ndim)
    return (
        prepend_axes(R[..., None, :, :], rank + 1),
        prepend_axes(t[..., None, :], rank),
        prepend_axes(floating(points, namespace(R, points)), rank),
    )
