"""Data types of the checks: annotated people as arrays, and findings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One fact about a dataset.

    Attributes:
      severity: `error` makes training or its score worthless, or loses annotations; `warning` may
        do so; `info` is a statistic.
      code: a short, stable name, such as `zero-area`.
      message: what is wrong and what to do.
      count: number of people, images or entries concerned.
      examples: some of them.
    """

    severity: Severity
    code: str
    message: str
    count: int
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class People:
    """Annotated people in pixels of their frame: the image, or the canvas of a record.

    Attributes:
      who: N names for messages.
      keypoints: `[N, K, 2]` (x, y), finite.
      visible: `[N, K]`, 0, 1 or 2.
      box_xywh: `[N, 4]`, finite.
      area: `[N]` px², NaN where unknown.
      frame_wh: `[N, 2]` width and height of the frame, NaN where unknown.
    """

    who: Sequence[str]
    keypoints: np.ndarray
    visible: np.ndarray
    box_xywh: np.ndarray
    area: np.ndarray
    frame_wh: np.ndarray

    def __len__(self) -> int:
        return len(self.who)


def found(
    severity: Severity, code: str, message: str, who: Sequence[str], rows: npt.ArrayLike
) -> list[Finding]:
    """One finding about the people where `rows` (bool `[N]`) is True, as a list; empty if none."""
    places = np.flatnonzero(rows)
    if not len(places):
        return []
    return [Finding(severity, code, message, len(places), tuple(who[i] for i in places[:3]))]
