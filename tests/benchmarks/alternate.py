"""Rivals measured in turns, so that a busy machine slows all alike."""

import statistics
import time
from collections.abc import Callable


def measure(rivals: dict[str, Callable], samples: int, repeats: int) -> dict[str, dict[str, float]]:
    """Samples/s and CPU-seconds of each rival, repetitions alternating."""
    clock: dict[str, list[float]] = {name: [] for name in rivals}
    cpu: dict[str, list[float]] = {name: [] for name in rivals}
    for repeat in range(repeats + 1):
        for name, run in rivals.items():
            time.sleep(0.3)  # the other one's idle threads stop spinning
            started, cpu_started = time.perf_counter(), time.process_time()
            run()
            if repeat:  # the first warms up
                clock[name].append(samples / (time.perf_counter() - started))
                cpu[name].append(time.process_time() - cpu_started)
    return {
        name: {
            "median": statistics.median(clock[name]),
            "slowest": min(clock[name]),
            "fastest": max(clock[name]),
            "cpu_seconds": statistics.median(cpu[name]),
        }
        for name in rivals
    }
