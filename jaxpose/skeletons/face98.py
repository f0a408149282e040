"""Face-98: the markup of WFLW. Left and right are the person's own; names as in `face68`."""

from jaxpose.skeletons.face68 import (
    INNER_LIPS,
    NOSE_BRIDGE,
    NOSTRILS,
    OUTER_LIPS,
    both_sides,
    numbered,
)
from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_JAW = both_sides(numbered("jaw", 16), ("chin",))
# A brow is a ring of nine: its upper edge, whose first point is the outer end, and its lower edge.
# The right one runs from the outside in and back, the left one from the inside out and back.
_UPPER_BROW, _LOWER_BROW = numbered("brow_upper", 5), numbered("brow_lower", 4)
_RIGHT_BROW = tuple(f"right_{name}" for name in (*_UPPER_BROW, *reversed(_LOWER_BROW)))
_LEFT_BROW = tuple(f"left_{name}" for name in (*reversed(_UPPER_BROW), *_LOWER_BROW))
# An eye is a ring of eight that starts at the corner on the person's right, over the upper lid.
_UPPER_LID = (
    "eye_outer_corner",
    *("eye_upper_outer", "eye_upper_middle", "eye_upper_inner"),
    "eye_inner_corner",
)
_LOWER_LID = ("eye_lower_inner", "eye_lower_middle", "eye_lower_outer")
_RIGHT_EYE = tuple(f"right_{name}" for name in (*_UPPER_LID, *_LOWER_LID))
_LEFT_EYE = tuple(f"left_{name}" for name in (*reversed(_UPPER_LID), *reversed(_LOWER_LID)))

_KEYPOINTS = (
    *_JAW,
    *_RIGHT_BROW,
    *_LEFT_BROW,
    *NOSE_BRIDGE,
    *NOSTRILS,
    *_RIGHT_EYE,
    *_LEFT_EYE,
    *OUTER_LIPS,
    *INNER_LIPS,
    "right_pupil",
    "left_pupil",
)

FACE98 = Skeleton(
    name="face98",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *(limb for run in (_JAW, NOSE_BRIDGE, NOSTRILS) for limb in chain(run)),
        *(
            limb
            for ring in (_RIGHT_BROW, _LEFT_BROW, _RIGHT_EYE, _LEFT_EYE, OUTER_LIPS, INNER_LIPS)
            for limb in chain(ring, closed=True)
        ),
    ),
    source="Wu et al., Look at Boundary: A Boundary-Aware Face Alignment Algorithm, CVPR 2018",
)
