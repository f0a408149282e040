"""Mean object keypoint similarity of people, without a threshold and without a ranking."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.metrics.oks import oks
from jaxpose.metrics.pairs import pair_people, paired_estimates
from jaxpose.metrics.people import PeopleInImages
from jaxpose.skeletons import Skeleton


def oks_of_people(estimates: Estimates) -> np.ndarray:
    """OKS `[N]` of each person with its own estimate; 0 for an estimate that is NaN.

    The area is the annotated one (`Estimates.area`); NaN for people without a labelled keypoint.
    """
    similarity = oks(
        np.nan_to_num(estimates.keypoints, nan=np.inf),
        estimates.truth,
        estimates.visible,
        estimates.column("area"),
        estimates.skeleton.oks_sigmas(),
    )
    return np.where(estimates.labelled.any(axis=1), similarity, np.nan)


@dataclass(frozen=True)
class MeanOKS(Metric):
    """Mean OKS of people with their own estimates, over people with enough labelled keypoints.

    Each person is compared with the estimate of its box. People found without given boxes are
    paired with the annotated people first (`metrics.pairs`); a person who was not found counts 0.
    The figure is named `mean OKS`, or `mean OKS (8+)` for people with at least 8 labelled
    keypoints.

    Attributes:
      min_keypoints: lowest number of labelled keypoints of a person who counts.
    """

    min_keypoints: int = 1
    uses_sigmas: ClassVar[bool] = True
    whole_images: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.min_keypoints < 1:
            raise InputError(f"MeanOKS.min_keypoints is at least 1, not {self.min_keypoints}.")

    @property
    def figures(self) -> dict[str, Direction]:
        least = f" ({self.min_keypoints}+)" if self.min_keypoints > 1 else ""
        return {f"mean OKS{least}": "higher"}

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return ("area",)

    def __call__(self, estimates: Estimates | PeopleInImages) -> Scored:
        if isinstance(estimates, PeopleInImages):
            estimates = paired_estimates(estimates, pair_people(estimates))
        enough = estimates.labelled.sum(axis=1) >= self.min_keypoints
        values = oks_of_people(estimates)[enough]
        (name,) = self.figures
        least = f"at least {self.min_keypoints} labelled keypoints"
        enough_words = least if self.min_keypoints > 1 else "a labelled keypoint"
        people = f"of {len(values):,} people with {enough_words}"
        return Scored({name: float(values.mean()) if len(values) else -1.0}, {name: people})
