"""Bone lengths: what they are, how steady they are, what they say about the unit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError

# Bones of an adult skeleton average 200 to 300 mm; a child's or a sparse skeleton's stay within.
_SHORTEST_MM, _LONGEST_MM = 60.0, 900.0


@dataclass(frozen=True)
class BoneLengths:
    """Lengths over a clip.

    Attributes:
      median: `[B]` mm; NaN where a bone is never seen.
      spread: `[B]` standard deviation over the median; 0 is a rigid bone.
    """

    median: np.ndarray
    spread: np.ndarray


def bone_lengths(points: np.ndarray, bones: Sequence[tuple[int, int]]) -> np.ndarray:
    """Lengths `[..., B]` of (from, to) pairs of joints of `points [..., K, 3]`; NaN passes on."""
    start, end = np.asarray(bones, int).reshape(-1, 2).T
    return np.linalg.norm(points[..., end, :] - points[..., start, :], axis=-1)


def consistency(points: np.ndarray, bones: Sequence[tuple[int, int]]) -> BoneLengths:
    """Median length and relative spread of each bone over `points [T, K, 3]`, NaN left out."""
    lengths = bone_lengths(np.asarray(points, np.float64), bones)
    seen = np.isfinite(lengths).any(axis=0)
    filled = np.where(seen[None], lengths, 0.0)
    median, deviation = np.nanmedian(filled, axis=0), np.nanstd(filled, axis=0)
    unknown = ~seen | (median == 0)
    spread = np.where(unknown, np.nan, deviation / np.where(unknown, 1.0, median))
    return BoneLengths(np.where(seen, median, np.nan), spread)


def check_millimetres(points: np.ndarray, bones: Sequence[tuple[int, int]]) -> None:
    """Refuse a skeleton `[..., K, 3]` whose bones are no body's in millimetres.

    Raises:
      InputError: says what the unit seems to be and by what to multiply.
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
        f"the median bone is {typical:.3g} long, which is no body in millimetres; check the unit"
    )
