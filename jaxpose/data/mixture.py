"""Several data sets in one training, each with its share of the samples.

Which sample stands at which place is a pure function of (seed, place), so a run resumes at any step
and does not depend on the number of processes. Places come in blocks; in each block every data set
has a fixed number of places, in shuffled order, and fills them with its own shuffled samples, of
which each comes once in an epoch of that data set.
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
"""Places in which shares are exact; they are multiples of 1 / BLOCK."""


@dataclass(frozen=True)
class Weighted:
    """One data set of a mixture.

    Attributes:
      data: what is opened.
      weight: how often its samples come, relative to the weights of the others.
      dataset: its number, which chooses the expert of a model that has some; several parts may have
        the same.
    """

    data: Dataset
    weight: float = 1.0
    dataset: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf") or self.dataset < 0:
            raise InputError(
                "A part of a mixture needs weight > 0 and dataset >= 0, and has weight "
                f"{self.weight} and dataset {self.dataset}."
            )


@dataclass(frozen=True)
class Mixture:
    """Several data sets as one (ViTPose++, arXiv:2212.04246, section 3.3, trains on such).

    Evaluation goes through all parts one after the other, whatever their weights.

    Attributes:
      parts: at least one; all canvases are of one size.
      skeleton: what all keypoints are stored as, such as `skeletons.union(...)`; a keypoint that a
        part lacks is not labelled in it. None where all parts have the same skeleton.
    """

    parts: tuple[Weighted, ...]
    skeleton: Skeleton | None = None

    def __post_init__(self) -> None:
        if not self.parts:
            raise InputError("A mixture needs at least one part.")

    @property
    def datasets(self) -> tuple[int, ...]:
        """The number of each part's data set."""
        return tuple(part.dataset for part in self.parts)

    def open(self) -> "MixtureSource":
        """Opens every part.

        Raises:
          InputError: as the parts; canvases of several sizes, or several skeletons and none given;
            a part that shares no keypoint with the skeleton.
        """
        return MixtureSource(self)


class MixtureSource:
    """The samples of all parts, one part after the other; see `Mixture`."""

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
        """Places of each part in a block of `BLOCK`, int64 `[parts]`."""

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._parts[0].canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return self._skeleton

    def __len__(self) -> int:
        return int(self._ends[-1])

    def fingerprint(self) -> str:
        """The parts' fingerprints with their shares and numbers."""
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
        # The part's own places are numbered through all blocks.
        own = (block + ahead // BLOCK) * self.shares[part] + slot - (ends - self.shares)[part]
        indices = np.empty(batch_size, np.int64)
        for number, count in enumerate(self._counts):
            rows = np.flatnonzero(part == number)
            first = int(self._ends[number] - count)
            # A seed of its own: two parts of one size shall not be in the same order.
            indices[rows] = first + shuffled(
                seed + (number + 1) * 0x9E3779B9, own[rows], int(count)
            )
        return indices

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The batch of these samples in the mixture's skeleton, with `dataset` int32 `[B]`.

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
        """Keypoints and their flags by the mixture's skeleton; `rows [K]` as `shared_keypoints`."""
        visible = found["visible"][..., rows]
        keypoints = found["keypoints"][..., rows, :]
        visible[..., rows < 0] = 0
        keypoints[..., rows < 0, :] = 0
        return {"keypoints": keypoints, "visible": visible}


def shares(weights: np.ndarray) -> np.ndarray:
    """`BLOCK` places divided in proportion to `weights [N]` by largest remainders, int64 `[N]`.

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
