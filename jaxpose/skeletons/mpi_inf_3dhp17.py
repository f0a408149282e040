"""MPI-INF-3DHP-17: the joints of MPI-INF-3DHP in evaluations on its test set."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "head_top",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "root",
    "spine",
    "head",
)

MPI_INF_3DHP17 = Skeleton(
    name="mpi_inf_3dhp17",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("root", "spine", "neck", "head", "head_top")),
        *chain(("neck", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("neck", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("root", "right_hip", "right_knee", "right_ankle")),
        *chain(("root", "left_hip", "left_knee", "left_ankle")),
    ),
    upper_body=(*_KEYPOINTS[:8], "spine", "head"),
    lower_body=_KEYPOINTS[8:15],
    source=(
        "Mehta et al., Monocular 3D Human Pose Estimation In The Wild Using Improved CNN"
        " Supervision, 3DV 2017"
    ),
)
