"""COCO-WholeBody-133: COCO-17, six foot points, a face of 68 and two hands of 21."""

from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.face68 import FACE68
from jaxpose.skeletons.hand21 import hand_keypoints, hand_limbs
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name

_FEET = tuple(
    f"{side}_{point}" for side in ("left", "right") for point in ("big_toe", "small_toe", "heel")
)
# Annotators mark a hand's own root beside the body's wrist, so the two are separate keypoints.
_HANDS = tuple(
    name
    for side in ("left", "right")
    for name in hand_keypoints(root=f"{side}_hand_root", prefix=f"{side}_")
)
_KEYPOINTS = (*COCO17.keypoints, *_FEET, *FACE68.keypoints, *_HANDS)

_FOOT_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
_FACE_SIGMAS = (
    *(0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020),  # jaw, right side and chin
    *(0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041, 0.045),  # jaw, left side
    *(0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015),  # brows
    *(0.009, 0.007, 0.007, 0.007, 0.012, 0.009, 0.008, 0.016, 0.010),  # nose
    *(0.017, 0.011, 0.009, 0.011, 0.009, 0.007),  # right eye
    *(0.013, 0.008, 0.011, 0.012, 0.010, 0.034),  # left eye
    *(0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007),  # lips
    *(0.007, 0.008, 0.011, 0.008, 0.008, 0.008, 0.010, 0.008),  # inner lips
)
_HAND_SIGMAS = (
    0.029,
    *(0.022, 0.035, 0.037, 0.047),
    *(0.026, 0.025, 0.024, 0.035),
    *(0.018, 0.024, 0.022, 0.026),
    *(0.017, 0.021, 0.021, 0.032),
    *(0.020, 0.019, 0.022, 0.031),
)

COCO_WHOLEBODY133 = Skeleton(
    name="coco_wholebody133",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *COCO17.limbs,
        *(
            (f"{side}_ankle", f"{side}_{point}")
            for side in ("left", "right")
            for point in ("big_toe", "small_toe", "heel")
        ),
        *FACE68.limbs,
        *(
            limb
            for side in ("left", "right")
            for limb in hand_limbs(root=f"{side}_hand_root", prefix=f"{side}_")
        ),
    ),
    upper_body=(*COCO17.upper_body, *FACE68.keypoints, *_HANDS),
    lower_body=(*COCO17.lower_body, *_FEET),
    # As in the evaluation code of COCO-WholeBody, where left and right partners differ on the face.
    sigmas=(*(COCO17.sigmas or ()), *_FOOT_SIGMAS, *_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS),
    source="Jin et al., Whole-Body Human Pose Estimation in the Wild, ECCV 2020",
)
