"""Order of the training samples as a pure function of (seed, step).

Epoch `e` is a pseudo-random permutation of the dataset with key (seed, e). Each position is
computed separately, so any step of any epoch has the same cost and no state is kept between calls.
The permutation is a Feistel network (Luby and Rackoff, "How to construct pseudorandom permutations
from pseudorandom functions", SIAM J. Comput. 1988) over the smallest power of two that is not
smaller than the dataset, applied again until the result is inside the dataset (Black and Rogaway,
"Ciphers with arbitrary finite domains", CT-RSA 2002).
"""

from typing import Any

import numpy as np

from jaxpose.errors import InputError

_ROUNDS = 12  # half-rounds; four suffice for wide halves, small datasets have halves of few bits
_GOLDEN_INT = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: odd, so it reaches every value
_GOLDEN = np.uint64(_GOLDEN_INT)
_SPREAD = np.uint64(0xD6E8FEB86659FD93)


def _mix(x: np.ndarray) -> np.ndarray:
    """Apply SplitMix64's 64-bit finaliser element-wise (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _feistel(x: np.ndarray, key: np.ndarray, bits: int) -> np.ndarray:
    """Apply a bijection of `[0, 2**bits)` to each element, by the 64-bit key of the element."""
    low_bits = np.uint64(bits // 2)
    low_mask = np.uint64((1 << (bits // 2)) - 1)
    high_mask = np.uint64((1 << (bits - bits // 2)) - 1)
    low, high = x & low_mask, x >> low_bits
    for turn in range(_ROUNDS):
        turn_key = key + np.uint64((turn + 1) * _GOLDEN_INT % 2**64)
        if turn % 2:
            low = low ^ (_mix(turn_key ^ (high * _SPREAD)) & low_mask)
        else:
            high = high ^ (_mix(turn_key ^ (low * _SPREAD)) & high_mask)
    return (high << low_bits) | low


def _permute(positions: np.ndarray, key: np.ndarray, count: int) -> np.ndarray:
    """Map each position of `[0, count)` by the permutation of its key."""
    bits = (count - 1).bit_length()
    if bits == 0:
        return np.zeros_like(positions)
    # One bit cannot be split into two halves: a dataset of two uses two bits and the loop below.
    bits = max(bits, 2)
    result = _feistel(positions, key, bits)
    outside = np.flatnonzero(result >= np.uint64(count))
    while outside.size:
        result[outside] = _feistel(result[outside], key[outside], bits)
        outside = outside[result[outside] >= np.uint64(count)]
    return result


def sample_indices(seed: int, step: int, batch_size: int, num_samples: int) -> np.ndarray:
    """Dataset indices of the global batch of one step, int64 `[batch_size]`.

    Position `step * batch_size + i` belongs to epoch `position // num_samples`; each epoch has
    every index exactly once, and a batch may span two or more epochs. A process takes its
    `process_slice` of the batch, so the order does not depend on the number of processes.

    Raises:
        InputError: the dataset or the batch is empty, or the step is negative.
    """
    if num_samples < 1:
        raise InputError("The dataset is empty: it has no samples.")
    if batch_size < 1:
        raise InputError(f"The batch size must be at least 1, not {batch_size}.")
    if step < 0:
        raise InputError(f"The step must be 0 or more, not {step}.")
    # Python integers, because a product of more than 64 bits must not overflow silently.
    epoch, offset = divmod(int(step) * int(batch_size), int(num_samples))
    ahead = np.arange(offset, offset + batch_size, dtype=np.uint64)
    return shuffled(seed, ahead, num_samples, epoch)


def shuffled(seed: int, positions: np.ndarray, count: int, epoch: int = 0) -> np.ndarray:
    """Numbers in `[0, count)`, int64 `[N]`, at `positions [N]` of an endless shuffled sequence.

    Each block of `count` positions that starts at a multiple of `count` has every number once, in a
    separate order. `epoch` is the number of blocks before position 0.
    """
    positions = positions.astype(np.uint64)
    epochs = np.uint64(epoch % 2**64) + positions // np.uint64(count)
    seeds = _mix(np.full(len(positions), seed % 2**64, np.uint64) + _GOLDEN)
    keys = _mix(seeds + epochs * _GOLDEN)
    return _permute(positions % np.uint64(count), keys, count).astype(np.int64)


def batch_indices(source: Any, seed: int, step: int, batch_size: int) -> np.ndarray:
    """Indices of the global batch of one step in `source`, int64 `[batch_size]`.

    `source.batch_indices(seed, step, batch_size)` if the source defines an order, else
    `sample_indices`; both depend only on their arguments.
    """
    order = getattr(source, "batch_indices", None)
    if order is not None:
        return order(seed, step, batch_size)
    return sample_indices(seed, step, batch_size, len(source))


def process_slice(batch_size: int, process_index: int, process_count: int) -> slice:
    """Slice of the global batch that one process loads.

    Raises:
        InputError: the batch does not divide evenly among the processes.
    """
    if not 0 <= process_index < process_count:
        raise InputError(f"There is no process {process_index} among {process_count}.")
    if batch_size % process_count:
        raise InputError(
            f"A batch of {batch_size} does not divide among {process_count} processes. "
            f"Use a multiple of {process_count}."
        )
    share = batch_size // process_count
    return slice(process_index * share, (process_index + 1) * share)
