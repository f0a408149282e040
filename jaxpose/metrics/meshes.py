"""Metrics of models of meshes: errors of the surface and of the keypoints on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpose.metrics.mesh_error import pa_mpvpe, pve
from jaxpose.metrics.metric import Direction, Metric
from jaxpose.metrics.mpjpe import mpjpe, p_mpjpe

_GROUP = 256  # people; a surface of SMPL has 6,890 vertices
SURFACE = ("PVE", "PA-MPVPE")
"""Figures that need bodies."""


@dataclass(frozen=True)
class MeshEstimates:
    """Predicted and true bodies, mm: vertices of M people whose bodies are known, keypoints of N.

    Vertices, and keypoints of these M people, are relative to the root; keypoints of others are
    relative to the middle of the hips.

    Attributes:
      vertices, true_vertices: `[M, V, 3]`.
      points, true_points: keypoints `[N, K, 3]`; the true ones are NaN where unknown.
    """

    vertices: np.ndarray
    true_vertices: np.ndarray
    points: np.ndarray
    true_points: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class MeshError(Metric):
    """Mean errors in mm: of vertices and keypoints, relative to the root or aligned.

    PVE and MPJPE are relative to the root (see `MeshEstimates`); PA-MPVPE and PA-MPJPE are after
    the best similarity transform of each person.
    """

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {"PVE": "lower", "PA-MPVPE": "lower", "MPJPE": "lower", "PA-MPJPE": "lower"}

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute the errors of `MeshEstimates`; -1 where there is nothing to measure."""
        found = dict.fromkeys(self.figures, -1.0)
        if len(estimates.vertices):
            surface = estimates.vertices, estimates.true_vertices
            found |= {"PVE": _in_groups(pve, *surface), "PA-MPVPE": _in_groups(pa_mpvpe, *surface)}
        known = np.isfinite(estimates.true_points).all(axis=-1)
        if known.any():
            points = estimates.points, estimates.true_points, known
            found |= {"MPJPE": mpjpe(*points), "PA-MPJPE": p_mpjpe(*points)}
        return found


def _in_groups(
    error: Callable[[np.ndarray, np.ndarray], float], found: np.ndarray, true: np.ndarray
) -> float:
    """Mean error of surfaces `[M, V, 3]`, a group at a time: errors are computed in float64."""
    parts = [slice(start, start + _GROUP) for start in range(0, len(found), _GROUP)]
    return float(sum(error(found[s], true[s]) * len(found[s]) for s in parts) / len(found))
