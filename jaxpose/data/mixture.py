"""Mixture of several datasets in one training, each with its share of the samples.

The sample at a place of the order is a pure function of (seed, place), so a run can resume at any
step and does not depend on the number of processes. Places are grouped into blocks. In each block,
every dataset has a fixed number of places, in shuffled order. A dataset fills its places with its
shuffled samples, each once per epoch of the dataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxpose.data.index import shuffled
from jaxpose.data.source import Batch, Dataset, Source, check_indices
from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.mapping import shared_keypoints

BLOCK = 4096
"""Number of places in a block; shares are exact in a block, and multiples of 1 / BLOCK."""


@dataclass(frozen=True)
class Weighted:
    """Part of a mixture: a dataset with its weight.

    Attributes:
      data: the dataset to open.
      weight: frequency of its samples, relative to the weights of the other parts.
      dataset: number of the dataset, which chooses the expert of a model with experts; several
        parts may have the same number.
    """

    data: Dataset
    weight: float = 1.0
    dataset: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf") or self.dataset < 0:
            raise InputError(
                "A part of a mixture needs weight > 0 and dataset >= 0, but has weight "
                f"{self.weight} and dataset {self.dataset}."
            )


@dataclass(frozen=True)
class Mixture:
    """Several datasets as one, as in ViTPose++ (arXiv:2212.04246, section 3.3).

    Evaluation reads all parts one after another; the weights have no effect on it.

    Attributes:
      parts: at least one; all canvases have the same size.
      skeleton: skeleton of all samples, such as `skeletons.union(...)`; keypoints that a part does
        not have are not labelled. None if all parts have the same skeleton.
    """

    parts: tuple[Weighted, ...]
    skeleton: Skeleton | None = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("A mixture needs at least one part.")

    @property
    def datasets(self) -> tuple[int, ...]:
        """Number of each part's dataset."""
        return tuple(part.dataset for part in self.parts)

    def open(self) -> "MixtureSource":
        """Open every part.

        Raises:
          InputError: an error of a part; canvases of different sizes; different skeletons and no
            skeleton of the mixture; a part that shares no keypoint with the skeleton.
        """
        return MixtureSource(self)


class MixtureSource:
    """Samples of all parts, one part after another; see `Mixture`."""

    def __init__(self, mixture: Mixture) -> None:
        self.datasets = mixture.datasets
        self._parts: list[Source] = [part.data.open() for part in mixture.parts]
        for part, source in zip(mixture.parts, self._parts, strict=True):
            if not len(source):
                raise InputError(f"A part of the mixture is empty: {part.data}.")
        sizes = {source.canvas_hw for source in self._parts}
        if len(sizes) > 1:
            raise InputError(
                f"The parts of a mixture have canvases of {len(sizes)} sizes, "
                f"{', '.join(f'{h}x{w}' for h, w in sorted(sizes))}. Prepare them with the same "
                "--canvas."
            )
        rows = {getattr(source, "people", None) for source in self._parts}
        if len(rows) > 1:
            raise InputError(
                "The parts of a mixture have different numbers of rows for people, "
                f"{', '.join(str(count or 'crops of one') for count in sorted(rows, key=str))}. "
                "Give `people` the same number in each."
            )
        if None not in rows:
            self.people = rows.pop()
        self._skeleton = mixture.skeleton or self._parts[0].skeleton
        if mixture.skeleton is None:
            others = {s.skeleton.name: s.skeleton.keypoints for s in self._parts}
            if len(set(others.values())) > 1:
                raise InputError(
                    f"The parts of a mixture have several skeletons, {', '.join(others)}: give the "
                    "mixture one, such as skeletons.union('all', ...)."
                )
        self._rows = [shared_keypoints(s.skeleton, self._skeleton) for s in self._parts]
        for source, shared in zip(self._parts, self._rows, strict=True):
            if not (shared >= 0).any():
                raise InputError(
                    f"Skeleton {source.skeleton.name!r} of a part shares no keypoint name with "
                    f"{self._skeleton.name!r} of the mixture."
                )
        self._counts = np.array([len(source) for source in self._parts], np.int64)
        self._ends = np.cumsum(self._counts)
        self.shares = shares(np.array([part.weight for part in mixture.parts]))
        """Number of places of each part in a block, int64 `[parts]`."""

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._parts[0].canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return self._skeleton

    def __len__(self) -> int:
        return int(self._ends[-1])

    def fingerprint(self) -> str:
        """Fingerprints of the parts with their shares and numbers."""
        each = zip(self._parts, self.shares, self.datasets, strict=True)
        return "+".join(f"{share}x{s.fingerprint()}#{number}" for s, share, number in each)

    def batch_indices(self, seed: int, step: int, batch_size: int) -> np.ndarray:
        """Indices of the global batch of one step, int64 `[batch_size]`."""
        if batch_size < 1 or step < 0:
            raise InputError(f"There is no step {step} of batches of {batch_size}.")
        block, offset = divmod(int(step) * int(batch_size), BLOCK)
        ahead = np.arange(offset, offset + batch_size, dtype=np.int64)
        slot = shuffled(seed, ahead, BLOCK, block)
        ends = np.cumsum(self.shares)
        part = np.searchsorted(ends, slot, side="right")
        # The places of a part are numbered across all blocks.
        own = (block + ahead // BLOCK) * self.shares[part] + slot - (ends - self.shares)[part]
        indices = np.empty(batch_size, np.int64)
        for number, count in enumerate(self._counts):
            rows = np.flatnonzero(part == number)
            first = int(self._ends[number] - count)
            # A separate seed, so that two parts of the same size have different orders.
            indices[rows] = first + shuffled(
                seed + (number + 1) * 0x9E3779B9, own[rows], int(count)
            )
        return indices

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Read the batch of these samples in the mixture's skeleton, with `dataset` int32 `[B]`.

        Raises:
          InputError: a sample cannot be read.
        """
        wanted = check_indices(indices, len(self))
        part = np.searchsorted(self._ends, wanted, side="right")
        batch: Batch = {}
        for number in np.unique(part):
            rows = np.flatnonzero(part == number)
            first = int(self._ends[number] - self._counts[number])
            found = self._parts[number].samples(wanted[rows] - first)
            own = {**found, **self._mapped(found, self._rows[number])}
            for name, values in own.items():
                if name not in batch:
                    batch[name] = np.zeros((len(wanted), *values.shape[1:]), values.dtype)
                batch[name][rows] = values
        batch["dataset"] = np.asarray(self.datasets, np.int32)[part]
        batch["index"] = wanted
        return batch

    def _mapped(self, found: Batch, rows: np.ndarray) -> Batch:
        """Keypoints and flags in the mixture's skeleton; `rows [K]` from `shared_keypoints`."""
        visible = found["visible"][..., rows]
        keypoints = found["keypoints"][..., rows, :]
        visible[..., rows < 0] = 0
        keypoints[..., rows < 0, :] = 0
        return {"keypoints": keypoints, "visible": visible}


def shares(weights: np.ndarray) -> np.ndarray:
    """Divide `BLOCK` places in proportion to `weights [N]` by largest remainders, int64 `[N]`.

    Raises:
      InputError: a weight is so small that it gets no place.
    """
    exact = weights / weights.sum() * BLOCK
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: BLOCK - whole.sum()]] += 1
    if not whole.all():
        raise InputError(
            f"A part of the mixture has a share of {exact.min() / BLOCK:.1e}: at least "
            f"1/{BLOCK} is needed."
        )
    return whole
