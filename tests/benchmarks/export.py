"""Crops a second of an export in its own runtime beside JAX, in turns, on this machine.

    python -m tests.benchmarks.export RELEASE EXPORT_FOLDER [--crops 8] [--repeats 5]

EXPORT_FOLDER is what `jaxpose export RELEASE --out EXPORT_FOLDER` wrote, at the level of crops and
with the flip test. Prints the median of the repetitions and their range, and the machine's load.
"""

import argparse
import json
import os
from pathlib import Path

from jaxpose.export import check, load
from jaxpose.export.formats import FORMATS
from jaxpose.hub.load import load_pose
from jaxpose.tasks.topdown.program import image_program
from tests.benchmarks.alternate import measure


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("release", type=Path)
    parser.add_argument("exports", type=Path)
    parser.add_argument("--crops", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()

    trained = load_pose(arguments.release)
    parts = trained.model, trained.variables, trained.codec, trained.skeleton
    program = image_program(*parts, padding=trained.estimator.padding)
    images = check.drawn(program, arguments.crops)
    runs = {"JAX": check.in_jax(program)}
    for name, module in FORMATS.items():
        path = arguments.exports / f"model{module.SUFFIX}"
        if path.exists():
            runs[name] = load(path)
    rivals = {name: (lambda run=run: run(*images)) for name, run in runs.items()}
    load_before = os.getloadavg()[0]
    rates = measure(rivals, arguments.crops, arguments.repeats)
    print(json.dumps({"load": load_before, "cores": os.cpu_count()}))
    for name, rate in rates.items():
        print(f"{name:12} {rate['median']:7.2f} ({rate['slowest']:.2f}-{rate['fastest']:.2f})")


if __name__ == "__main__":
    main()
