"""Measurements of skeletons over time: pure functions of points `[T, K, 2 or 3]`.

2D points are pixels (y down), 3D points millimetres whose vertical is `up`. Missing keypoints are
NaN, and so are results that depend on them. An angle in an image is that of the projection: it
equals the joint's angle only where the limb moves perpendicular to the line of sight.
"""

from jaxpose.measure.angles import ANGLES, Angle, angle, angles, inclination
from jaxpose.measure.face import HeadPose, eye_aspect_ratio, head_pose, mouth_opening
from jaxpose.measure.fall import FallSigns, fall_signs, falls
from jaxpose.measure.gait import Steps, cadence, step_events, step_times
from jaxpose.measure.repetition import Repetitions, count_repetitions
from jaxpose.measure.segments import SEGMENTS, segment_lengths
from jaxpose.measure.symmetry import Sides, compare_sides, symmetry_index

__all__ = [
    "ANGLES",
    "SEGMENTS",
    "Angle",
    "FallSigns",
    "HeadPose",
    "Repetitions",
    "Sides",
    "Steps",
    "angle",
    "angles",
    "cadence",
    "compare_sides",
    "count_repetitions",
    "eye_aspect_ratio",
    "fall_signs",
    "falls",
    "head_pose",
    "inclination",
    "mouth_opening",
    "segment_lengths",
    "step_events",
    "step_times",
    "symmetry_index",
]
