"""Face-106: the markup of JD and LaPa.

Left and right are the person's own; names as in `face68`.
"""

from jaxpose.skeletons.face68 import INNER_LIPS, OUTER_LIPS, both_sides, numbered
from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_JAW = both_sides(numbered("jaw", 16), ("chin",))
# A brow is a ring of nine: its upper edge, whose first point is the outer end, and its lower edge.
# The right one runs from the outside in and back, the left one from the inside out and back.
_UPPER_BROW, _LOWER_BROW = numbered("brow_upper", 5), numbered("brow_lower", 4)
_RIGHT_BROW = tuple(f"right_{name}" for name in (*_UPPER_BROW, *reversed(_LOWER_BROW)))
_LEFT_BROW = tuple(f"left_{name}" for name in (*reversed(_UPPER_BROW), *_LOWER_BROW))
_BRIDGE = numbered("nose_bridge", 4)
_NOSE = both_sides(
    ("nose_side_1", "nose_side_2", "nostril_1", "nostril_2", "nostril_3"), ("nose_base",)
)
# An eye is a ring of eight from the corner on the person's right over the upper lid.
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
    *_BRIDGE,
    *_NOSE,
    *(*_RIGHT_EYE, "right_eye_centre"),
    *(*_LEFT_EYE, "left_eye_centre"),
    *OUTER_LIPS,
    *INNER_LIPS,
    "right_pupil",
    "left_pupil",
)

FACE106 = Skeleton(
    name="face106",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *(limb for run in (_JAW, _BRIDGE, _NOSE) for limb in chain(run)),
        *(
            limb
            for ring in (_RIGHT_BROW, _LEFT_BROW, _RIGHT_EYE, _LEFT_EYE, OUTER_LIPS, INNER_LIPS)
            for limb in chain(ring, closed=True)
        ),
    ),
    source=(
        "Liu et al., Grand Challenge of 106-Point Facial Landmark Localization, ICMEW 2019; "
        "Liu et al., A New Dataset and Boundary-Attention Semantic Segmentation for Face Parsing "
        "(LaPa), AAAI 2020"
    ),
)
