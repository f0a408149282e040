"""Hand-region-2: the two points that define the square region of a hand."""

from jaxpose.skeletons.skeleton import Skeleton

HAND_REGION2 = Skeleton(
    name="hand_region2",
    keypoints=("centre", "lower_side"),
    limbs=(("centre", "lower_side"),),
    source="Grishchenko & Bazarevsky, MediaPipe Holistic, 2020",
)
