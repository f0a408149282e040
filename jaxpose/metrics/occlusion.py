"""Share of correct keypoints and error, of visible and of occluded keypoints apart."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.error import box_lengths
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class ByOcclusion(Metric):
    """PCK of the box in per cent, and the mean error in pixels, by the flags of the keypoints.

    A keypoint is correct within `alpha` times the square root of the area of the annotated box.
    Keypoints with flag 2 are visible, those with flag 1 occluded; -1 where there is none.

    Attributes:
      alpha: the threshold.
    """

    alpha: float = 0.1

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise InputError(f"ByOcclusion.alpha must be positive, not {self.alpha}.")

    @property
    def figures(self) -> dict[str, Direction]:
        return {
            "PCK occluded": "higher",
            "PCK visible": "higher",
            "error occluded": "lower",
            "error visible": "lower",
        }

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return ("box_xywh",)

    def __call__(self, estimates: Estimates) -> dict[str, float]:
        away = np.nan_to_num(estimates.distances, nan=np.inf)
        near = away <= self.alpha * box_lengths(estimates.column("box_xywh"))[:, None]
        found = {}
        for name, flag in (("occluded", 1), ("visible", 2)):
            chosen = estimates.visible == flag
            found[f"PCK {name}"] = 100 * float(near[chosen].mean()) if chosen.any() else -1.0
            found[f"error {name}"] = float(away[chosen].mean()) if chosen.any() else -1.0
        return found
