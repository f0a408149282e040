"""Estimates of models that find all people in an image without given boxes."""

from dataclasses import dataclass

import numpy as np

from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.estimates import MissingColumn
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class PeopleInImages:
    """People found and people annotated in whole images; rows of the two do not correspond.

    It replaces `Estimates` for metrics with `Metric.whole_images`, which match the people.

    Attributes:
      skeleton: the K keypoints.
      truth: all annotated people.
      found: all people found.
    """

    skeleton: Skeleton
    truth: GroundTruth
    found: Detections

    def column(self, name: str) -> np.ndarray:
        """Column `box_xywh` or `area` of the annotated people; MissingColumn for any other name."""
        if name not in ("box_xywh", "area"):
            raise MissingColumn(f"people in whole images have no {name!r}")
        values: np.ndarray = getattr(self.truth, name)
        return values
