"""LSP-14: the joints of Leeds Sports Pose and of its extended training set.

Left and right are the person's own (person-centric), as in the datasets' `joints.mat`.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
)

LSP14 = Skeleton(
    name="lsp14",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        ("neck", "head_top"),
        *chain(("neck", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("neck", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("right_shoulder", "right_hip", "right_knee", "right_ankle")),
        *chain(("left_shoulder", "left_hip", "left_knee", "left_ankle")),
        ("left_hip", "right_hip"),
    ),
    upper_body=_KEYPOINTS[6:],
    lower_body=_KEYPOINTS[:6],
    source=(
        "Johnson and Everingham, Clustered Pose and Nonlinear Appearance Models for Human Pose"
        " Estimation, BMVC 2010"
    ),
)
