"""Goliath-308 of Sapiens: body, feet, fingers, elbows and shoulders, and 238 points of the face."""

import itertools
import re

from jaxpose.skeletons.coco17 import COCO17
from jaxpose.skeletons.coco_wholebody133 import COCO_WHOLEBODY133
from jaxpose.skeletons.skeleton import Skeleton

_SIDES = ("left", "right")
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_FEET = tuple(f"{side}_{p}" for side in _SIDES for p in ("big_toe", "small_toe", "heel"))

_OTHER_SIDE = (
    r"^(left|right)(?=_)|(?<![a-z])[lr](?=_)",
    {"left": "right", "right": "left", "l": "r", "r": "l"},
)
# Numbers of midpoints on the other side of the face, where they are counted in another direction.
_EYE_OR_LIP = {"1": "2", "2": "1", "3": "6", "6": "3", "4": "5", "5": "4"}
_OTHER_NUMBER = (
    (r"(?<=midpoint_)[23](?=_of_._eyebrow)", {"2": "3", "3": "2"}),
    (r"(?<=midpoint_)\d(?=_of_\w+_(lash|eyelid|crease)_line|_of_\w+_lip)", _EYE_OR_LIP),
    (r"(?<=point_)[28](?=_of_inner_helix)", {"2": "8", "8": "2"}),
    (r"(?<=_of_iris_)[39]$|(?<=_of_pupil_)[39]$", {"3": "9", "9": "3"}),
    (
        r"(?<=_of_iris_midpoint_)\d|(?<=_of_pupil_midpoint_)\d",
        {"1": "4", "4": "1", "2": "3", "3": "2"},
    ),
)


def partner(name: str) -> str:
    """Name of the keypoint on the other side; the same name for one in the middle."""
    for pattern, other in (_OTHER_SIDE, *_OTHER_NUMBER):
        found = re.search(pattern, name)
        if found is not None:
            name = name[: found.start()] + other[found[0]] + name[found.end() :]
    return name


def _hand(side: str) -> list[str]:
    """Each finger from its tip to its third joint, the knuckle; then the wrist."""
    ends = ("4", "3", "2", "_third_joint")
    return [*(f"{side}_{finger}{end}" for finger in _FINGERS for end in ends), f"{side}_wrist"]


_BODY = [name for name in COCO17.keypoints if not name.endswith("_wrist")]
_EXTRA = [f"{s}_{p}" for p in ("olecranon", "cubital_fossa", "acromion") for s in _SIDES]

_MIDDLE = [
    *("center_of_glabella", "center_of_nose_root", "tip_of_nose_bridge"),
    *(f"midpoint_{i}_of_nose_bridge" for i in (1, 2, 3)),
    *("center_of_labiomental_groove", "tip_of_chin"),
]
_RIGHT_EYEBROW = [
    f"{place}_of_r_eyebrow"
    for place in (
        *("upper_startpoint", "lower_startpoint", "end", "upper_midpoint_1", "lower_midpoint_1"),
        *("upper_midpoint_2", "upper_midpoint_3", "lower_midpoint_2", "lower_midpoint_3"),
    )
]
_LEFT_EYEBROW = [name.replace("_r_", "_l_") for name in _RIGHT_EYEBROW]


def _left_eye(place: str) -> list[str]:
    """Lines of the left upper or lower eyelid."""
    lash = ("inner_end", "outer_end", "centerpoint", *(f"midpoint_{i}" for i in (2, 1, 6, 5, 4, 3)))
    lid = [f"midpoint_{i}" for i in (6, 2, 5, 4, 1, 3)]
    lid.insert(3, "centerpoint")
    return [
        *(f"l_{point}_of_{place}_lash_line" for point in lash),
        *(f"l_{point}_of_{place}_eyelid_line" for point in ("outer_end", *lid)),
        *(f"l_{point}_of_{place}_crease_line" for point in lid if place == "upper"),
    ]


_NOSE = [
    *("tip_of_nose", "bottom_center_of_nose", "r_outer_corner_of_nose", "l_outer_corner_of_nose"),
    *(f"{place}_corner_of_{s}_nostril" for s in "rl" for place in ("inner", "outer", "upper")),
]


def _lips(kind: str) -> list[str]:
    """Outer or inner line of both lips."""
    corner = "" if kind == "outer" else "inner_"
    upper, lower = f"upper_{kind}_lip", f"lower_{kind}_lip"
    return [
        *(f"{s}_{corner or 'outer_'}corner_of_mouth" for s in "rl"),
        *("center_of_cupid_bow" if kind == "outer" else f"center_of_{upper}", f"center_of_{lower}"),
        *(f"midpoint_{i}_of_{lip}" for lip in (upper, lower) for i in (1, 2)),
        *(f"midpoint_{i}_of_{lip}" for lip in (upper, lower) for i in (3, 4, 5, 6)),
    ]


_LEFT_EAR = [
    f"l_{point}"
    for point in (
        *("top_end_of_inferior_crus", "top_end_of_superior_crus", "start_of_antihelix"),
        *("end_of_antihelix", "midpoint_1_of_antihelix", "midpoint_1_of_inferior_crus"),
        *("midpoint_2_of_antihelix", "midpoint_3_of_antihelix"),
        *(f"point_{i}_of_inner_helix" for i in range(1, 8)),
        *("highest_point_of_antitragus", "bottom_point_of_tragus", "protruding_point_of_tragus"),
        *("top_point_of_tragus", "start_point_of_crus_of_helix", "deepest_point_of_concha"),
        *("tip_of_ear_lobe", "midpoint_between_22_15", "bottom_connecting_point_of_ear_lobe"),
        *("top_connecting_point_of_helix", "point_8_of_inner_helix"),
    )
]


def _ring(side: str, ring: str) -> list[str]:
    """Centre of an iris or a pupil, and its border by the hours of a clock and between them."""
    border = ("3", "midpoint_1", "12", "midpoint_4", "9", "midpoint_3", "6", "midpoint_2")
    return [f"{side}_center_of_{ring}", *(f"{side}_border_of_{ring}_{place}" for place in border)]


_FACE = (
    *(*_MIDDLE, *_RIGHT_EYEBROW, *_LEFT_EYEBROW),
    *(*_left_eye("upper"), *map(partner, _left_eye("upper"))),
    *(*_left_eye("lower"), *map(partner, _left_eye("lower"))),
    *(*_NOSE, *_lips("outer"), *_lips("inner")),
    *(*_LEFT_EAR, *map(partner, _LEFT_EAR)),
    *(name for ring in ("iris", "pupil") for side in "lr" for name in _ring(side, ring)),
)
_HANDS = (*_hand("right"), *_hand("left"))
_KEYPOINTS = (*_BODY, *_FEET, *_HANDS, *_EXTRA, "neck", *_FACE)


def _sigma(name: str) -> float:
    """COCO-WholeBody's value for a keypoint of the same name or place, else Sapiens' own."""
    wholebody = dict(
        zip(COCO_WHOLEBODY133.keypoints, COCO_WHOLEBODY133.oks_sigmas().tolist(), strict=True)
    )
    name = name.replace("_third_joint", "1")
    if name in wholebody:
        return float(round(wholebody[name], 3))
    if name == "neck" or name.endswith("_acromion"):
        return 0.079
    return 0.072 if name.endswith(("_olecranon", "_cubital_fossa")) else 0.01


def _is_left(name: str) -> bool:
    """True for one keypoint of each pair: the left one, or of two on the lips the later one."""
    if "lip" in name.split("_"):
        return _KEYPOINTS.index(name) > _KEYPOINTS.index(partner(name))
    return re.search(r"^left_|(?<![a-z])l_", name) is not None


def _finger_limbs(side: str) -> list[tuple[str, str]]:
    limbs: list[tuple[str, str]] = []
    for finger in _FINGERS:
        chain = [f"{side}_wrist", *(f"{side}_{finger}{e}" for e in ("_third_joint", "2", "3", "4"))]
        limbs += itertools.pairwise(chain)
    return limbs


GOLIATH308 = Skeleton(
    name="goliath308",
    keypoints=_KEYPOINTS,
    pairs=tuple((name, partner(name)) for name in _KEYPOINTS if _is_left(name)),
    limbs=(
        *COCO17.limbs,
        *((f"{s}_ankle", f"{s}_{p}") for s in _SIDES for p in ("big_toe", "small_toe", "heel")),
        *(limb for side in _SIDES for limb in _finger_limbs(side)),
    ),
    upper_body=(
        *COCO17.upper_body,
        *(name for name in _HANDS if not name.endswith("_wrist")),
        *(*_EXTRA, "neck", *_FACE),
    ),
    lower_body=(*COCO17.lower_body, *_FEET),
    sigmas=tuple(_sigma(name) for name in _KEYPOINTS),
    source="Khirodkar et al., Sapiens: Foundation for Human Vision Models, ECCV 2024",
)
