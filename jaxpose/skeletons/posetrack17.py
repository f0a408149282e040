"""PoseTrack-17: the keypoints in the files of PoseTrack18, which label no ears.

The published metric is the mean AP of keypoints within half a head's length, not of OKS, so there
are no sigmas.
"""

from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = ("nose", "head_bottom", "head_top", *COCO17.keypoints[3:])

POSETRACK17 = Skeleton(
    name="posetrack17",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("head_bottom", "nose", "head_top")),
        ("nose", "left_ear"),
        ("nose", "right_ear"),
        *chain(("head_bottom", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("head_bottom", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("left_shoulder", "left_hip", "left_knee", "left_ankle")),
        *chain(("right_shoulder", "right_hip", "right_knee", "right_ankle")),
        ("left_hip", "right_hip"),
    ),
    upper_body=_KEYPOINTS[:11],
    lower_body=_KEYPOINTS[11:],
    source="Andriluka et al., PoseTrack: A Benchmark for Human Pose Estimation and Tracking, CVPR"
    " 2018",
)
