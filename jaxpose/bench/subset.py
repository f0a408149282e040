"""A part of a data set, where measuring on all of it would take too long."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose.data.source import Batch, Source
from jaxpose.skeletons import Skeleton


class Part:
    """The first samples of a source, itself a source."""

    def __init__(self, source: Source, count: int) -> None:
        """Of `source`, `count` samples, which it has."""
        self._source, self._count = source, count

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._source.canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return self._source.skeleton

    def __len__(self) -> int:
        return self._count

    def __getattr__(self, name: str) -> Any:
        """What only some sources have, such as the boxes of heads."""
        return getattr(self._source, name)

    def fingerprint(self) -> str:
        """The source's, and how much of it."""
        return f"{self._source.fingerprint()}-{self._count}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """As the source's."""
        return self._source.samples(indices)
