"""Pose of the head, and openness of eyes and mouth, from landmarks of a face.

Skeletons with the markup of 68 points (`face68`, `face98`, `coco_wholebody133`, `halpe136`), with
the corners of eyes and mouth and the nose (`face106`, `aflw19`, `cofw29`), or with MediaPipe's mesh
(`facemesh468`) have the points. Left and right are the person's own.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import FACEMESH468, Skeleton

# Mean head in millimetres: number in MediaPipe's mesh, and (x to the person's left, y down, z to
# the back of the head) from the middle between the eyes' outer corners. It is the Procrustes mean
# of the mesh that MediaPipe's face model predicts in 37 photographs, made symmetric, at 90 mm
# between the outer corners. Its upright is the line from the middle of the eyes to that of the
# mouth's corners, which have z = 0.
_CORNERS = {
    "right_eye_outer_corner": (33, (-45.0, 0.0, 0.0)),
    "left_eye_outer_corner": (263, (45.0, 0.0, 0.0)),
    "right_eye_inner_corner": (133, (-17.6, 2.0, -5.6)),
    "left_eye_inner_corner": (362, (17.6, 2.0, -5.6)),
    "right_mouth_corner": (61, (-25.1, 67.2, 0.0)),
    "left_mouth_corner": (291, (25.1, 67.2, 0.0)),
    "nose_tip": (4, (0.0, 37.0, -40.0)),
    "nose_base": (2, (0.0, 48.1, -21.8)),
}
# Used where the skeleton has all points of the nose in the markup of 68 points.
_NOSE = {
    "nose_bridge_1": (168, (0.0, -2.3, -21.8)),
    "nose_bridge_2": (197, (0.0, 14.0, -29.4)),
    "nose_bridge_3": (5, (0.0, 28.5, -38.3)),
    "right_nostril_1": (75, (-12.5, 43.8, -18.6)),
    "right_nostril_2": (97, (-7.3, 47.9, -20.1)),
    "left_nostril_2": (326, (7.3, 47.9, -20.1)),
    "left_nostril_1": (305, (12.5, 43.8, -18.6)),
}
# Points that a pose needs: three are exact for any pose of a rigid body, and more damp noise.
_LEAST = 6

# Corners, then the upper and the lower lid at two places, as Soukupova and Cech number them.
_EYES = {
    "right": (
        *("right_eye_outer_corner", "right_eye_upper_outer", "right_eye_upper_inner"),
        *("right_eye_inner_corner", "right_eye_lower_inner", "right_eye_lower_outer"),
    ),
    "left": (
        *("left_eye_inner_corner", "left_eye_upper_inner", "left_eye_upper_outer"),
        *("left_eye_outer_corner", "left_eye_lower_outer", "left_eye_lower_inner"),
    ),
}
_MESH_EYES = {"right": (33, 160, 158, 133, 153, 144), "left": (362, 385, 387, 263, 373, 380)}
# Upper and lower inner lip in the middle, and the inner corners.
_MOUTH = (
    *("inner_upper_lip", "inner_lower_lip"),
    *("right_inner_mouth_corner", "left_inner_mouth_corner"),
)
_MESH_MOUTH = (13, 14, 78, 308)


class HeadPose(NamedTuple):
    """Pose of heads in degrees and millimetres; NaN where too few landmarks are known.

    A face that faces straight into the camera, upright, has all angles 0. The head is turned by
    roll about the line of sight, then by pitch, then by yaw about the camera's vertical
    (`R = Ry(-yaw) Rx(-pitch) Rz(roll)`, camera axes x right, y down, z forward).

    Attributes:
      yaw: `[...]`, positive if the face turns to the person's left, which is right in the image.
      pitch: `[...]`, positive if the face turns up.
      roll: `[...]`, positive if the head leans to the person's left shoulder: clockwise in the
        image.
      position: `[..., 3]` millimetres from the camera to the middle between the eyes, for a head of
        mean size and the given focal length.
      error: `[...]` root mean square distance of the landmarks from those of the mean head, pixels.
    """

    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    position: np.ndarray
    error: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """JSON-able lists by name, with None for NaN; `position_mm` and `error_px` have units."""
        names = ("yaw", "pitch", "roll", "position_mm", "error_px")
        return {name: _plain(values) for name, values in zip(names, self, strict=True)}


def head_pose(
    points: np.ndarray,
    skeleton: Skeleton,
    image_hw: tuple[int, int],
    focal: float | None = None,
) -> HeadPose:
    """Pose of the head from 2D landmarks `[..., K, 2]`, by the perspective of a mean head.

    Landmarks that do not move with expressions are used: corners of eyes and mouth, and the nose.

    Args:
      points: pixels of the image, NaN where a landmark is missing.
      skeleton: names of the landmarks.
      image_hw: height and width of the image; the camera is aimed at its middle.
      focal: focal length in pixels; None takes the longer side of the image, a field of view of 53
        degrees. Angles depend little on it: a focal length twice too long changes those of a face
        in the middle of the image by few degrees.

    Raises:
      InputError: the skeleton has fewer than six of the landmarks, or points of another shape.
    """
    import cv2

    points = _checked(points, skeleton)
    columns, model = _head(skeleton)
    height, width = image_hw
    focal = float(max(height, width)) if focal is None else float(focal)
    if not focal > 0:
        raise InputError(f"The focal length must be positive, and is {focal}.")
    camera = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    flat = points.reshape(-1, *points.shape[-2:])[:, columns]
    found = np.full((len(flat), 7), np.nan)
    for row, seen in enumerate(flat):
        known = np.isfinite(seen).all(axis=-1)
        if known.sum() < _LEAST:
            continue
        corners, places = model[known], seen[known][:, None]
        solved, turn, shift = cv2.solvePnP(corners, places, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        if not solved:
            continue
        turn, shift = cv2.solvePnPRefineLM(corners, places, camera, None, turn, shift)
        projected, _ = cv2.projectPoints(corners, turn, shift, camera, None)
        error = np.sqrt(((projected - places) ** 2).sum(axis=-1).mean())
        found[row] = *_angles(cv2.Rodrigues(turn)[0]), *shift[:, 0], error
    found = found.reshape(*points.shape[:-2], 7)
    yaw, pitch, roll = (found[..., i] for i in range(3))
    return HeadPose(yaw, pitch, roll, found[..., 3:6], found[..., 6])


def eye_aspect_ratio(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Openness of the right and the left eye, `[..., 2]`, from landmarks `[..., K, 2 or 3]`.

    Mean height of the lids divided by the width of the eye: about 0.3 for an open eye, below 0.2
    for a closed one. Soukupova and Cech, Real-Time Eye Blink Detection using Facial Landmarks, CVWW
    2016, eq. 1.

    Raises:
      InputError: the skeleton lacks the eyes' points, or points of another shape.
    """
    points = _checked(points, skeleton)
    ratios = []
    for side, names in _EYES.items():
        ends = points[..., _columns(skeleton, names, _MESH_EYES[side], "eyes"), :]
        p1, p2, p3, p4, p5, p6 = (ends[..., i, :] for i in range(6))
        ratios.append((_length(p2 - p6) + _length(p3 - p5)) / (2 * _length(p1 - p4)))
    return np.stack(ratios, axis=-1)


def mouth_opening(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Distance of the inner lips over the width of the mouth, `[...]`; 0 if closed.

    It is the eyes' ratio (see `eye_aspect_ratio`) with the middle of the lips as the one pair.

    Raises:
      InputError: the skeleton lacks the inner lips, or points of another shape.
    """
    points = _checked(points, skeleton)
    ends = points[..., _columns(skeleton, _MOUTH, _MESH_MOUTH, "inner lips"), :]
    upper, lower, right, left = (ends[..., i, :] for i in range(4))
    width: np.ndarray = _length(right - left)
    return _length(upper - lower) / width


def _head(skeleton: Skeleton) -> tuple[list[int], np.ndarray]:
    """Columns of the landmarks that a skeleton has, and their places `[N, 3]` on the mean head."""
    table = {**_CORNERS, **_NOSE}
    if skeleton.keypoints == FACEMESH468.keypoints:
        columns = [number for number, _ in table.values()]
        return columns, np.array([place for _, place in table.values()])
    if not {*_NOSE, "nose_tip"} <= set(skeleton.keypoints):
        table = _CORNERS
    names = [name for name in table if name in skeleton.keypoints]
    if len(names) < _LEAST:
        raise InputError(
            f"Skeleton {skeleton.name!r} has {len(names)} of the landmarks that a head's pose is "
            f"computed from, and {_LEAST} are needed, such as {', '.join(list(_CORNERS)[:4])}."
        )
    return [skeleton.index(name) for name in names], np.array([table[name][1] for name in names])


def _columns(
    skeleton: Skeleton, names: tuple[str, ...], mesh: tuple[int, ...], what: str
) -> list[int]:
    if skeleton.keypoints == FACEMESH468.keypoints:
        return list(mesh)
    absent = [name for name in names if name not in skeleton.keypoints]
    if absent:
        raise InputError(
            f"Skeleton {skeleton.name!r} has no points of the {what}: {', '.join(absent)}."
        )
    return [skeleton.index(name) for name in names]


def _checked(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.ndim < 2 or points.shape[-2] != skeleton.num_keypoints or points.shape[-1] > 3:
        raise InputError(
            f"points {list(points.shape)} are not [..., {skeleton.num_keypoints}, 2], as skeleton "
            f"{skeleton.name!r} needs"
        )
    return points


def _angles(rotation: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of a rotation `[3, 3]` from head to camera."""
    yaw = -np.arctan2(rotation[0, 2], rotation[2, 2])
    pitch = np.arcsin(np.clip(rotation[1, 2], -1, 1))
    roll = np.arctan2(rotation[1, 0], rotation[1, 1])
    return tuple(np.degrees([yaw, pitch, roll]).tolist())


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.sqrt((vectors**2).sum(axis=-1))


def _plain(values: np.ndarray) -> Any:
    rounded = np.round(np.asarray(values, np.float64), 3)
    plain = rounded.astype(object)
    plain[~np.isfinite(rounded)] = None
    return plain.tolist()
