"""The left-right mirror of centred coordinates, 2D or 3D."""

from typing import Any

from jaxpose.geometry.namespace import ArrayT, namespace


def mirror(points: ArrayT, permutation: Any) -> ArrayT:
    """Points `[..., K, D]` with x negated and left and right keypoints exchanged.

    The frame's origin lies in the mirror: the centre of the picture, the optical axis, the middle
    of a box or the root. Further coordinates, such as y, z and a confidence, stay. `permutation
    [K]` says where each keypoint's values come from.
    """
    xp = namespace(points, permutation)
    swapped = xp.take(points, permutation, axis=-2)
    return xp.concatenate([-swapped[..., :1], swapped[..., 1:]], axis=-1)
