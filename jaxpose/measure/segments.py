"""Lengths of body segments."""

import numpy as np

from jaxpose.geometry.bones import bone_lengths
from jaxpose.measure.parts import columns, part
from jaxpose.skeletons import Skeleton

SEGMENTS: dict[str, tuple[str, str]] = {
    "trunk": ("hips", "shoulders"),
    "pelvis_width": ("left_hip", "right_hip"),
    "shoulder_width": ("left_shoulder", "right_shoulder"),
    **{
        f"{side}_{segment}": (f"{side}_{near}", f"{side}_{far}")
        for side in ("left", "right")
        for segment, near, far in (
            ("upper_arm", "shoulder", "elbow"),
            ("forearm", "elbow", "wrist"),
            ("thigh", "hip", "knee"),
            ("shank", "knee", "ankle"),
        )
    },
}
"""From joint centre to joint centre, as in Winter, Biomechanics and Motor Control of Human
Movement, 4th edition 2009, chapter 4."""


def segment_lengths(points: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Lengths `[...]` of the `SEGMENTS` that the skeleton has, in the unit of the points.

    In an image it is the projected length, at most the true one.

    Args:
      points: `[..., K, 2 or 3]`; NaN stays NaN.

    Raises:
      InputError: the points have another number of keypoints than the skeleton.
    """
    found = {}
    for name, (near, far) in SEGMENTS.items():
        if columns(near, skeleton) and columns(far, skeleton):
            ends = np.stack([part(points, skeleton, near), part(points, skeleton, far)], axis=-2)
            found[name] = bone_lengths(ends, [(0, 1)])[..., 0]
    return found
