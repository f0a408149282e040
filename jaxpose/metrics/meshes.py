"""Metrics of models of meshes: errors of the surface and of the keypoints on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpose.metrics.mesh_error import pa_mpvpe, pve
from jaxpose.metrics.metric import Direction, Metric


@dataclass(frozen=True)
class MeshEstimates:
    """Predicted and true bodies of N people, mm, relative to their roots.

    Attributes:
      vertices, true_vertices: `[N, V, 3]`.
      points, true_points: keypoints `[N, K, 3]`.
    """

    vertices: np.ndarray
    true_vertices: np.ndarray
    points: np.ndarray
    true_points: np.ndarray

    def __len__(self) -> int:
        return len(self.vertices)


@dataclass(frozen=True)
class MeshError(Metric):
    """Mean errors in mm: of vertices and keypoints, relative to the root or aligned.

    PVE and MPJPE are relative to the root; PA-MPVPE and PA-MPJPE are after the best similarity
    transform of each person.
    """

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {"PVE": "lower", "PA-MPVPE": "lower", "MPJPE": "lower", "PA-MPJPE": "lower"}

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute the errors of `MeshEstimates`; -1 without people."""
        if not len(estimates):
            return dict.fromkeys(self.figures, -1.0)
        surface = estimates.vertices, estimates.true_vertices
        points = estimates.points, estimates.true_points
        return {
            "PVE": pve(*surface),
            "PA-MPVPE": pa_mpvpe(*surface),
            "MPJPE": pve(*points),
            "PA-MPJPE": pa_mpvpe(*points),
        }
