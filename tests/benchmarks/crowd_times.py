"""Figure of the CPU time of a frame beside its number of people.

jaxpose bench predict rtmo-s --crowds 1,2,5,10,20,50 --no-flip-test --json rtmo.json
python -m tests.benchmarks.crowd_times "RTMO-s=rtmo.json" "RTMPose-s=rtmpose.json" --out crowd.png
"""

import argparse
import json
from pathlib import Path

from jaxpose.viz import save_image
from jaxpose.viz.figures import new_figure, to_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curves", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    figure = new_figure(6.0, 3.4)
    axes = figure.subplots()
    for curve in options.curves:
        name, _, path = curve.partition("=")
        rows = json.loads(Path(path).read_text())["crowds"]
        people, times = ([row[key] for row in rows] for key in ("people", "cpu_milliseconds"))
        axes.plot(people, times, marker="o", ms=3, linewidth=1.3, label=name)
    axes.set_xlabel("people in the image", fontsize=9)
    axes.set_ylabel("CPU ms a frame", fontsize=9)
    axes.set_xlim(0)
    axes.set_ylim(0)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3, linewidth=0.6)
    axes.legend(fontsize=8, framealpha=0.6)
    save_image(options.out, to_image(figure))


if __name__ == "__main__":
    main()
