"""COCO keypoint evaluation at the size of val2017: this package beside pycocotools, in one run.

5,000 photos, 10,000 people, 43,000 generated detections. Two intervals are measured, alternating
between the two so that a busy machine slows both: the evaluation of data in memory, and the whole
way from the JSON files to the ten numbers.

    python -m tests.benchmarks.coco_eval [--repeats 5]
"""

import argparse
import contextlib
import io
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from rich.table import Table

from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.oks import METRICS, coco_keypoint_ap
from tests.coco_problem import SIGMAS, detections, people


def evaluate(truth: COCO, found: COCO) -> np.ndarray:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def load(truth: Path, found: Path) -> tuple[COCO, COCO]:
    with contextlib.redirect_stdout(io.StringIO()):
        document = COCO(str(truth))
        return document, document.loadRes(str(found))


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def spread(values: list[float], unit: str) -> str:
    return f"{np.median(values):.2f}{unit}  ({min(values):.2f} .. {max(values):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        truth_path, found_path = Path(folder, "truth.json"), Path(folder, "found.json")
        document = people(0, images=5000, count=10_000)
        truth_path.write_text(json.dumps(document))
        found_path.write_text(json.dumps(detections(document, 1, 43_000)))
        theirs = load(truth_path, found_path)

        def read() -> tuple[GroundTruth, Detections]:
            return GroundTruth.from_coco(truth_path), Detections.from_coco_results(found_path)

        ours = read()
        values = np.array(list(coco_keypoint_ap(*ours, SIGMAS).values()))
        difference = np.abs(values - evaluate(*theirs)).max()
        rows: dict[str, tuple[list[float], list[float]]] = {
            "evaluation": ([], []),
            "files to numbers": ([], []),
        }
        for _ in range(repeats):
            mine, other = rows["evaluation"]
            mine.append(seconds(lambda: coco_keypoint_ap(*ours, SIGMAS)))
            other.append(seconds(lambda: evaluate(*theirs)))
            mine, other = rows["files to numbers"]
            mine.append(seconds(lambda: coco_keypoint_ap(*read(), SIGMAS)))
            other.append(seconds(lambda: evaluate(*load(truth_path, found_path))))

    table = Table(
        "interval", "jaxpose", "pycocotools", "times faster",
        title="COCO keypoint AP: 5,000 photos, 10,000 people, 43,000 detections",
    )  # fmt: skip
    for name, (mine, other) in rows.items():
        ratio = [b / a for a, b in zip(mine, other, strict=True)]
        table.add_row(name, spread(mine, " s"), spread(other, " s"), spread(ratio, "x"))
    console = Console(width=120)
    console.print(table)
    console.print(f"median (least .. most) of {repeats} alternating repeats")
    console.print(f"largest difference of the ten numbers: {difference:.1e}")
    console.print("  ".join(f"{n} {v:.4f}" for n, v in zip(METRICS, values, strict=True)))
    console.print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load "
                  f"{os.getloadavg()[0]:.1f}, NumPy {np.__version__}")  # fmt: skip


if __name__ == "__main__":
    main()
