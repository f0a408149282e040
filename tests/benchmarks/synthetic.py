"""How fast synthetic people are drawn on one core.

    taskset -c 0 python tests/benchmarks/synthetic.py [--hw 256 192] [--count 200] [--rounds 7]

Prints images per second of each round, then their median and range. Every round draws other
people. OpenCV is held to one thread; `taskset` holds the rest. CPU-seconds are counted beside
seconds of the clock, since they hardly depend on what else the machine does.
"""

import argparse
import statistics
import time

import cv2

from jaxpose.data.synthetic import render


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hw", type=int, nargs=2, default=(256, 192))
    parser.add_argument("--count", type=int, default=200, help="images a round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    canvas_hw = (options.hw[0], options.hw[1])
    cv2.setNumThreads(1)
    for index in range(20):
        render(1, index, canvas_hw=canvas_hw)
    by_clock, by_cpu = [], []
    for number in range(options.rounds):
        clock, cpu = time.perf_counter(), time.process_time()
        for index in range(options.count):
            render(0, number * options.count + index, canvas_hw=canvas_hw)
        by_clock.append(options.count / (time.perf_counter() - clock))
        by_cpu.append(options.count / (time.process_time() - cpu))
        print(f"round {number + 1}: {by_clock[-1]:.0f} img/s ({by_cpu[-1]:.0f} by CPU time)")
    for name, rates in (("clock", by_clock), ("CPU time", by_cpu)):
        print(
            f"{canvas_hw[0]}x{canvas_hw[1]}, one core, by {name}: median "
            f"{statistics.median(rates):.0f} img/s, {min(rates):.0f} to {max(rates):.0f}"
        )


if __name__ == "__main__":
    main()
