"""Samples per second of the input path on one CPU core, stage by stage, on real COCO photos.

    python tests/benchmarks/input_path.py [--coco ../shared/data/coco] [--core 0]

Prepares the val photos as 384x288 canvases (a person fills 256x192 of one), then measures reading,
parsing, decoding, and the two complete paths that training uses. Every figure is the median of
several repeats with the slowest and the fastest, by the clock and by the time that the core spent
on this process, which differ where other programs want the same core. The reference is MMPose
1.3.2, whose loader gave 207 to 214 samples/s of 256x192 on one core of a like machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BATCH = 64


def rate(work: Callable[[], object], samples: int, repeats: int = 7, seconds: float = 1.0) -> str:
    """Median, slowest and fastest samples/s of `work`, which handles `samples` of them."""
    for _ in range(3):  # compiles, fills caches and the batches that wait ahead
        work()
    by_clock, by_core = [], []
    for _ in range(repeats):
        rounds, started, core_started = 0, time.perf_counter(), time.process_time()
        while (spent := time.perf_counter() - started) < seconds:
            work()
            rounds += 1
        by_clock.append(rounds * samples / spent)
        by_core.append(rounds * samples / (time.process_time() - core_started))
    return "".join(
        f"{statistics.median(rates):10,.0f}  {f'({min(rates):,.0f} to {max(rates):,.0f})':22}"
        for rates in (by_clock, by_core)
    )


def main() -> None:
    beside = Path(__file__).resolve().parents[3] / "shared" / "data" / "coco"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coco", type=Path, default=beside, help="folder of COCO")
    parser.add_argument("--core", type=int, default=0, help="the CPU core to stay on")
    arguments = parser.parse_args()
    if not arguments.coco.is_dir():
        sys.exit(f"{arguments.coco} does not exist; name COCO's folder with --coco")
    os.sched_setaffinity(0, {arguments.core})  # before any library counts the cores

    from jaxpose.data import example, records
    from jaxpose.data.index import sample_indices
    from jaxpose.data.pipeline import stream
    from jaxpose.scripts import find_script, load_script

    with tempfile.TemporaryDirectory() as folder:
        load_script(find_script("coco", "data_prep")).prepare(
            arguments.coco / "annotations" / "person_keypoints_val2017.json",
            arguments.coco / "val2017",
            Path(folder) / "coco",
            split="val",
            processes=1,
        )
        source = records.RecordSource(Path(folder) / "coco", "val")
        count = len(source)
        step = iter(range(10**9))

        def indices() -> object:
            return sample_indices(0, next(step), BATCH, count)

        rows = source.read(sample_indices(0, 0, BATCH, count))
        layout = records.numeric_features(source.skeleton.num_keypoints)
        pictures = [example.data(example.parse_features(row), "image") for row in rows]

        def parse() -> None:
            for row in rows:
                features = example.parse_features(row)
                for name in records.BATCH_FEATURES:
                    example.numbers(features, name, *layout[name])

        def decode() -> None:
            for picture in pictures:
                records.decode_canvas(picture, source.canvas_hw)

        batches = stream(source, seed=0, start_step=0, batch_size=BATCH)
        size = sum(map(len, pictures)) / len(pictures) / 1000
        height, width = source.canvas_hw
        print(
            f"{count} people, canvas {height}x{width}, {size:.1f} kB of JPEG each, batch {BATCH}, "
            f"{len(os.sched_getaffinity(0))} core"
        )
        print(f"{'median (slowest to fastest)':28}{'samples/s':34}samples/s of core time")
        for name, work in (
            ("choose indices", indices),
            ("read records", lambda: source.read(sample_indices(0, next(step), BATCH, count))),
            ("parse", parse),
            ("decode JPEG", decode),
            ("RecordSource.samples", lambda: source.samples(indices())),
            ("stream (tf.data)", lambda: next(batches)),
        ):
            print(f"  {name:24}{rate(work, BATCH)}", flush=True)


if __name__ == "__main__":
    main()
