"""NTU25: the joints of Kinect v2 in the datasets NTU RGB+D and NTU RGB+D 120."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name


def _arm(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in ("shoulder", "elbow", "wrist", "hand"))


def _leg(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{joint}" for joint in ("hip", "knee", "ankle", "foot"))


_KEYPOINTS = (
    *("spine_base", "spine_middle", "neck", "head"),
    *(*_arm("left"), *_arm("right"), *_leg("left"), *_leg("right")),
    *("spine_shoulder", "left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb"),
)
_LOWER = ("spine_base", *_leg("left"), *_leg("right"))

NTU25 = Skeleton(
    name="ntu25",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("spine_base", "spine_middle", "spine_shoulder", "neck", "head")),
        *(
            limb
            for side in ("left", "right")
            for limb in (
                *chain(("spine_shoulder", *_arm(side))),
                *chain(("spine_base", *_leg(side))),
                (f"{side}_hand", f"{side}_hand_tip"),
                (f"{side}_hand", f"{side}_thumb"),
            )
        ),
    ),
    upper_body=tuple(name for name in _KEYPOINTS if name not in _LOWER),
    lower_body=_LOWER,
    source="Shahroudy et al., NTU RGB+D: A Large Scale Dataset for 3D Human Activity Analysis,"
    " CVPR 2016",
)
