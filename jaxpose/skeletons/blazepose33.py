"""BlazePose-33: the landmarks of MediaPipe's pose models, in their order."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_KEYPOINTS = (
    "nose",
    *("left_eye_inner", "left_eye", "left_eye_outer"),
    *("right_eye_inner", "right_eye", "right_eye_outer"),
    *("left_ear", "right_ear"),
    *("left_mouth", "right_mouth"),
    *("left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist"),
    *("left_pinky", "right_pinky"),
    *("left_index", "right_index"),
    *("left_thumb", "right_thumb"),
    *("left_hip", "right_hip"),
    *("left_knee", "right_knee"),
    *("left_ankle", "right_ankle"),
    *("left_heel", "right_heel"),
    *("left_foot_index", "right_foot_index"),
)

BLAZEPOSE33 = Skeleton(
    name="blazepose33",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *chain(("nose", "left_eye_inner", "left_eye", "left_eye_outer", "left_ear")),
        *chain(("nose", "right_eye_inner", "right_eye", "right_eye_outer", "right_ear")),
        ("left_mouth", "right_mouth"),
        ("left_shoulder", "right_shoulder"),
        ("left_hip", "right_hip"),
        *(
            limb
            for side in ("left", "right")
            for limb in (
                *chain((f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")),
                *((f"{side}_wrist", f"{side}_{end}") for end in ("thumb", "index", "pinky")),
                (f"{side}_shoulder", f"{side}_hip"),
                *chain((f"{side}_hip", f"{side}_knee", f"{side}_ankle", f"{side}_heel")),
                *chain((f"{side}_heel", f"{side}_foot_index", f"{side}_ankle")),
            )
        ),
    ),
    upper_body=_KEYPOINTS[:23],
    lower_body=_KEYPOINTS[23:],
    source=(
        "Bazarevsky et al., BlazePose: On-device Real-time Body Pose Tracking, 2020"
        " (arXiv:2006.10204); names as in MediaPipe"
    ),
)
