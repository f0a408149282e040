"""SuperAnimal: 39 keypoints of four-legged animals, and 27 of mice seen from above.

The names are those of the published models, "thai" for thigh included.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_SOURCE = (
    "Ye et al., SuperAnimal pretrained pose estimation models for behavioral analysis, Nature"
    " Communications 2024"
)

_QUADRUPED = (
    *("nose", "upper_jaw", "lower_jaw", "mouth_end_right", "mouth_end_left"),
    *("right_eye", "right_earbase", "right_earend", "right_antler_base", "right_antler_end"),
    *("left_eye", "left_earbase", "left_earend", "left_antler_base", "left_antler_end"),
    *("neck_base", "neck_end", "throat_base", "throat_end"),
    *("back_base", "back_end", "back_middle", "tail_base", "tail_end"),
    *("front_left_thai", "front_left_knee", "front_left_paw"),
    *("front_right_thai", "front_right_knee", "front_right_paw"),
    *("back_left_paw", "back_left_thai", "back_right_thai"),
    *("back_left_knee", "back_right_knee", "back_right_paw"),
    *("belly_bottom", "body_middle_right", "body_middle_left"),
)
_MOUSE = (
    *("nose", "left_ear", "right_ear", "left_ear_tip", "right_ear_tip", "left_eye", "right_eye"),
    *("neck", "mid_back", "mouse_center", "mid_backend", "mid_backend2", "mid_backend3"),
    *("tail_base", "tail1", "tail2", "tail3", "tail4", "tail5"),
    *("left_shoulder", "left_midside", "left_hip"),
    *("right_shoulder", "right_midside", "right_hip", "tail_end", "head_midpoint"),
)


SUPERANIMAL_QUADRUPED39 = Skeleton(
    name="quadruped39",
    keypoints=_QUADRUPED,
    # The word for the side stands anywhere in a name.
    pairs=tuple((name, name.replace("left", "right")) for name in _QUADRUPED if "left" in name),
    limbs=(
        *chain(("nose", "upper_jaw", "lower_jaw")),
        *chain(("nose", "neck_base", "neck_end", "back_base", "back_middle", "back_end")),
        *chain(("back_end", "tail_base", "tail_end")),
        *chain(("throat_base", "throat_end", "belly_bottom")),
        *(
            limb
            for side in ("left", "right")
            for limb in (
                ("nose", f"{side}_eye"),
                (f"{side}_eye", f"{side}_earbase"),
                (f"{side}_earbase", f"{side}_earend"),
                (f"{side}_antler_base", f"{side}_antler_end"),
                ("lower_jaw", f"mouth_end_{side}"),
                ("back_base", f"front_{side}_thai"),
                (f"front_{side}_thai", f"front_{side}_knee"),
                (f"front_{side}_knee", f"front_{side}_paw"),
                ("back_end", f"back_{side}_thai"),
                (f"back_{side}_thai", f"back_{side}_knee"),
                (f"back_{side}_knee", f"back_{side}_paw"),
                ("back_middle", f"body_middle_{side}"),
            )
        ),
    ),
    source=_SOURCE,
)

SUPERANIMAL_MOUSE27 = Skeleton(
    name="mouse27",
    keypoints=_MOUSE,
    pairs=pairs_by_name(_MOUSE),
    limbs=(
        *chain(("nose", "head_midpoint", "neck", "mid_back", "mouse_center", "mid_backend")),
        *chain(("mid_backend", "mid_backend2", "mid_backend3", "tail_base", "tail1", "tail2")),
        *chain(("tail2", "tail3", "tail4", "tail5", "tail_end")),
        *(
            limb
            for side in ("left", "right")
            for limb in (
                ("nose", f"{side}_eye"),
                (f"{side}_eye", f"{side}_ear"),
                (f"{side}_ear", f"{side}_ear_tip"),
                ("neck", f"{side}_shoulder"),
                (f"{side}_shoulder", f"{side}_midside"),
                (f"{side}_midside", f"{side}_hip"),
                (f"{side}_hip", "tail_base"),
            )
        ),
    ),
    source=_SOURCE,
)
