"""Nine keypoints of a rigid object: eight places of its surface, and its centre."""

from jaxpose.skeletons.skeleton import Skeleton

_SURFACE = tuple(f"surface_{number}" for number in range(1, 9))

OBJECT9 = Skeleton(
    name="object9",
    keypoints=(*_SURFACE, "center"),
    limbs=tuple(("center", name) for name in _SURFACE),
    source="Peng et al., PVNet, CVPR 2019, section 3.1",
)
