"""JHMDB-15: the joints of the puppets in sub-JHMDB, whose published metric is PCK."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "neck",
    "belly",
    "head",
    "right_shoulder",
    "left_shoulder",
    "right_hip",
    "left_hip",
    "right_elbow",
    "left_elbow",
    "right_knee",
    "left_knee",
    "right_wrist",
    "left_wrist",
    "right_ankle",
    "left_ankle",
)

JHMDB15 = Skeleton(
    name="jhmdb15",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("belly", "neck", "head")),
        *chain(("belly", "right_hip", "right_knee", "right_ankle")),
        *chain(("belly", "left_hip", "left_knee", "left_ankle")),
        *chain(("neck", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("neck", "left_shoulder", "left_elbow", "left_wrist")),
    ),
    upper_body=tuple(k for k in _KEYPOINTS if k.partition("_")[2] not in ("hip", "knee", "ankle")),
    lower_body=tuple(k for k in _KEYPOINTS if k.partition("_")[2] in ("hip", "knee", "ankle")),
    source="Jhuang et al., Towards Understanding Action Recognition, ICCV 2013",
)
