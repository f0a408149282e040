"""Names of the joints of published body models, by the number of joints."""

_BODY = (
    *("pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2"),
    *("left_ankle", "right_ankle", "spine3", "left_foot", "right_foot", "neck", "left_collar"),
    *("right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist"),
)
_FINGERS = tuple(
    f"{finger}{number}"
    for finger in ("index", "middle", "pinky", "ring", "thumb")
    for number in (1, 2, 3)
)
_HANDS = tuple(f"{side}_{finger}" for side in ("left", "right") for finger in _FINGERS)

NAMES = {
    16: ("mano", ("wrist", *_FINGERS)),
    24: ("smpl", (*_BODY, "left_hand", "right_hand")),
    52: ("smplh", (*_BODY, *_HANDS)),
    55: ("smplx", (*_BODY, "jaw", "left_eye", "right_eye", *_HANDS)),
}
"""Name of the model and names of its joints."""
