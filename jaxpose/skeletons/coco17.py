"""COCO-17: the keypoints of Microsoft COCO."""

from jaxpose.skeletons.skeleton import Skeleton, pairs_by_name

_KEYPOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
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
)

COCO17 = Skeleton(
    name="coco17",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        ("left_knee", "left_ankle"),
        ("left_hip", "left_knee"),
        ("right_knee", "right_ankle"),
        ("right_hip", "right_knee"),
        ("left_hip", "right_hip"),
        ("left_shoulder", "left_hip"),
        ("right_shoulder", "right_hip"),
        ("left_shoulder", "right_shoulder"),
        ("left_shoulder", "left_elbow"),
        ("right_shoulder", "right_elbow"),
        ("left_elbow", "left_wrist"),
        ("right_elbow", "right_wrist"),
        ("left_eye", "right_eye"),
        ("nose", "left_eye"),
        ("nose", "right_eye"),
        ("left_eye", "left_ear"),
        ("right_eye", "right_ear"),
        ("left_shoulder", "left_ear"),
        ("right_shoulder", "right_ear"),
    ),
    upper_body=_KEYPOINTS[:11],
    lower_body=_KEYPOINTS[11:],
    # As in pycocotools 2.0 (`Params.setKpParams`).
    sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035),
        *(0.079, 0.079, 0.072, 0.072, 0.062, 0.062),
        *(0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
    ),
    source="Lin et al., Microsoft COCO: Common Objects in Context, ECCV 2014",
)
