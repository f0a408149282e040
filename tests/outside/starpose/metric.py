"""A metric."""

from dataclasses import dataclass

import numpy as np

from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric


@dataclass(frozen=True)
class MedianError(Metric):
    """Median distance of the estimates from the truth, in pixels."""

    @property
    def figures(self) -> dict[str, Direction]:
        return {"median error": "lower"}

    def __call__(self, estimates: Estimates) -> dict[str, float]:
        return {"median error": float(np.nanmedian(estimates.distances))}
