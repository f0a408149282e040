"""CrowdPose-14: twelve joints of the limbs, the top of the head and the neck."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "head_top",
    "neck",
)

CROWDPOSE14 = Skeleton(
    name="crowdpose14",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        ("neck", "head_top"),
        *chain(("neck", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("neck", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("left_shoulder", "left_hip", "left_knee", "left_ankle")),
        *chain(("right_shoulder", "right_hip", "right_knee", "right_ankle")),
        ("left_hip", "right_hip"),
    ),
    upper_body=(*_KEYPOINTS[:6], *_KEYPOINTS[12:]),
    lower_body=_KEYPOINTS[6:12],
    # As in the evaluation code of CrowdPose.
    sigmas=(
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
        *(0.079, 0.079),
    ),
    source="Li et al., CrowdPose: Efficient Crowded Scenes Pose Estimation, CVPR 2019",
)
