"""Metric of `few_labels`.

A run finds the classes of its recipe in files, so it cannot be one of the program itself.
"""

from dataclasses import dataclass

import numpy as np

from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric
from jaxpose.metrics.pck import pck

SHARE = 0.1


@dataclass(frozen=True)
class LengthPCK(Metric):
    """Share of keypoints within a tenth of the animal's longer side."""

    @property
    def figures(self) -> dict[str, Direction]:
        return {"PCK": "higher"}

    def __call__(self, estimates: Estimates) -> dict[str, float]:
        known = np.where(estimates.labelled[..., None], estimates.truth, np.nan)
        extent = np.nanmax(known, axis=1) - np.nanmin(known, axis=1)
        lengths = extent.max(axis=-1)
        counts = pck(estimates.keypoints, estimates.truth, estimates.labelled, lengths, SHARE)
        return {"PCK": counts.total()}
