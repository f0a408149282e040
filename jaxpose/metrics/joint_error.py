"""Errors of 3D joints as objects for a config: the MPJPE family, by subject and action.

A figure is the unweighted mean over subjects and actions, as in published tables. Joints are in mm
about the root.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jaxpose.metrics import mpjpe as errors
from jaxpose.metrics.by_action import cells, mean_over_cells
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.skeletons import Skeleton


class _MotionMetric(Metric):
    """Base of metrics with one figure: an error of 3D joints in mm."""

    dimensions: ClassVar[int] = 3
    name: ClassVar[str]

    @property
    def figures(self) -> dict[str, Direction]:
        return {self.name: "lower"}

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return "subject", "action"

    def _scored(
        self, estimates: Estimates, error: Callable[..., float], *more: np.ndarray
    ) -> Scored:
        columns = estimates.keypoints, estimates.truth, estimates.labelled, *more
        table = {
            self.name: cells(
                error, columns, estimates.column("subject"), estimates.column("action")
            )
        }
        return Scored(mean_over_cells(table), {}, table)


@dataclass(frozen=True)
class MPJPE(_MotionMetric):
    """`metrics.mpjpe.mpjpe` (protocol 1 of Human3.6M); also reports the mean over all frames."""

    name: ClassVar[str] = "MPJPE"

    def __call__(self, estimates: Estimates) -> Scored:
        scored = self._scored(estimates, errors.mpjpe)
        whole = errors.mpjpe(estimates.keypoints, estimates.truth, estimates.labelled)
        return Scored({**scored.figures, "MPJPE over frames": whole}, {}, scored.by_action)


@dataclass(frozen=True)
class PMPJPE(_MotionMetric):
    """`metrics.mpjpe.p_mpjpe`: after the best similarity transform of each pose (protocol 2)."""

    name: ClassVar[str] = "P-MPJPE"

    def __call__(self, estimates: Estimates) -> Scored:
        return self._scored(estimates, errors.p_mpjpe)


@dataclass(frozen=True)
class NMPJPE(_MotionMetric):
    """`metrics.mpjpe.n_mpjpe`: after the best scale of each pose."""

    name: ClassVar[str] = "N-MPJPE"

    def __call__(self, estimates: Estimates) -> Scored:
        return self._scored(estimates, errors.n_mpjpe)


@dataclass(frozen=True)
class MPJVE(_MotionMetric):
    """`metrics.mpjpe.mpjve`: the error of joint velocities, mm per frame."""

    name: ClassVar[str] = "MPJVE"

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return "subject", "action", "clip"

    def __call__(self, estimates: Estimates) -> Scored:
        scored = self._scored(estimates, errors.mpjve, estimates.column("clip"))
        return Scored(scored.figures, {"MPJVE": "mm per frame"}, scored.by_action)


@dataclass(frozen=True)
class PCK3D(Metric):
    """`metrics.mpjpe.pck3d` as an object for a config; `threshold` in mm."""

    threshold: float = 150.0
    dimensions: ClassVar[int] = 3

    @property
    def figures(self) -> dict[str, Direction]:
        return {self._name: "higher"}

    @property
    def _name(self) -> str:
        return "PCK3D" if self.threshold == 150.0 else f"PCK3D@{self.threshold:g}"

    def __call__(self, estimates: Estimates) -> Scored:
        value = errors.pck3d(
            estimates.keypoints, estimates.truth, estimates.labelled, self.threshold
        )
        words = f"share of joints less than {self.threshold:g} mm from the truth"
        return Scored({self._name: value}, {self._name: words})


@dataclass(frozen=True)
class AUC3D(Metric):
    """`metrics.mpjpe.auc3d` as an object for a config."""

    dimensions: ClassVar[int] = 3

    @property
    def figures(self) -> dict[str, Direction]:
        return {"AUC3D": "higher"}

    def __call__(self, estimates: Estimates) -> Scored:
        value = errors.auc3d(estimates.keypoints, estimates.truth, estimates.labelled)
        return Scored({"AUC3D": value}, {"AUC3D": "mean of PCK3D over 0, 5, ..., 150 mm"})
