"""HumanEva-15: the joints of HumanEva-I in its evaluations."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "root",
    "thorax",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_hip",
    "right_knee",
    "right_ankle",
    "head",
)

HUMANEVA15 = Skeleton(
    name="humaneva15",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("root", "thorax", "head")),
        *chain(("thorax", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("thorax", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("root", "left_hip", "left_knee", "left_ankle")),
        *chain(("root", "right_hip", "right_knee", "right_ankle")),
    ),
    upper_body=(*_KEYPOINTS[1:8], "head"),
    lower_body=("root", *_KEYPOINTS[8:14]),
    source=(
        "Sigal, Balan and Black, HumanEva: Synchronized Video and Motion Capture Dataset and"
        " Baseline Algorithm for Evaluation of Articulated Human Motion, IJCV 2010"
    ),
)
