"""Estimates of models that find everybody in an image by themselves."""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class PeopleInImages:
    """People found in whole images, beside those annotated: no row belongs to another.

    It stands in place of `Estimates` for metrics with `Metric.whole_images`, which match people
    themselves.

    Attributes:
      skeleton: the K keypoints.
      truth: everybody annotated.
      found: everybody found.
    """

    skeleton: Skeleton
    truth: GroundTruth
    found: Detections

    def column(self, name: str) -> np.ndarray:
        """`box_xywh` or `area` of the people annotated; InputError for any other."""
        if name not in ("box_xywh", "area"):
            raise InputError(f"People in whole images have no {name!r}.")
        values: np.ndarray = getattr(self.truth, name)
        return values
