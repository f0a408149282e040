"""AFLW-19: brows, eyes, nose, mouth and chin in AFLW. Left and right are the person's own."""

from jaxpose.skeletons.face68 import both_sides
from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_BROWS = both_sides(("brow_outer", "brow_middle", "brow_inner"))
_EYES = both_sides(("eye_outer_corner", "eye_centre", "eye_inner_corner"))
_NOSE = both_sides(("nostril",), ("nose_tip",))
_MOUTH = both_sides(("mouth_corner",), ("mouth_centre",))
_KEYPOINTS = (*_BROWS, *_EYES, *_NOSE, *_MOUTH, "chin")

AFLW19 = Skeleton(
    name="aflw19",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=tuple(
        limb
        for run in (_BROWS[:3], _BROWS[3:], _EYES[:3], _EYES[3:], _NOSE, _MOUTH)
        for limb in chain(run)
    ),
    source="Koestinger et al., Annotated Facial Landmarks in the Wild, ICCV workshops 2011",
)
