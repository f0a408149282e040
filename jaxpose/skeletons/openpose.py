"""OpenPose's skeletons: 18 keypoints of COCO with the neck, and BODY_25 with hips' middle and feet.

The limbs are in the order of the channels of the part affinity fields of the published networks,
and lead in the direction of these fields. Two of them, from shoulder to ear, only connect what the
others leave apart.
"""

from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_SOURCE = "Cao et al., OpenPose: Realtime Multi-Person 2D Pose Estimation, TPAMI 2021"
_ARMS = tuple(
    f"{side}_{joint}" for side in ("right", "left") for joint in ("shoulder", "elbow", "wrist")
)
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")


def _legs(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in ("hip", "knee", "ankle"))


def _sigmas(keypoints: tuple[str, ...]) -> tuple[float, ...]:
    """COCO's; those of the new points as in the evaluation code of Halpe-FullBody."""
    known = dict(zip(COCO17.keypoints, COCO17.sigmas or (), strict=True))
    return tuple(known.get(name, 0.026 if name in ("neck", "hip") else 0.079) for name in keypoints)


_KEYPOINTS_18 = ("nose", "neck", *_ARMS, *_legs("right"), *_legs("left"), *_FACE)
_UPPER = ("nose", "neck", *_ARMS, *_FACE)

OPENPOSE18 = Skeleton(
    name="openpose18",
    keypoints=_KEYPOINTS_18,
    pairs=pairs_by_name(_KEYPOINTS_18),
    limbs=(
        *chain(("neck", *_legs("right"))),
        *chain(("neck", *_legs("left"))),
        *chain(("neck", *_ARMS[:3])),
        ("right_shoulder", "right_ear"),
        *chain(("neck", *_ARMS[3:])),
        ("left_shoulder", "left_ear"),
        ("neck", "nose"),
        ("nose", "right_eye"),
        ("nose", "left_eye"),
        ("right_eye", "right_ear"),
        ("left_eye", "left_ear"),
    ),
    upper_body=_UPPER,
    lower_body=(*_legs("right"), *_legs("left")),
    sigmas=_sigmas(_KEYPOINTS_18),
    source=_SOURCE,
)

_FEET = tuple(
    f"{side}_{point}" for side in ("left", "right") for point in ("big_toe", "small_toe", "heel")
)
_KEYPOINTS_25 = ("nose", "neck", *_ARMS, "hip", *_legs("right"), *_legs("left"), *_FACE, *_FEET)

BODY25 = Skeleton(
    name="body25",
    keypoints=_KEYPOINTS_25,
    pairs=pairs_by_name(_KEYPOINTS_25),
    limbs=(
        ("neck", "hip"),
        *chain(_legs("right")),
        *chain(("hip", "right_hip")),
        *chain(("hip", *_legs("left"))),
        *chain(("neck", *_ARMS[:3])),
        ("right_shoulder", "right_ear"),
        *chain(("neck", *_ARMS[3:])),
        ("left_shoulder", "left_ear"),
        ("neck", "nose"),
        ("nose", "right_eye"),
        ("nose", "left_eye"),
        ("right_eye", "right_ear"),
        ("left_eye", "left_ear"),
        ("left_ankle", "left_big_toe"),
        ("left_big_toe", "left_small_toe"),
        ("left_ankle", "left_heel"),
        ("right_ankle", "right_big_toe"),
        ("right_big_toe", "right_small_toe"),
        ("right_ankle", "right_heel"),
    ),
    upper_body=_UPPER,
    lower_body=("hip", *_legs("right"), *_legs("left"), *_FEET),
    sigmas=_sigmas(_KEYPOINTS_25),
    source=_SOURCE,
)
