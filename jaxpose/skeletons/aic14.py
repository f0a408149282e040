"""AIC-14: the joints of AI Challenger, right side first."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
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
    "head_top",
    "neck",
)

AIC14 = Skeleton(
    name="aic14",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        ("neck", "head_top"),
        *chain(("neck", "right_shoulder", "right_elbow", "right_wrist")),
        *chain(("neck", "left_shoulder", "left_elbow", "left_wrist")),
        *chain(("right_shoulder", "right_hip", "right_knee", "right_ankle")),
        *chain(("left_shoulder", "left_hip", "left_knee", "left_ankle")),
        ("right_hip", "left_hip"),
    ),
    upper_body=(*_KEYPOINTS[:6], *_KEYPOINTS[12:]),
    lower_body=_KEYPOINTS[6:12],
    # Of the challenge's evaluation code.
    sigmas=(
        *(0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144),
        *(0.03909642, 0.03686941, 0.01981803, 0.03843971, 0.03412318, 0.02415081),
        *(0.01291456, 0.01236173),
    ),
    source="Wu et al., AI Challenger: A Large-scale Dataset for Going Deeper, 2017",
)
