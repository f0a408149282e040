"""Halpe-26: COCO-17, the head's top, the neck, the middle of the hips, and six foot points."""

from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_FEET = tuple(
    f"{side}_{point}" for point in ("big_toe", "small_toe", "heel") for side in ("left", "right")
)
_KEYPOINTS = (*COCO17.keypoints, "head", "neck", "hip", *_FEET)

HALPE26 = Skeleton(
    name="halpe26",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("hip", "neck", "head")),
        *chain(("neck", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("neck", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("hip", "left_hip", "left_knee", "left_ankle")),
        *chain(("hip", "right_hip", "right_knee", "right_ankle")),
        *chain(("nose", "left_eye", "left_ear")),
        *chain(("nose", "right_eye", "right_ear")),
        *(
            (f"{side}_ankle", f"{side}_{point}")
            for side in ("left", "right")
            for point in ("big_toe", "small_toe", "heel")
        ),
    ),
    upper_body=(*COCO17.upper_body, "head", "neck"),
    lower_body=(*COCO17.lower_body, "hip", *_FEET),
    # As in the evaluation code of Halpe-FullBody.
    sigmas=(*(COCO17.sigmas or ()), 0.026, 0.026, 0.066, *(0.079,) * 6),
    source="Fang et al., AlphaPose (Halpe-FullBody), TPAMI 2022; Li et al., PaStaNet, CVPR 2020",
)
