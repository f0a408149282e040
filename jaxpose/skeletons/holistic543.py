"""Holistic-543: BlazePose's body, the face mesh and both hands, as in MediaPipe Holistic."""

from jaxpose.skeletons.blazepose33 import BLAZEPOSE33
from jaxpose.skeletons.facemesh468 import FACEMESH468
from jaxpose.skeletons.hand21 import HAND21, hand_keypoints, hand_limbs
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name

_HANDS = {
    side: hand_keypoints(root=f"{side}_hand_wrist", prefix=f"{side}_") for side in ("left", "right")
}
_KEYPOINTS = (*BLAZEPOSE33.keypoints, *FACEMESH468.keypoints, *_HANDS["left"], *_HANDS["right"])

HOLISTIC543 = Skeleton(
    name="holistic543",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *BLAZEPOSE33.limbs,
        *FACEMESH468.limbs,
        *(
            limb
            for side in ("left", "right")
            for limb in hand_limbs(root=f"{side}_hand_wrist", prefix=f"{side}_")
        ),
    ),
    upper_body=(*BLAZEPOSE33.upper_body, *_KEYPOINTS[33:]),
    lower_body=BLAZEPOSE33.lower_body,
    source="Grishchenko & Bazarevsky, MediaPipe Holistic, 2020",
)

PARTS: dict[str, tuple[slice, Skeleton]] = {
    "body": (slice(0, 33), BLAZEPOSE33),
    "face": (slice(33, 501), FACEMESH468),
    "left_hand": (slice(501, 522), HAND21),
    "right_hand": (slice(522, 543), HAND21),
}
"""Rows and skeleton of each part among the 543 keypoints."""
