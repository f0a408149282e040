"""MPJPE and related metrics: distances of 3D joints from the truth, in the unit of the input.

Arrays are `[N, K, 3]`, usually millimetres relative to the root (see `root_relative`). `visible`
`[N, K]` is above 0 where the truth is known. Other joints have no effect, whatever their values. A
prediction of NaN for a known joint counts as an infinite error. Results are -1 if there is nothing
to measure.
"""

from typing import Literal

import numpy as np

from jaxpose.errors import InputError

Aligned = Literal["visible", "all"]

# 0 to 150 mm in steps of 5. Mehta et al., "Monocular 3D Human Pose Estimation In The Wild", 2017.
AUC_THRESHOLDS = np.linspace(0.0, 150.0, 31)


def root_relative(points: np.ndarray, root: int = 0) -> np.ndarray:
    """Move points `[..., K, 3]` so that joint `root` is at the origin."""
    return points - points[..., root : root + 1, :]


def mpjpe(predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray | None = None) -> float:
    """Mean per-joint position error (protocol 1 of Human3.6M).

    Raises:
      InputError: shapes that do not fit together.
    """
    predicted, truth, known = _checked(predicted, truth, visible)
    return _mean_distance(predicted, truth, known)


def p_mpjpe(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray | None = None,
    aligned_on: Aligned = "visible",
) -> float:
    """MPJPE after the best scale, rotation and translation of each pose (protocol 2); no mirroring.

    `aligned_on="all"` also uses unknown joints for the alignment, as MMPose does; they must then be
    finite. Errors are those of `mpjpe`.
    """
    predicted, truth, known = _checked(predicted, truth, visible)
    weights = _weights(predicted, known, aligned_on)
    # It imports JAX, which the metrics of images do without.
    from jaxpose.geometry.procrustes import move, procrustes

    moved = move(procrustes(predicted, truth, weights), predicted)
    return _mean_distance(moved, truth, known)


def n_mpjpe(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray | None = None,
    aligned_on: Aligned = "visible",
) -> float:
    """MPJPE after the best scale of each pose; arguments are those of `p_mpjpe`.

    Rhodin et al., "Unsupervised Geometry-Aware Representation for 3D Human Pose Estimation",
    arXiv:1804.01110.
    """
    predicted, truth, known = _checked(predicted, truth, visible)
    weights = _weights(predicted, known, aligned_on)[..., None]
    p, t = (np.where(weights > 0, points, 0.0) for points in (predicted, truth))
    size = (p * p).sum(axis=(-2, -1))
    scale = np.where(size > 0, (p * t).sum(axis=(-2, -1)) / np.where(size > 0, size, 1.0), 1.0)
    return _mean_distance(scale[:, None, None] * predicted, truth, known)


def mpjve(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray | None = None,
    clip: np.ndarray | None = None,
) -> float:
    """Mean per-joint velocity error of N frames in order, in the unit of the input per frame.

    A velocity counts if the joint is known in both frames. Errors are those of `mpjpe`. Pavllo et
    al., arXiv:1811.11742.

    Args:
      clip: `[N]`, the clip of each frame. Velocities are not taken across clips. None means one
        clip.
    """
    predicted, truth, known = _checked(predicted, truth, visible)
    both = known[1:] & known[:-1]
    if clip is not None:
        both &= (np.asarray(clip)[1:] == np.asarray(clip)[:-1])[:, None]
    return _mean_distance(np.diff(predicted, axis=0), np.diff(truth, axis=0), both)


def pck3d(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray | None = None,
    threshold: float = 150.0,
) -> float:
    """Share of known joints closer than `threshold` to the truth, in [0, 1].

    Errors are those of `mpjpe`. Mehta et al., 2017, arXiv:1611.09813.
    """
    distances = _distances(*_checked(predicted, truth, visible))
    return float((distances < threshold).mean()) if distances.size else -1.0


def auc3d(predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray | None = None) -> float:
    """Mean of `pck3d` over the thresholds 0, 5, ..., 150 mm, in [0, 1]; needs millimetres."""
    distances = _distances(*_checked(predicted, truth, visible))
    if not distances.size:
        return -1.0
    return float((distances[None, :] < AUC_THRESHOLDS[:, None]).mean())


def _checked(
    predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    known = np.ones(truth.shape[:-1], bool) if visible is None else np.asarray(visible) > 0
    if (
        truth.ndim != 3
        or truth.shape[-1] != 3
        or predicted.shape != truth.shape
        or known.shape != truth.shape[:-1]
    ):
        raise InputError(
            f"predictions {predicted.shape}, truth {truth.shape} and flags {known.shape} must "
            "be [N, K, 3], [N, K, 3] and [N, K]"
        )
    if not np.isfinite(truth[known]).all():
        raise InputError("the truth of a visible joint is not finite; set its `visible` to 0")
    return predicted, truth, known


def _weights(predicted: np.ndarray, known: np.ndarray, aligned_on: Aligned) -> np.ndarray:
    used = known if aligned_on == "visible" else np.ones_like(known)
    return (used & np.isfinite(predicted).all(axis=-1)).astype(np.float64)


def _distances(predicted: np.ndarray, truth: np.ndarray, known: np.ndarray) -> np.ndarray:
    distances = np.linalg.norm(predicted[known] - truth[known], axis=-1)
    return np.where(np.isnan(distances), np.inf, distances)


def _mean_distance(predicted: np.ndarray, truth: np.ndarray, known: np.ndarray) -> float:
    distances = _distances(predicted, truth, known)
    return float(distances.mean()) if distances.size else -1.0
