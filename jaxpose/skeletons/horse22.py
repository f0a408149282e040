"""Horse-22: the keypoints of Horse-10, of horses that walk to the right.

Riders call a horse's left side near and its right side off, so the near legs are those beyond, away
from the camera. As in MMPose's definition no point has a partner: in a mirrored image, near legs
are again those beyond. The published metric is PCK relative to the distance from eye to nose, so
there are no sigmas.
"""

from jaxpose.skeletons.skeleton import Skeleton, chain

_SIDES = ("near", "off")
_TRUNK = ("shoulder", "mid_shoulder", "elbow", "girth", "wither")
_FRONT = tuple(f"{side}_{j}" for side in _SIDES for j in ("knee", "front_fetlock", "front_foot"))


def _hind(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_hind_{joint}" for joint in ("hock", "fetlock", "foot"))


_KEYPOINTS = (
    *("nose", "eye"),
    *_FRONT,
    *_TRUNK,
    *_hind("near"),
    *("hip", "stifle"),
    *_hind("off"),
    "ischium",
)

HORSE22 = Skeleton(
    name="horse22",
    keypoints=_KEYPOINTS,
    limbs=(
        *chain(("nose", "eye", "wither", "hip", "ischium", "stifle", "girth", "elbow")),
        *chain(("elbow", "shoulder", "mid_shoulder", "wither")),
        *(limb for leg in (_FRONT[:3], _FRONT[3:]) for limb in chain(("elbow", *leg))),
        *(limb for side in _SIDES for limb in chain(("stifle", *_hind(side)))),
    ),
    # The upper body of an animal is its front half, the lower body its back half.
    upper_body=_KEYPOINTS[:13],
    lower_body=_KEYPOINTS[13:],
    source=(
        "Mathis et al., Pretraining Boosts Out-of-Domain Robustness for Pose Estimation, WACV 2021"
    ),
)
