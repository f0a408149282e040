"""Angles of joints, and of the trunk to the vertical."""

from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError, nearest
from jaxpose.measure.parts import columns, part, upwards
from jaxpose.motion.limits import joint_angles
from jaxpose.skeletons import Skeleton


class Angle(NamedTuple):
    """Interior angle at `joint` between the directions to `one` and to `other`."""

    one: str
    joint: str
    other: str


def _sided(one: str, joint: str, other: str) -> dict[str, Angle]:
    return {
        f"{side}_{joint}": Angle(f"{side}_{one}", f"{side}_{joint}", f"{side}_{other}")
        for side in ("left", "right")
    }


ANGLES: dict[str, Angle] = {
    **_sided("hip", "knee", "ankle"),
    **_sided("shoulder", "hip", "knee"),
    **_sided("shoulder", "elbow", "wrist"),
    **_sided("hip", "shoulder", "elbow"),
    **_sided("knee", "ankle", "toe"),
}
"""By the name of the joint. 180 degrees is straight; flexion in the sense of the International
Society of Biomechanics (Wu et al., J. Biomechanics 2002 and 2005) is 180 minus a knee or elbow."""


def angle(points: np.ndarray, skeleton: Skeleton, name: str) -> np.ndarray:
    """Angle of a joint of `ANGLES`, `[...]` degrees in [0, 180], from points `[..., K, 2 or 3]`.

    The angle is atan2(|a x b|, a . b) between the directions a, b to the neighbours; NaN where a
    keypoint is missing or two coincide.

    Raises:
      InputError: no such angle, or the skeleton lacks a keypoint for it.
    """
    if name not in ANGLES:
        raise InputError(f"there is no angle {name!r}.{nearest(name, ANGLES)}")
    found = [part(points, skeleton, end) for end in ANGLES[name]]
    if not _has(skeleton, ANGLES[name]):
        raise InputError(
            f"The angle {name!r} is that of {', '.join(ANGLES[name])}, of which skeleton "
            f"{skeleton.name!r} lacks one."
        )
    triple = np.stack(found, axis=-2)
    if triple.shape[-1] == 2:
        triple = np.concatenate([triple, np.zeros((*triple.shape[:-1], 1))], axis=-1)
    return joint_angles(triple, np.array([[0, 1, 2]]))[..., 0]


def angles(points: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """All angles of `ANGLES` that the skeleton has keypoints for, `[...]` degrees; see `angle`.

    Raises:
      InputError: the points have another number of keypoints than the skeleton.
    """
    found = {}
    for name, ends in ANGLES.items():
        if _has(skeleton, ends):
            found[name] = angle(points, skeleton, name)
    return found


def has_angle(skeleton: Skeleton, name: str) -> bool:
    """True if `name` is an angle of `ANGLES` for which the skeleton has keypoints."""
    return name in ANGLES and _has(skeleton, ANGLES[name])


def _has(skeleton: Skeleton, ends: Angle) -> bool:
    """True if the skeleton has three keypoints for an angle: an ankle in place of a toe is none."""
    places = [columns(end, skeleton) for end in ends]
    return all(places) and len({str(place) for place in places}) == 3


def inclination(points: np.ndarray, skeleton: Skeleton, up: str = "-y") -> np.ndarray:
    """Angle `[...]` in degrees from the vertical to the trunk: 0 upright, 90 lying.

    The trunk is the line from the hips to the shoulders.

    Args:
      points: `[..., K, 2 or 3]`.
      up: the axis that points up.

    Raises:
      InputError: the skeleton has no hips or shoulders, or no such axis.
    """
    trunk = part(points, skeleton, "shoulders") - part(points, skeleton, "hips")
    rise = trunk @ upwards(trunk.shape[-1], up)
    across = np.sqrt(np.maximum((trunk**2).sum(axis=-1) - rise**2, 0))
    return np.where((across == 0) & (rise == 0), np.nan, np.degrees(np.arctan2(across, rise)))
