"""H36M-17: the joints of Human3.6M in evaluations of 3D pose, right leg first."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "root",
    "right_hip",
    "right_knee",
    "right_foot",
    "left_hip",
    "left_knee",
    "left_foot",
    "spine",
    "thorax",
    "neck_base",
    "head",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
)

H36M17 = Skeleton(
    name="h36m17",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("root", "spine", "thorax", "neck_base", "head")),
        *chain(("root", "right_hip", "right_knee", "right_foot")),
        *chain(("root", "left_hip", "left_knee", "left_foot")),
        *chain(("thorax", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("thorax", "right_shoulder", "right_elbow", "right_wrist")),
    ),
    upper_body=_KEYPOINTS[7:],
    lower_body=_KEYPOINTS[:7],
    source=(
        "Ionescu et al., Human3.6M: Large Scale Datasets and Predictive Methods for 3D Human"
        " Sensing in Natural Environments, TPAMI 2014; the 17 joints as in Martinez et al.,"
        " A Simple Yet Effective Baseline for 3D Human Pose Estimation, ICCV 2017"
    ),
)
