"""Joint limits: detects angles that are impossible for a body."""

from dataclasses import dataclass

import numpy as np

from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class Limit:
    """Range of the angle between two bones at a joint.

    Attributes:
      joints: three tuples of alternative names: one end, the joint itself, the other end.
      degrees: smallest and largest interior angle; 180 is straight.
    """

    joints: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    degrees: tuple[float, float]


# Elbow and knee bend to some 150 degrees (American Academy of Orthopaedic Surgeons, "Joint Motion",
# 1965), which leaves 30; the rest is for keypoints that are not the centres of rotation.
_SMALLEST = 15.0
BODY_LIMITS: tuple[Limit, ...] = (
    Limit((("left_shoulder",), ("left_elbow",), ("left_wrist",)), (_SMALLEST, 180.0)),
    Limit((("right_shoulder",), ("right_elbow",), ("right_wrist",)), (_SMALLEST, 180.0)),
    Limit((("left_hip",), ("left_knee",), ("left_foot", "left_ankle")), (_SMALLEST, 180.0)),
    Limit((("right_hip",), ("right_knee",), ("right_foot", "right_ankle")), (_SMALLEST, 180.0)),
)


def joint_angles(points: np.ndarray, triples: np.ndarray) -> np.ndarray:
    """Interior angles `[..., M]` in degrees at the middle of `triples [M, 3]` of joint indices.

    `points` is `[..., K, 3]`; NaN where a joint is missing or a bone has no length.
    """
    first, middle, last = (points[..., index, :] for index in np.asarray(triples, int).T)
    one, other = first - middle, last - middle
    across = np.linalg.norm(np.cross(one, other), axis=-1)
    along = (one * other).sum(axis=-1)
    angle = np.degrees(np.arctan2(across, along))
    return np.where((across == 0) & (along == 0), np.nan, angle)


def beyond_limits(
    points: np.ndarray, skeleton: Skeleton, limits: tuple[Limit, ...] = BODY_LIMITS
) -> dict[str, np.ndarray]:
    """Degrees by which each limited joint of `points [..., K, 3]` exceeds its range.

    Returns:
      for each joint of the skeleton that has a limit, `[...]` degrees: 0 within, NaN where a
      keypoint is missing. Limits of joints that the skeleton lacks are ignored.
    """
    found = {}
    for limit in limits:
        names = [next((n for n in a if n in skeleton.keypoints), None) for a in limit.joints]
        indices = [skeleton.index(name) for name in names if name is not None]
        if len(set(indices)) < 3:
            continue
        angle = joint_angles(points, np.array([indices]))[..., 0]
        low, high = limit.degrees
        found[str(names[1])] = np.maximum(np.maximum(low - angle, angle - high), 0.0)
    return found
