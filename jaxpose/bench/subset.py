"""First samples of a dataset, for measurements that would take too long on all of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxpose.data.source import Batch, Source
from jaxpose.skeletons import Skeleton


class Part:
    """Source with the first samples of another source."""

    def __init__(self, source: Source, count: int) -> None:
        """Takes the first `count` samples of `source`, which must have as many."""
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
        """Attributes that only some sources have, such as the boxes of heads."""
        return getattr(self._source, name)

    def fingerprint(self) -> str:
        """The source's fingerprint, and the number of samples taken."""
        return f"{self._source.fingerprint()}-{self._count}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The source's samples at `indices`."""
        return self._source.samples(indices)
