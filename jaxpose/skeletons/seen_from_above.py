"""Fly-32, Locust-35 and Zebra-9: three sets of animals seen from above.

A leg of an insect has four points from the body to its end.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain, pairs_by_name

_SIDES = ("left", "right")
_DEEPPOSEKIT = (
    "Graving et al., DeepPoseKit, a Software Toolkit for Fast and Robust Animal Pose Estimation"
    " Using Deep Learning, eLife 2019"
)


def _legs(side: str) -> tuple[tuple[str, ...], ...]:
    """Three legs of one side, each four names."""
    legs = ("foreleg", "midleg", "hindleg")
    return tuple(tuple(f"{side}_{leg}_{i}" for i in (1, 2, 3, 4)) for leg in legs)


def _leg_names(side: str) -> tuple[str, ...]:
    return tuple(name for leg in _legs(side) for name in leg)


_LEG_LIMBS = tuple(
    limb for side in _SIDES for leg in _legs(side) for limb in chain(("thorax", *leg))
)
_FLY = (
    *("head", "left_eye", "right_eye", "neck", "thorax", "abdomen"),
    *_leg_names("right"),
    *_leg_names("left"),
    *("left_wing", "right_wing"),
)

FLY32 = Skeleton(
    name="fly32",
    keypoints=_FLY,
    pairs=pairs_by_name(_FLY),
    limbs=(
        *((("head", f"{side}_eye")) for side in _SIDES),
        *chain(("head", "neck", "thorax", "abdomen")),
        *_LEG_LIMBS,
        *((("neck", f"{side}_wing")) for side in _SIDES),
    ),
    source=(
        "Pereira et al., Fast Animal Pose Estimation Using Deep Neural Networks, Nature Methods"
        " 2019"
    ),
)


def _head(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in ("antenna_tip", "antenna_base", "eye"))


_LOCUST = (
    *("head", "neck", "thorax", "abdomen_1", "abdomen_2"),
    *(name for side in _SIDES for name in (*_head(side), *_leg_names(side))),
)

LOCUST35 = Skeleton(
    name="locust35",
    keypoints=_LOCUST,
    pairs=pairs_by_name(_LOCUST),
    limbs=(
        *chain(_LOCUST[:5]),
        *(limb for side in _SIDES for limb in chain(("head", *reversed(_head(side))))),
        *_LEG_LIMBS,
    ),
    source=_DEEPPOSEKIT,
)

_ZEBRA = (
    *("snout", "head", "neck"),
    *("left_foreleg", "right_foreleg", "left_hindleg", "right_hindleg"),
    *("tail_base", "tail_tip"),
)

ZEBRA9 = Skeleton(
    name="zebra9",
    keypoints=_ZEBRA,
    pairs=pairs_by_name(_ZEBRA),
    limbs=(
        *chain(("snout", "head", "neck", "tail_base", "tail_tip")),
        *(("neck", f"{side}_foreleg") for side in _SIDES),
        *(("tail_base", f"{side}_hindleg") for side in _SIDES),
    ),
    source=_DEEPPOSEKIT,
)
