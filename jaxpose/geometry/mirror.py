"""Left-right mirror of centred coordinates, 2D or 3D."""

from typing import Any

from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.namespace import ArrayT, namespace


def mirror(points: ArrayT, permutation: Any) -> ArrayT:
    """Mirrors points `[..., K, D]`: negates x and exchanges left and right keypoints.

    The frame's origin must lie in the mirror plane: the centre of the image, the optical axis, the
    middle of a box or the root. Further coordinates, such as y, z and a confidence, stay.
    `permutation [K]` is the index that each keypoint's values come from.
    """
    xp = namespace(points, permutation)
    swapped = reordered(points, permutation, axis=-2)
    return xp.concatenate([-swapped[..., :1], swapped[..., 1:]], axis=-1)
