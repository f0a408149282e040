"""AP-10K-17: the keypoints of four-legged animals in AP-10K."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "left_eye",
    "right_eye",
    "nose",
    "neck",
    "root_of_tail",
    "left_shoulder",
    "left_elbow",
    "left_front_paw",
    "right_shoulder",
    "right_elbow",
    "right_front_paw",
    "left_hip",
    "left_knee",
    "left_back_paw",
    "right_hip",
    "right_knee",
    "right_back_paw",
)

AP10K17 = Skeleton(
    name="ap10k17",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("left_eye", "right_eye", "nose"), closed=True),
        *chain(("nose", "neck", "root_of_tail")),
        *chain(("neck", "left_shoulder", "left_elbow", "left_front_paw")),
        *chain(("neck", "right_shoulder", "right_elbow", "right_front_paw")),
        *chain(("root_of_tail", "left_hip", "left_knee", "left_back_paw")),
        *chain(("root_of_tail", "right_hip", "right_knee", "right_back_paw")),
    ),
    # The upper body of an animal is its front half, the lower body its back half.
    upper_body=(*_KEYPOINTS[:4], *_KEYPOINTS[5:11]),
    lower_body=("root_of_tail", *_KEYPOINTS[11:]),
    # Published with the dataset's code, which derives them from COCO's; the paper has none.
    sigmas=(
        *(0.025, 0.025, 0.026, 0.035, 0.035),
        *(0.079, 0.072, 0.062, 0.079, 0.072, 0.062),
        *(0.107, 0.087, 0.089, 0.107, 0.087, 0.089),
    ),
    source="Yu et al., AP-10K: A Benchmark for Animal Pose Estimation in the Wild, NeurIPS 2021",
)
