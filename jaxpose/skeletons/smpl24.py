"""SMPL-24: the joints of the body model SMPL, in its order."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar"),
    *("right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "left_hand", "right_hand"),
)
_LOWER = ("hip", "knee", "ankle", "foot")

SMPL24 = Skeleton(
    name="smpl24",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("pelvis", "spine1", "spine2", "spine3", "neck", "head")),
        *(
            limb
            for side in ("left", "right")
            for limb in (
                *chain(("pelvis", *(f"{side}_{joint}" for joint in _LOWER))),
                ("spine3", f"{side}_collar"),
                *chain(
                    tuple(
                        f"{side}_{joint}"
                        for joint in ("collar", "shoulder", "elbow", "wrist", "hand")
                    )
                ),
            )
        ),
    ),
    upper_body=tuple(
        name
        for name in _KEYPOINTS[1:]
        if name.removeprefix("left_").removeprefix("right_") not in _LOWER
    ),
    lower_body=(
        "pelvis",
        *(
            name
            for name in _KEYPOINTS
            if name.removeprefix("left_").removeprefix("right_") in _LOWER
        ),
    ),
    source="Loper et al., SMPL: A Skinned Multi-Person Linear Model, SIGGRAPH Asia 2015",
)
