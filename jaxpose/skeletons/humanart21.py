"""Human-Art-21: COCO-17, and the end of each hand and foot."""

from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name

_FINGERS, _TOES = ("left_finger", "right_finger"), ("left_toe", "right_toe")
_KEYPOINTS = (*COCO17.keypoints, *_FINGERS, *_TOES)

HUMANART21 = Skeleton(
    name="humanart21",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *COCO17.limbs,
        *((f"{side}_wrist", f"{side}_finger") for side in ("left", "right")),
        *((f"{side}_ankle", f"{side}_toe") for side in ("left", "right")),
    ),
    upper_body=(*COCO17.upper_body, *_FINGERS),
    lower_body=(*COCO17.lower_body, *_TOES),
    # COCO's; fingers and toes as ankles, as in MMPose's definition.
    sigmas=(*(COCO17.sigmas or ()), *(0.089,) * 4),
    source="Ju et al., Human-Art: A Versatile Human-Centric Dataset, CVPR 2023",
)
