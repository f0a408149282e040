"""Errors of 2D tracks over time: of positions and of accelerations, relative to the person."""

from dataclasses import dataclass

import numpy as np

from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class TrackError(Metric):
    """Mean error of keypoints and of their accelerations, in per cent of the person's size.

    The size is the longer side of the person's box. Accelerations are second differences of
    consecutive frames of a clip; their error is the jitter that is left. `acceleration` is the mean
    acceleration of the estimates, which for the truth is `true acceleration`.
    """

    @property
    def figures(self) -> dict[str, Direction]:
        return {"track error": "lower", "acceleration error": "lower"}

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return "box_xywh", "clip"

    def __call__(self, estimates: Estimates) -> Scored:
        sizes = np.asarray(estimates.column("box_xywh"), np.float64)[:, 2:].max(axis=1)
        share = 100.0 / np.maximum(sizes, 1e-9)[:, None]
        clip, known = np.asarray(estimates.column("clip")), estimates.labelled
        same = (clip[2:] == clip[:-2])[:, None]
        three = same & known[2:] & known[1:-1] & known[:-2]
        found, true = (
            np.asarray(points, np.float64) for points in (estimates.keypoints, estimates.truth)
        )
        bent = {
            "acceleration error": _bends(found - true),
            "acceleration": _bends(found),
            "true acceleration": _bends(true),
        }
        figures = {"track error": _mean((estimates.distances * share)[known])}
        figures |= {name: _mean((values * share[1:-1])[three]) for name, values in bent.items()}
        note = "per cent of the longer side of the person's box"
        return Scored(figures, {"track error": note, "acceleration error": f"{note}, per frame²"})


def _bends(points: np.ndarray) -> np.ndarray:
    """Lengths `[N - 2, K]` of second differences of `[N, K, 2]`."""
    second: np.ndarray = np.linalg.norm(points[2:] - 2 * points[1:-1] + points[:-2], axis=-1)
    return second


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else -1.0
