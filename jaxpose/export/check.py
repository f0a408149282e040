"""Comparison of exports with JAX, in their own runtimes: numerical difference and speed."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from jaxpose.export.program import Program

Run = Callable[..., Mapping[str, np.ndarray]]

_REPEATS = 5
_PAUSE = 0.2  # seconds for the previous runtime's idle threads to stop spinning


@dataclass(frozen=True)
class Tolerance:
    """Largest accepted difference between an export and JAX.

    Attributes:
      pixels: for keypoints.
      share: for every other output, in standard deviations of JAX's; for scores, absolute.
    """

    pixels: float
    share: float


# Runtimes sum in different orders; a keypoint between two heatmap pixels moves a little more.
EXACT = Tolerance(pixels=0.1, share=1e-3)
# Half precision keeps 11 bits of each weight.
HALF = Tolerance(pixels=2.0, share=5e-2)


@dataclass(frozen=True)
class Difference:
    """Largest difference between an export and JAX.

    Attributes:
      pixels: for keypoints; None where there are none.
      share: as in `Tolerance`.
    """

    pixels: float | None
    share: float

    def within(self, tolerance: Tolerance) -> bool:
        """True if the difference is within `tolerance`; NaN is not."""
        return (self.pixels is None or self.pixels <= tolerance.pixels) and (
            self.share <= tolerance.share
        )


@dataclass(frozen=True)
class Speed:
    """Crops, people or windows per second: median, slowest and fastest of the repetitions."""

    median: float
    slowest: float
    fastest: float


def in_jax(program: Program) -> Run:
    """Compiles the program for JAX's default device."""
    compiled = jax.jit(program.function)
    return lambda *arrays: {name: np.asarray(x) for name, x in compiled(*arrays).items()}


def difference(
    program: Program, found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> Difference:
    """Difference of one run; infinite where a shape differs or a number is not finite."""
    pixels: float | None = None
    share = 0.0
    for value in program.outputs:
        ours, theirs = np.asarray(expected[value.name]), np.asarray(found[value.name])
        if ours.shape != theirs.shape or not np.isfinite(theirs).all():
            return Difference(float("inf"), float("inf"))
        largest = float(np.abs(ours - theirs).max())
        if value.name in program.pixels:
            pixels = max(pixels or 0.0, largest)
        elif value.name == "scores":
            share = max(share, largest)
        else:
            share = max(share, largest / max(float(ours.std()), 1e-12))
    return Difference(pixels, share)


def speeds(runs: Mapping[str, Run], arrays: Sequence[np.ndarray], count: int) -> dict[str, Speed]:
    """Samples per second of each runtime, measured in turns so that other load slows all alike."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(_REPEATS + 1):
        for name, run in runs.items():
            time.sleep(_PAUSE)
            started = time.perf_counter()
            run(*arrays)
            if repeat:  # the first warms up
                found[name].append(count / (time.perf_counter() - started))
    return {
        name: Speed(statistics.median(rates), min(rates), max(rates))
        for name, rates in found.items()
    }
