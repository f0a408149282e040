"""Position of the root for joints that are known only relative to the root."""

import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.geometry.cameras import Camera, check_cameras, normalise
from jaxpose.skeletons import Skeleton

_FEET, _SHOULDERS = ("ankle", "foot"), ("shoulder",)


def on_floor(points: np.ndarray, up: str = "-y") -> np.ndarray:
    """Moves `points [T, K, 3]` vertically so that the lowest joint of each frame is at height 0.

    So a person who squats moves down instead of lifting the feet; a person who jumps stays on the
    floor. In a frame with missing joints (NaN), the lowest of the other joints is at height 0.
    """
    points = np.asarray(points, np.float64)
    height = y_up(points, up)[..., 1]
    known = np.isfinite(height)
    lowest = np.where(known, height, np.inf).min(axis=1)
    lowest = np.where(known.any(axis=1), lowest, 0.0)
    vertical = y_up(np.eye(3), up)[:, 1]
    return points - lowest[:, None, None] * vertical[None, None]


def levelled(points: np.ndarray, tilt: float) -> np.ndarray:
    """Rotates `points [..., 3]` of a camera tilted down by `tilt` degrees to a level frame.

    The camera's axes: x right, y down, z forward.
    """
    angle = np.deg2rad(tilt)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[1.0, 0, 0], [0, cos, sin], [0, -sin, cos]])
    return np.asarray(points, np.float64) @ turn.T


def tilt_of(points: np.ndarray, skeleton: Skeleton) -> float:
    """Downward tilt in degrees of the camera of `points [T, K, 3]`, if people stand upright.

    Measured from ankles to shoulders in the half of the frames where the body is longest; 0 where
    that direction is nearer to lying than to upright, and for a skeleton without ankles or
    shoulders. As people lean, the error is about 7 degrees (median over the standing clips of
    Human3.6M's S9 and S11).
    """
    names = [[f"{side}_{joint}" for side in ("left", "right")] for joint in _FEET + _SHOULDERS]
    here = [[skeleton.index(n) for n in pair if n in skeleton.keypoints] for pair in names]
    feet, shoulders = ([i for pair in half for i in pair] for half in (here[:2], here[2:]))
    if len(feet) < 2 or len(shoulders) < 2:
        return 0.0
    body = points[:, feet].mean(axis=1) - points[:, shoulders].mean(axis=1)
    body = body[np.isfinite(body).all(axis=1)]
    if not len(body):
        return 0.0
    length = np.linalg.norm(body, axis=1)
    x, y, z = body[length >= np.median(length)].mean(axis=0)
    if y < np.hypot(x, z):
        return 0.0
    return float(np.degrees(np.arctan2(z, y)))


def before_camera(
    camera: Camera,
    points: np.ndarray,
    keypoints: np.ndarray,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Moves `points [T, K, 3]` in mm, about any origin, to fit the `keypoints` of a camera.

    For each frame this is the one shift that brings the lines of sight closest to the joints, by
    linear least squares. The result is in the camera's frame; its error in depth is proportional to
    that of the focal length and of the body's size.

    Args:
      camera: K and distortion are used; without leading axes.
      points: along the camera's axes; NaN is ignored.
      keypoints: `[T, K, 2]` pixels.
      weights: `[T, K]`, 0 where missing.

    Returns:
      `[T, K, 3]` mm; NaN in frames of fewer than two joints.

    Raises:
      InputError: shapes that do not fit, an invalid camera.
    """
    points, keypoints = np.asarray(points, np.float64), np.asarray(keypoints, np.float64)
    if points.ndim != 3 or points.shape[-1] != 3 or keypoints.shape != (*points.shape[:2], 2):
        raise InputError(
            f"points of shape {points.shape} and keypoints of {keypoints.shape}; they have to be "
            "[T, K, 3] and [T, K, 2]"
        )
    check_cameras(camera)
    known = np.isfinite(points).all(axis=-1) & np.isfinite(keypoints).all(axis=-1)
    trust = known * (np.ones(known.shape) if weights is None else np.asarray(weights, np.float64))
    filled = np.where(known[..., None], points, 0.0)
    rays = normalise(camera, np.where(known[..., None], keypoints, 0.0))
    # u (Z + z) = X + x, and likewise for y: linear in the shift (X, Y, Z).
    zero, one = np.zeros(known.shape), np.ones(known.shape)
    rows = np.stack(
        [
            np.stack([one, zero, -rays[..., 0]], axis=-1),
            np.stack([zero, one, -rays[..., 1]], axis=-1),
        ],
        axis=-2,
    )
    right = rays * filled[..., 2:] - filled[..., :2]
    rows, right = trust[..., None, None] * rows, trust[..., None] * right
    normal = np.einsum("tkai,tkaj->tij", rows, rows)
    shift = np.full((len(points), 3), np.nan)
    enough = (trust > 0).sum(axis=1) >= 2
    downhill = np.einsum("tkai,tka->ti", rows, right)[enough]
    shift[enough] = np.linalg.solve(normal[enough], downhill[..., None])[..., 0]
    return points + shift[:, None]
