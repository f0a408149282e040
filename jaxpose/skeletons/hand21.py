"""Hand-21: the wrist and four joints of each finger, from palm to tip; one hand, so no sides.

The order is that of OneHand10K, FreiHAND, CMU Panoptic hands and COCO-WholeBody. RHD lists each
finger from tip to palm (`RHD21`).
"""

from dataclasses import replace

from jaxpose.skeletons.skeleton import OKABE_ITO, Skeleton, chain

FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_COLORS = ("orange", "sky_blue", "bluish_green", "reddish_purple", "vermillion")
_WRIST_COLOR = OKABE_ITO["yellow"]


def finger(name: str, prefix: str = "") -> tuple[str, ...]:
    """Names of the four joints of a finger, from palm to tip."""
    return tuple(f"{prefix}{name}{joint}" for joint in (1, 2, 3, 4))


def hand_keypoints(root: str = "wrist", prefix: str = "") -> tuple[str, ...]:
    """Names of the 21 keypoints in order."""
    return (root, *(joint for name in FINGERS for joint in finger(name, prefix)))


def hand_limbs(root: str = "wrist", prefix: str = "") -> tuple[tuple[str, str], ...]:
    """Limbs of a hand, 20: each finger as a chain from the root."""
    return tuple(limb for name in FINGERS for limb in chain((root, *finger(name, prefix))))


HAND21 = Skeleton(
    name="hand21",
    keypoints=hand_keypoints(),
    limbs=hand_limbs(),
    keypoint_colors=(_WRIST_COLOR, *(OKABE_ITO[color] for color in _COLORS for _ in range(4))),
    source=(
        "Simon et al., Hand Keypoint Detection in Single Images using Multiview Bootstrapping,"
        " CVPR 2017; Zimmermann et al., FreiHAND, ICCV 2019"
    ),
)

RHD21 = replace(
    HAND21,
    name="rhd21",
    keypoints=("wrist", *(joint for name in FINGERS for joint in reversed(finger(name)))),
    source=(
        "Zimmermann and Brox, Learning to Estimate 3D Hand Pose from Single RGB Images, ICCV 2017"
    ),
)
