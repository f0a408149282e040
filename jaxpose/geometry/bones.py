"""Bone lengths, and a check of their unit."""

from collections.abc import Sequence

import numpy as np

from jaxpose.errors import InputError

# Bones of an adult skeleton average 200 to 300 mm; a child's or a sparse skeleton's stay within.
_SHORTEST_MM, _LONGEST_MM = 60.0, 900.0


def bone_lengths(points: np.ndarray, bones: Sequence[tuple[int, int]]) -> np.ndarray:
    """Lengths `[..., B]` of (from, to) pairs of joints of `points [..., K, 3]`; NaN stays NaN."""
    start, end = np.asarray(bones, int).reshape(-1, 2).T
    return np.linalg.norm(points[..., end, :] - points[..., start, :], axis=-1)


def check_millimetres(points: np.ndarray, bones: Sequence[tuple[int, int]]) -> None:
    """Checks that the bones of a skeleton `[..., K, 3]` have lengths of a body in millimetres.

    Raises:
      InputError: the lengths have another unit; the message names it and the factor.
    """
    lengths = bone_lengths(np.asarray(points, np.float64), bones)
    lengths = lengths[np.isfinite(lengths) & (lengths > 0)]
    if not lengths.size:
        raise InputError("no bone of the skeleton has a length: every joint is missing")
    typical = float(np.median(lengths))
    if _SHORTEST_MM <= typical <= _LONGEST_MM:
        return
    for unit, factor in (("metres", 1000.0), ("centimetres", 10.0)):
        if _SHORTEST_MM <= typical * factor <= _LONGEST_MM:
            raise InputError(
                f"half of the bones are shorter than {typical:.3g}, as in {unit}; millimetres are "
                f"expected: multiply the points by {factor:g}"
            )
    raise InputError(
        f"the median bone is {typical:.3g} long, which no body has in millimetres; check the unit"
    )
