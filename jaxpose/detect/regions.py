"""Regions of bodies, hands and faces, from detections and from the landmarks of the last frame.

The rules are those of MediaPipe's graphs (pose, hand and face landmarks). Points are `[N, 2]` in
pixels from the image's outer edge.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from jaxpose.geometry.regions import Region, rotation_between

Found = Literal["people", "hands", "faces"]

_UP = math.pi / 2
# Joints of a hand that do not move with bent fingers: wrist, thumb, and two of each finger.
_PALM = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
_EYES = (33, 263)
# Least probability of visibility of a body's wrist from which a region is made.
_SEEN = 0.1


def person_region(box_xywh: np.ndarray, keypoints: np.ndarray) -> Region:
    """Region of a person from the middle of the hips and a point above it that gives the size.

    `keypoints` is `[K, 2]`. The second point is as far from the first as the edge of the person;
    its direction is that of the upright body.
    """
    del box_xywh  # the face's
    centre, end = keypoints[0], keypoints[1]
    side = 2.5 * float(np.linalg.norm(end - centre))
    return Region(float(centre[0]), float(centre[1]), side, rotation_between(centre, end, _UP))


def palm_region(box_xywh: np.ndarray, keypoints: np.ndarray) -> Region:
    """Region of a hand from its palm's box `[4]`, the wrist and the base of the middle finger."""
    rotation = rotation_between(keypoints[0], keypoints[2], _UP)
    width, height = box_xywh[2:].tolist()
    centre = box_xywh[:2] + box_xywh[2:] / 2
    x = float(centre[0]) + 0.5 * height * math.sin(rotation)
    y = float(centre[1]) - 0.5 * height * math.cos(rotation)
    return Region(x, y, 2.6 * max(width, height), rotation)


def face_region(box_xywh: np.ndarray, keypoints: np.ndarray) -> Region:
    """Region of a face from its box `[4]` and its eyes, the person's right one first."""
    rotation = rotation_between(keypoints[0], keypoints[1], 0.0)
    centre = box_xywh[:2] + box_xywh[2:] / 2
    side = 1.5 * float(box_xywh[2:].max())
    return Region(float(centre[0]), float(centre[1]), side, rotation)


REGIONS: dict[Found, Callable[[np.ndarray, np.ndarray], Region]] = {
    "people": person_region,
    "hands": palm_region,
    "faces": face_region,
}
"""Region for the landmarks' model, from the box `[4]` and the keypoints `[K, 2]` of a detection."""


def next_body(landmarks: np.ndarray) -> Region:
    """Region of a body in the next frame, from points 33 (centre) and 34 (size) of `[39, 2]`."""
    return person_region(np.zeros(4), landmarks[33:35])


def next_hand(landmarks: np.ndarray) -> Region:
    """Region of a hand in the next frame, from its landmarks `[21, 2]`."""
    index, middle, ring = landmarks[[5, 9, 13]]
    towards = ((index + ring) / 2 + middle) / 2
    rotation = rotation_between(landmarks[0], towards, _UP)
    return _around(landmarks[list(_PALM)], rotation, up=0.1).scaled(2.0)


def next_face(landmarks: np.ndarray) -> Region:
    """Region of a face in the next frame, from its landmarks `[468, 2]`."""
    rotation = rotation_between(landmarks[_EYES[0]], landmarks[_EYES[1]], 0.0)
    low, high = landmarks.min(axis=0), landmarks.max(axis=0)
    x, y = ((low + high) / 2).tolist()
    return Region(x, y, 1.5 * float((high - low).max()), rotation)


def face_of_body(landmarks: np.ndarray) -> Region:
    """Large region around the face of a body, from the first eleven of its landmarks `[33, 2]`.

    A detector of faces finds the face in it, see `face_in_region`.
    """
    face = landmarks[:11]
    rotation = rotation_between(face[5], face[2], 0.0)
    low, high = face.min(axis=0), face.max(axis=0)
    x, y = ((low + high) / 2).tolist()
    return Region(x, y, 3.0 * float((high - low).max()), rotation)


def face_in_region(keypoints: np.ndarray) -> Region:
    """Region of a face that a detector found within a rotated region, from its keypoints `[6, 2]`.

    The detection's box is not used: it encloses a rotated one.
    """
    rotation = rotation_between(keypoints[0], keypoints[1], 0.0)
    low, high = keypoints.min(axis=0), keypoints.max(axis=0)
    width, height = (high - low).tolist()
    side = max(width, height)
    x, y = ((low + high) / 2).tolist()
    return Region(x, y, side, rotation).scaled(2.0, up=0.1 * height / side if side else 0.0)


def hand_of_body(landmarks: np.ndarray, scores: np.ndarray, side: str) -> Region | None:
    """Large region around a hand of a body, from wrist and fingers; None if the wrist is hidden.

    The model `hand-region` finds the hand in it, see `hand_in_region`.

    Args:
      landmarks: `[33, 2]`.
      scores: `[33]` probabilities of visibility.
      side: "left" or "right", the person's own.
    """
    wrist, pinky, index = (15, 17, 19) if side == "left" else (16, 18, 20)
    if scores[wrist] < _SEEN:
        return None
    start = landmarks[wrist]
    middle = (2 * landmarks[index] + landmarks[pinky]) / 3
    length = float(np.linalg.norm(middle - start))
    if not length:
        return None
    x, y = middle.tolist()
    return Region(x, y, 2 * length, rotation_between(start, middle, _UP)).scaled(2.7, up=0.1)


def hand_in_region(points: np.ndarray) -> Region | None:
    """Region of a hand from the `[2, 2]` points of the model `hand-region`: centre and lower side.

    None if the points coincide.
    """
    centre, lower = points
    side = 2 * float(np.linalg.norm(lower - centre))
    if not side:
        return None
    x, y = centre.tolist()
    return Region(x, y, side, rotation_between(centre, lower, -_UP)).scaled(1.0, up=0.1)


def _around(points: np.ndarray, rotation: float, up: float) -> Region:
    """Square around the smallest rectangle of this rotation that contains all points.

    It is moved by `up` times the rectangle's height towards its own top.
    """
    cos, sin = math.cos(rotation), math.sin(rotation)
    turn = np.array([[cos, sin], [-sin, cos]])
    turned = points @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    centre = (low + high) / 2 - np.array([0.0, up * (high - low)[1]])
    x, y = (turn.T @ centre).tolist()
    return Region(x, y, float((high - low).max()), rotation)
