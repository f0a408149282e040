"""Halpe-136: the body and feet of Halpe-26, a face of 68 and two hands of 21."""

from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.face68 import FACE68
from jaxpose.skeletons.halpe26 import HALPE26
from jaxpose.skeletons.hand21 import hand_keypoints, hand_limbs
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name

_HANDS = tuple(
    name
    for side in ("left", "right")
    for name in hand_keypoints(root=f"{side}_hand_root", prefix=f"{side}_")
)
_KEYPOINTS = (*HALPE26.keypoints, *FACE68.keypoints, *_HANDS)

HALPE136 = Skeleton(
    name="halpe136",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *HALPE26.limbs,
        *FACE68.limbs,
        *(
            limb
            for side in ("left", "right")
            for limb in hand_limbs(root=f"{side}_hand_root", prefix=f"{side}_")
        ),
    ),
    upper_body=(*HALPE26.upper_body, *FACE68.keypoints, *_HANDS),
    lower_body=HALPE26.lower_body,
    # As in MMPose's definition: head, neck and hip, feet, and one value for face and hands.
    sigmas=(*(COCO17.sigmas or ()), *(0.08,) * 3, *(0.089,) * 6, *(0.015,) * 110),
    source="Fang et al., AlphaPose (Halpe-FullBody), TPAMI 2022; Li et al., PaStaNet, CVPR 2020",
)
