"""Face-68: the iBUG markup of 300-W. Left and right are the person's own.

The datasets number the points; the names here describe their position. Numbered runs (jaw, brows,
nostrils) count from the outside in, so that `left_` and `right_` points of a number are partners.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name


def both_sides(names: tuple[str, ...], centre: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of an arc from the person's right to the left: right, centre, left in reverse."""
    left = tuple(f"left_{name}" for name in reversed(names))
    return (*(f"right_{name}" for name in names), *centre, *left)


def numbered(name: str, count: int) -> tuple[str, ...]:
    """Names `name_1` ... `name_count`."""
    return tuple(f"{name}_{i}" for i in range(1, count + 1))


JAW = both_sides(numbered("jaw", 8), ("chin",))
RIGHT_BROW = tuple(f"right_{name}" for name in numbered("brow", 5))
LEFT_BROW = tuple(f"left_{name}" for name in reversed(numbered("brow", 5)))
NOSE_BRIDGE = (*numbered("nose_bridge", 3), "nose_tip")
NOSTRILS = both_sides(numbered("nostril", 2), ("nose_base",))
# Both eyes start at the corner on the person's right and run over the upper lid.
_UPPER_LID = ("eye_outer_corner", "eye_upper_outer", "eye_upper_inner", "eye_inner_corner")
_LOWER_LID = ("eye_lower_inner", "eye_lower_outer")
RIGHT_EYE = tuple(f"right_{name}" for name in (*_UPPER_LID, *_LOWER_LID))
LEFT_EYE = tuple(f"left_{name}" for name in (*reversed(_UPPER_LID), *reversed(_LOWER_LID)))
# Both rings start at the corner on the person's right, run over the upper lip and back below.
OUTER_LIPS = (
    *both_sides(("mouth_corner", "upper_lip_1", "upper_lip_2"), ("upper_lip",)),
    *("left_lower_lip_1", "left_lower_lip_2", "lower_lip"),
    *("right_lower_lip_2", "right_lower_lip_1"),
)
INNER_LIPS = (
    *both_sides(("inner_mouth_corner", "inner_upper_lip"), ("inner_upper_lip",)),
    *("left_inner_lower_lip", "inner_lower_lip", "right_inner_lower_lip"),
)

_KEYPOINTS = (
    *JAW,
    *RIGHT_BROW,
    *LEFT_BROW,
    *NOSE_BRIDGE,
    *NOSTRILS,
    *RIGHT_EYE,
    *LEFT_EYE,
    *OUTER_LIPS,
    *INNER_LIPS,
)

FACE68 = Skeleton(
    name="face68",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *(
            limb
            for run in (JAW, RIGHT_BROW, LEFT_BROW, NOSE_BRIDGE, NOSTRILS)
            for limb in chain(run)
        ),
        *(
            limb
            for ring in (RIGHT_EYE, LEFT_EYE, OUTER_LIPS, INNER_LIPS)
            for limb in chain(ring, closed=True)
        ),
    ),
    source="Sagonas et al., 300 Faces In-the-Wild Challenge: Database and Results, IVC 2016",
)
