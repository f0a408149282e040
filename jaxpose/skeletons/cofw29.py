"""COFW-29: the face in COFW. Left and right are the person's own."""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_SIDES = ("right", "left")


def _each(*names: str) -> tuple[str, ...]:
    """Names of the right side, each followed by its partner."""
    return tuple(f"{side}_{name}" for name in names for side in _SIDES)


_KEYPOINTS = (
    *_each("brow_outer", "brow_inner"),
    *(f"{side}_{name}" for side in _SIDES for name in ("brow_top", "brow_bottom")),
    *_each("eye_outer_corner", "eye_inner_corner"),
    *(f"{side}_{name}" for side in _SIDES for name in ("eye_top", "eye_bottom")),
    *_each("pupil", "nostril"),
    *("nose_tip", "nose_base"),
    *_each("mouth_corner"),
    *("upper_lip_top", "upper_lip_bottom", "lower_lip_top", "lower_lip_bottom"),
    "chin",
)


def _ring(side: str, part: str, outer: str, inner: str) -> tuple[tuple[str, str], ...]:
    names = (f"{part}_{outer}", f"{part}_top", f"{part}_{inner}", f"{part}_bottom")
    return chain([f"{side}_{name}" for name in names], closed=True)


COFW29 = Skeleton(
    name="cofw29",
    keypoints=_KEYPOINTS,
    pairs=pairs_by_name(_KEYPOINTS),
    limbs=(
        *(limb for side in _SIDES for limb in _ring(side, "brow", "outer", "inner")),
        *(limb for side in _SIDES for limb in _ring(side, "eye", "outer_corner", "inner_corner")),
        *chain(("right_nostril", "nose_base", "left_nostril")),
        ("nose_base", "nose_tip"),
        *chain(
            ("right_mouth_corner", "upper_lip_top", "left_mouth_corner", "lower_lip_bottom"),
            closed=True,
        ),
        *chain(
            ("right_mouth_corner", "upper_lip_bottom", "left_mouth_corner", "lower_lip_top"),
            closed=True,
        ),
    ),
    source="Burgos-Artizzu et al., Robust Face Landmark Estimation under Occlusion, ICCV 2013",
)
