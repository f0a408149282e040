"""Errors of meshes: PVE, PA-MPVPE, the F-score of hands, and the acceleration error.

All in millimetres over frames `[T, V, 3]`.
"""

import numpy as np
from scipy.spatial import cKDTree

from jaxpose.errors import InputError
from jaxpose.metrics.mpjpe import p_mpjpe


def pve(
    predicted: np.ndarray, truth: np.ndarray, roots: tuple[np.ndarray, np.ndarray] | None = None
) -> float:
    """Mean distance of corresponding vertices (per-vertex error, MPVPE), mm.

    Args:
      predicted, truth: `[T, V, 3]`.
      roots: predicted and true position of the pelvis or the wrist, `[T, 3]` each, to which the
        vertices are made relative; None compares them where they are.

    Raises:
      InputError: shapes that differ.
    """
    predicted, truth = _checked(predicted, truth)
    if roots is not None:
        predicted = predicted - np.asarray(roots[0], np.float64)[:, None]
        truth = truth - np.asarray(roots[1], np.float64)[:, None]
    return float(np.linalg.norm(predicted - truth, axis=-1).mean())


def pa_mpvpe(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance of vertices after the best similarity transform of each frame, mm."""
    predicted, truth = _checked(predicted, truth)
    return p_mpjpe(predicted, truth)


def acceleration_error(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean length of the difference of accelerations, mm per frame squared (ACCEL).

    Second differences of positions `[T, K, 3]`, as in HMMR and VIBE; multiply by the square of the
    frame rate for mm/s².

    Raises:
      InputError: shapes that differ; fewer than three frames.
    """
    predicted, truth = _checked(predicted, truth)
    if len(predicted) < 3:
        raise InputError(f"an acceleration needs three frames; there are {len(predicted)}")
    difference = predicted - truth
    bend = difference[2:] - 2 * difference[1:-1] + difference[:-2]
    return float(np.linalg.norm(bend, axis=-1).mean())


def f_score(predicted: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    """F-score of two surfaces at a distance, mean over the frames, 0 to 1.

    The harmonic mean of the share of predicted points that have a true point within the threshold
    and of true points that have a predicted one, as in FreiHAND, with 5 and 15 mm (Knapitsch et al.
    2017 for the score).

    Args:
      predicted: `[T, V, 3]` mm.
      truth: `[T, V', 3]` mm.
      threshold: mm.
    """
    scores = []
    for here, there in zip(np.asarray(predicted), np.asarray(truth), strict=True):
        precision = float(np.mean(cKDTree(there).query(here)[0] < threshold))
        recall = float(np.mean(cKDTree(here).query(there)[0] < threshold))
        total = precision + recall
        scores.append(2 * precision * recall / total if total else 0.0)
    return float(np.mean(scores))


def _checked(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or predicted.ndim != 3 or predicted.shape[-1] != 3:
        raise InputError(
            f"points of shapes {list(predicted.shape)} and {list(truth.shape)}; both have to be "
            "[frames, points, 3]"
        )
    return predicted, truth
