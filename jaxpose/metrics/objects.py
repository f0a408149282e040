"""Metrics of models for poses of objects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxpose.geometry.rigid import RigidPose, compose_poses
from jaxpose.metrics import object_pose
from jaxpose.metrics.metric import Direction, Metric, Scored

_STEPS = np.arange(1, 11)
VSD_TAUS = _STEPS / 20
"""Tolerances of VSD in diameters over which AR_VSD is a mean: 5 to 50 %."""


class Surface(NamedTuple):
    """Surface of an object for metrics.

    Attributes:
      name: name for people.
      points: `[V, 3]` mm.
      diameter: mm.
      symmetries: `[S]`, the identity among them.
    """

    name: str
    points: np.ndarray
    diameter: float
    symmetries: RigidPose


@dataclass(frozen=True)
class ObjectEstimates:
    """Estimated and true poses of N objects in images.

    Attributes:
      surfaces: the objects, by number.
      object_id: `[N]` numbers.
      found: N poses; None where none was found.
      true: N poses.
      K: intrinsics `[N, 3, 3]`.
      widths: `[N]` of the images in pixels, to which thresholds of MSPD refer; None for 640.
      discrepancies: `[N, 10]` VSD for each of `VSD_TAUS`, 1 without a pose; None where the depth of
        the scenes is not known.
    """

    surfaces: Mapping[int, Surface]
    object_id: np.ndarray
    found: Sequence[RigidPose | None]
    true: Sequence[RigidPose]
    K: np.ndarray
    widths: np.ndarray | None = None
    discrepancies: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.object_id)


@dataclass(frozen=True)
class ObjectAccuracy(Metric):
    """Share of poses that count as correct, and median errors.

    `ADD(-S) 0.1d`: ADD, or ADD-S of symmetric objects, is below a share of the diameter
    (Hinterstoisser et al. 2012), the mean over the objects; `ADD(-S) of NAME` is that of each.
    `projection 5 px`: the mean error of the projected surface is below 5 pixels. An object without
    a pose counts as wrong, and not in the medians. Rotations, translations and projections are
    compared with the true pose of the same appearance with the nearest rotation.

    Attributes:
      threshold: share of the diameter.
    """

    threshold: float = 0.1

    @property
    def _main(self) -> str:
        return f"ADD(-S) {self.threshold:g}d"

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {
            self._main: "higher",
            "projection 5 px": "higher",
            "rotation": "lower",
            "translation": "lower",
        }

    def __call__(self, estimates: Any) -> Scored:
        """Compute the figures of `ObjectEstimates`; -1 without objects."""
        notes = {"errors": "shares of objects; medians in degrees and mm"}
        if not len(estimates):
            return Scored(dict.fromkeys(self.figures, -1.0), notes)
        correct, near = np.zeros(len(estimates), bool), np.zeros(len(estimates), bool)
        turns, shifts = [], []
        for row, (found, true) in enumerate(zip(estimates.found, estimates.true, strict=True)):
            surface = estimates.surfaces[int(estimates.object_id[row])]
            if found is None:
                continue
            symmetric = len(surface.symmetries.t) > 1
            error = object_pose.add_s if symmetric else object_pose.add
            away = error(found, true, surface.points)
            correct[row] = away < self.threshold * surface.diameter
            alike = nearest_alike(found, true, surface.symmetries)
            K = estimates.K[row]
            near[row] = object_pose.projection_error(found, alike, surface.points, K) < 5
            turns.append(object_pose.rotation_error(found, alike))
            shifts.append(object_pose.translation_error(found, alike))
        each = {
            surface.name: float(correct[estimates.object_id == number].mean())
            for number, surface in estimates.surfaces.items()
            if (estimates.object_id == number).any()
        }
        figures = {
            self._main: float(np.mean(list(each.values()))),
            "projection 5 px": float(near.mean()),
            "rotation": float(np.median(turns)) if turns else -1.0,
            "translation": float(np.median(shifts)) if shifts else -1.0,
            "no pose": float(np.mean([found is None for found in estimates.found])),
        }
        return Scored(figures | {f"ADD(-S) of {k}": v for k, v in each.items()}, notes)


@dataclass(frozen=True)
class BopRecall(Metric):
    """Average recalls of the BOP challenge, with symmetries: AR_VSD, AR_MSSD, AR_MSPD, and AR.

    The mean share of correct poses over thresholds of 5 to 50 % of the diameter (MSSD), and of 5 to
    50 pixels for an image 640 pixels wide (MSPD); arXiv:2009.07378, section 2.4. AR_VSD is the mean
    over thresholds of 0.05 to 0.5 and over `VSD_TAUS`, and AR the mean of the three; both need
    `ObjectEstimates.discrepancies`.
    """

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {"AR_MSSD": "higher", "AR_MSPD": "higher"}

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute the figures of `ObjectEstimates`; -1 without objects."""
        if not len(estimates):
            return dict.fromkeys(self.figures, -1.0)
        recalls = np.zeros((len(estimates), 2))
        for row, (found, true) in enumerate(zip(estimates.found, estimates.true, strict=True)):
            if found is None:
                continue
            surface = estimates.surfaces[int(estimates.object_id[row])]
            shape = surface.points, surface.symmetries
            distance = object_pose.mssd(found, true, *shape) / surface.diameter
            pixels = object_pose.mspd(found, true, *shape, estimates.K[row])
            width = 640 if estimates.widths is None else estimates.widths[row]
            recalls[row] = (
                (distance < 0.05 * _STEPS).mean(),
                (pixels < 5 * _STEPS * width / 640).mean(),
            )
        figures = dict(zip(self.figures, recalls.mean(axis=0).tolist(), strict=True))
        if estimates.discrepancies is not None:
            correct = estimates.discrepancies[..., None] < 0.05 * _STEPS
            figures["AR_VSD"] = float(correct.mean())
            figures["AR"] = float(np.mean(list(figures.values())))
        return figures


def nearest_alike(found: RigidPose, true: RigidPose, symmetries: RigidPose) -> RigidPose:
    """Of the poses with the true one's appearance, that nearest in rotation to the found one."""
    alike = compose_poses(RigidPose(true.R[None], true.t[None]), symmetries)
    agreement = np.einsum("ij,sij->s", found.R, alike.R)
    return alike.take(int(np.argmax(agreement)))
