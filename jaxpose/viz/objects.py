"""Drawings of poses of objects: axes, and the box around the object."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from jaxpose.geometry.cameras import Camera
from jaxpose.geometry.pnp import project_points
from jaxpose.geometry.rigid import RigidPose, apply_pose
from jaxpose.viz.people import person_colors

_AXES = ((230, 60, 50), (60, 190, 70), (60, 110, 240))  # x, y and z
_SHIFT = 4  # digits behind the binary point of OpenCV's coordinates
# Pairs of corners that differ in one axis; bit i of a corner's number is axis i.
_EDGES = [(a, a | 1 << axis) for axis in range(3) for a in range(8) if not a >> axis & 1]
_NEAR = 10.0


def draw_objects(
    image: np.ndarray,
    objects: Sequence[tuple[Any, Any, RigidPose]],
    camera: Camera,
    *,
    colors: np.ndarray | None = None,
) -> np.ndarray:
    """Copy of an image with the axes and boxes of objects: x red, y green, z blue.

    Args:
      image: uint8 `[H, W, 3]`.
      objects: for each, two corners `[3]` of the box around it in its frame (mm), and its pose.
      camera: camera of the image, in whose frame the poses are.
      colors: uint8 `[N, 3]` RGB of the boxes; by number if None.
    """
    drawn = image.copy()
    colors = person_colors(np.arange(len(objects))) if colors is None else np.asarray(colors)
    thick = max(1, round(min(image.shape[:2]) / 200))
    for (low, high, pose), color in zip(objects, colors, strict=False):
        low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
        bits = np.arange(8)[:, None] >> np.arange(3) & 1
        box = np.where(bits, high, low)
        for a, b in _EDGES:
            _line(drawn, pose, box[[a, b]], camera, tuple(map(int, color)), thick)
        length = 0.6 * float((high - low).max())
        # The furthest axis first, so that the nearer ones are over it.
        for axis in np.argsort(-apply_pose(pose, length * np.eye(3))[:, 2]):
            ends = np.stack([np.zeros(3), length * np.eye(3)[axis]])
            _line(drawn, pose, ends, camera, _AXES[axis], 2 * thick)
    return drawn


def _line(
    image: np.ndarray,
    pose: RigidPose,
    ends: np.ndarray,
    camera: Camera,
    color: tuple[int, ...],
    thick: int,
) -> None:
    if (apply_pose(pose, ends)[:, 2] < _NEAR).any():
        return  # behind the camera
    a, b = np.rint(project_points(pose, ends, camera) * 2**_SHIFT).astype(int).tolist()
    if max(map(abs, (*a, *b))) < 2**20:
        cv2.line(image, a, b, color, thick, cv2.LINE_AA, _SHIFT)
