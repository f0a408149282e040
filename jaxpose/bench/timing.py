"""Seconds of work, repeated: the clock's, and those that this process's cores spent."""

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """Repeated measurements of one thing: their median, the lowest and the highest."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """The spread of some values, at least one."""
        values = list(values)
        return cls(statistics.median(values), min(values), max(values))


class Timing(NamedTuple):
    """Seconds of one call in each round: by the clock, and of core time of this process."""

    clock: tuple[float, ...]
    cores: tuple[float, ...]

    @property
    def seconds(self) -> Spread:
        """Of one call, by the clock."""
        return Spread.of(self.clock)

    def rate(self, samples: float) -> Spread:
        """Samples a second by the clock, where a call handles `samples`."""
        return Spread.of(samples / seconds for seconds in self.clock)

    def core_rate(self, samples: float) -> Spread:
        """Samples a second of core time; depends less on what else the machine does."""
        return Spread.of(samples / max(seconds, 1e-9) for seconds in self.cores)


def timed(
    work: Callable[[], Any], *, rounds: int = 5, seconds: float = 0.0, calls: int = 1, warm: int = 1
) -> Timing:
    """Times `work`, which returns once it is done (`jax.block_until_ready`).

    Args:
      rounds: how many measurements.
      seconds: how long a round goes on at least.
      calls: how many calls a round has at least.
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
