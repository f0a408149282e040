"""Bone lengths over a clip and their variation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxpose.geometry.bones import bone_lengths


@dataclass(frozen=True)
class BoneLengths:
    """Bone lengths over a clip.

    Attributes:
      median: `[B]` mm; NaN where a bone is never visible.
      spread: `[B]` standard deviation over the median; 0 is a rigid bone.
    """

    median: np.ndarray
    spread: np.ndarray


def consistency(points: np.ndarray, bones: Sequence[tuple[int, int]]) -> BoneLengths:
    """Median length and relative spread of each bone over `points [T, K, 3]`, without NaN."""
    lengths = bone_lengths(np.asarray(points, np.float64), bones)
    seen = np.isfinite(lengths).any(axis=0)
    filled = np.where(seen[None], lengths, 0.0)
    median, deviation = np.nanmedian(filled, axis=0), np.nanstd(filled, axis=0)
    unknown = ~seen | (median == 0)
    spread = np.where(unknown, np.nan, deviation / np.where(unknown, 1.0, median))
    return BoneLengths(np.where(seen, median, np.nan), spread)
