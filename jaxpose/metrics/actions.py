"""Metrics of classifiers of actions: top-k accuracy and mean class accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.metric import Direction, Metric


@dataclass(frozen=True)
class ClassScores:
    """Scores of classes of N clips, the input of the metrics of this file.

    Attributes:
      scores: `[N, C]`, the higher the more likely.
      labels: class numbers `[N]`.
      classes: C names.
    """

    scores: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def confusion(self) -> np.ndarray:
        """Number of clips by true class (rows) and predicted class (columns), int64 `[C, C]`."""
        count = len(self.classes)
        predicted = self.scores.argmax(axis=-1) if len(self) else np.zeros(0, np.int64)
        flat = np.bincount(self.labels * count + predicted, minlength=count * count)
        return flat.reshape(count, count)


@dataclass(frozen=True)
class TopK(Metric):
    """Percentage of clips whose class is among the k classes of highest score.

    Of classes with equal scores, only as many count as there is room for, lower numbers first.
    """

    k: int = 1

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"TopK needs k of at least 1, not {self.k}.")

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {f"top-{self.k}": "higher"}

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute `top-k` of `ClassScores`, in per cent; -1 without clips."""
        if not len(estimates):
            return {f"top-{self.k}": -1.0}
        best = np.argsort(-estimates.scores, axis=-1, kind="stable")[:, : self.k]
        hits = (best == estimates.labels[:, None]).any(axis=-1)
        return {f"top-{self.k}": 100 * float(hits.mean())}


@dataclass(frozen=True)
class MeanClassAccuracy(Metric):
    """Mean over classes of the percentage of their clips that get their class.

    Classes without clips do not count.
    """

    @property
    def figures(self) -> Mapping[str, Direction]:
        return {"mean class accuracy": "higher"}

    def __call__(self, estimates: Any) -> dict[str, float]:
        """Compute `mean class accuracy` of `ClassScores`, in per cent; -1 without clips."""
        confusion = estimates.confusion()
        clips = confusion.sum(axis=1)
        if not clips.any():
            return {"mean class accuracy": -1.0}
        right = np.diagonal(confusion)[clips > 0] / clips[clips > 0]
        return {"mean class accuracy": 100 * float(right.mean())}
