"""InterHand-42: the right hand, then the left one, each finger from tip to palm, the wrist last."""

from jaxpose.skeletons.hand21 import FINGERS, finger, hand_limbs
from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name


def _hand(prefix: str) -> tuple[str, ...]:
    joints = (joint for name in FINGERS for joint in reversed(finger(name, prefix)))
    return (*joints, f"{prefix}wrist")


_KEYPOINTS = (*_hand("right_"), *_hand("left_"))

INTERHAND42 = Skeleton(
    name="interhand42",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(*hand_limbs("right_wrist", "right_"), *hand_limbs("left_wrist", "left_")),
    source=(
        "Moon et al., InterHand2.6M: A Dataset and Baseline for 3D Interacting Hand Pose Estimation"
        " from a Single RGB Image, ECCV 2020"
    ),
)
