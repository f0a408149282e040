"""ATRW-15: the keypoints of Amur tigers in ATRW."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "left_ear",
    "right_ear",
    "nose",
    "right_shoulder",
    "right_front_paw",
    "left_shoulder",
    "left_front_paw",
    "right_hip",
    "right_knee",
    "right_back_paw",
    "left_hip",
    "left_knee",
    "left_back_paw",
    "tail",
    "center",
)

ATRW15 = Skeleton(
    name="atrw15",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        ("nose", "left_ear"),
        ("nose", "right_ear"),
        *chain(("nose", "center", "tail")),
        *chain(("center", "left_shoulder", "left_front_paw")),
        *chain(("center", "right_shoulder", "right_front_paw")),
        *chain(("tail", "left_hip", "left_knee", "left_back_paw")),
        *chain(("tail", "right_hip", "right_knee", "right_back_paw")),
    ),
    # The upper body of an animal is its front half, the lower body its back half.
    upper_body=(*_KEYPOINTS[:7], "center"),
    lower_body=_KEYPOINTS[7:14],
    # Of the challenge's evaluation, keypoint by keypoint: left and right partners differ.
    sigmas=(
        *(0.0277, 0.0823, 0.0831, 0.0202, 0.0716, 0.0263, 0.0646),
        *(0.0302, 0.0440, 0.0316, 0.0333, 0.0547, 0.0263, 0.0683, 0.0539),
    ),
    source=(
        "Li et al., ATRW: A Benchmark for Amur Tiger Re-identification in the Wild, ACM Multimedia"
        " 2020"
    ),
)
