"""Animal-Kingdom-23: the keypoints of mammals, birds, reptiles, amphibians and fish.

The published metric is PCK relative to the box, not OKS, so there are no sigmas.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    *("head_mid_top", "left_eye", "right_eye"),
    *("mouth_front_top", "left_mouth_back", "right_mouth_back", "mouth_front_bottom"),
    *(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist") for side in ("left", "right")),
    "torso_mid_back",
    *(f"{side}_{joint}" for joint in ("hip", "knee", "ankle") for side in ("left", "right")),
    *("tail_top_back", "tail_mid_back", "tail_end_back"),
)

ANIMAL_KINGDOM23 = Skeleton(
    name="animal_kingdom23",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        ("head_mid_top", "left_eye"),
        ("head_mid_top", "right_eye"),
        *chain(
            ("mouth_front_top", "left_mouth_back", "mouth_front_bottom", "right_mouth_back"),
            closed=True,
        ),
        *chain(
            ("head_mid_top", "torso_mid_back", "tail_top_back", "tail_mid_back", "tail_end_back")
        ),
        *chain(("head_mid_top", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("head_mid_top", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("tail_top_back", "left_hip", "left_knee", "left_ankle")),
        *chain(("tail_top_back", "right_hip", "right_knee", "right_ankle")),
    ),
    # The upper body of an animal is its front half, the lower body its back half.
    upper_body=_KEYPOINTS[:14],
    lower_body=_KEYPOINTS[14:],
    source=(
        "Ng et al., Animal Kingdom: A Large and Diverse Dataset for Animal Behavior Understanding,"
        " CVPR 2022"
    ),
)
