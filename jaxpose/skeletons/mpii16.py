"""MPII-16: the joints of the MPII Human Pose dataset."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "pelvis",
    "thorax",
    "upper_neck",
    "head_top",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
)

MPII16 = Skeleton(
    name="mpii16",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("pelvis", "thorax", "upper_neck", "head_top")),
        *chain(("pelvis", "right_hip", "right_knee", "right_ankle")),
        *chain(("pelvis", "left_hip", "left_knee", "left_ankle")),
        *chain(("thorax", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("thorax", "left_shoulder", "left_elbow", "left_wrist")),
    ),
    upper_body=_KEYPOINTS[7:],
    lower_body=_KEYPOINTS[:7],
    source=(
        "Andriluka et al., 2D Human Pose Estimation: New Benchmark and State of the Art Analysis,"
        " CVPR 2014"
    ),
)
