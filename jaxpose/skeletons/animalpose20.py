"""Animal-Pose-20: the keypoints of cats, dogs, cows, horses and sheep in Animal-Pose.

An `elbow` of a back leg is the joint at the trunk, a `knee` the middle of any leg.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_LEGS = tuple((side, end) for end in ("front", "back") for side in ("left", "right"))
_KEYPOINTS = (
    *("left_eye", "right_eye", "left_ear_base", "right_ear_base"),
    *("nose", "throat", "tail_base", "withers"),
    *(f"{side}_{end}_{joint}" for joint in ("elbow", "knee", "paw") for side, end in _LEGS),
)

ANIMALPOSE20 = Skeleton(
    name="animalpose20",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("left_eye", "right_eye", "nose"), closed=True),
        ("left_eye", "left_ear_base"),
        ("right_eye", "right_ear_base"),
        *chain(("nose", "throat", "withers", "tail_base")),
        *(
            limb
            for side, end in _LEGS
            for limb in chain(
                (
                    "throat" if end == "front" else "tail_base",
                    *(f"{side}_{end}_{joint}" for joint in ("elbow", "knee", "paw")),
                )
            )
        ),
    ),
    # The upper body of an animal is its front half, the lower body its back half.
    upper_body=tuple(k for k in _KEYPOINTS if "_back_" not in k and k != "tail_base"),
    lower_body=tuple(k for k in _KEYPOINTS if "_back_" in k or k == "tail_base"),
    # Of MMPose, whose AP is the published one; the paper has none. The first five are COCO's, so
    # the ears differ.
    sigmas=(
        *(0.025, 0.025, 0.026, 0.035, 0.035),
        *(0.1, 0.1, 0.1),
        *(0.107,) * 4,
        *(0.087,) * 4,
        *(0.089,) * 4,
    ),
    source="Cao et al., Cross-Domain Adaptation for Animal Pose Estimation, ICCV 2019",
)
