"""Repeated timing of a function: wall-clock time, and core time of this process."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """Median, lowest and highest of repeated measurements of one quantity."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Spread of at least one value."""
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))


class Timing(NamedTuple):
    """Seconds per call in each round: wall-clock time, and core time of this process."""

    clock: tuple[float, ...]
    cores: tuple[float, ...]

    @property
    def seconds(self) -> Spread:
        """Wall-clock seconds of one call."""
        return Spread.of(self.clock)

    def rate(self, samples: float) -> Spread:
        """Samples per second of wall-clock time, where a call handles `samples`."""
        return Spread.of(samples / seconds for seconds in self.clock)

    def core_rate(self, samples: float) -> Spread:
        """Samples per second of core time; depends less on the load of the machine."""
        return Spread.of(samples / max(seconds, 1e-9) for seconds in self.cores)


def timed(
    work: Callable[[], Any], *, rounds: int = 5, seconds: float = 0.0, calls: int = 1, warm: int = 1
) -> Timing:
    """Times `work`, which must return when it is done (`jax.block_until_ready`).

    Args:
      rounds: number of measurements.
      seconds: shortest duration of a round.
      calls: fewest calls in a round.
      warm: calls beforehand, which compile and fill caches.
    """
    for _ in range(warm):
        work()
    clock, cores = [], []
    for _ in range(rounds):
        done, begun, core_begun = 0, time.perf_counter(), time.process_time()
        spent = 0.0
        while done < calls or spent < seconds:
            work()
            done += 1
            spent = time.perf_counter() - begun
        clock.append(spent / done)
        cores.append((time.process_time() - core_begun) / done)
    return Timing(tuple(clock), tuple(cores))
