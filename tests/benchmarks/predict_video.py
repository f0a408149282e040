"""Throughput and memory of the whole road from a film to files, on a film drawn here.

    python -m tests.benchmarks.predict_video [--frames 1000] [--model rtmpose-s | --run RUN]
        [--detector FILE] [--every 1] [--people 2] [--draw]

Synthetic people walk over a 640 x 480 film, which is written as MPEG-4 and read back. Weights are
zeros, which cost what others do, but nobody can be followed by their keypoints: measure `--every`
with a trained model (`--run`). Boxes come from the drawing unless a detector is named. Prints the
stage table, frames and people a second, the resident memory every tenth of the film, and how often
models were compiled during warm-up and after it.
"""

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.cli.trained import load_trained
from jaxpose.codecs.codec import Codec
from jaxpose.codecs.heatmap import udp
from jaxpose.codecs.simcc import SimCC
from jaxpose.data.synthetic import render
from jaxpose.detect.detector import Detector
from jaxpose.infer.flow import ahead
from jaxpose.infer.video import Frame
from jaxpose.infer.write import JsonLinesWriter
from jaxpose.models import abstract_variables
from jaxpose.models.published.catalogue import find
from jaxpose.pipeline import Options, Pipeline
from jaxpose.skeletons import COCO17

HW = (480, 640)
FPS = 25.0
TALL = 240


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--model", default="rtmpose-s", help="a name of `jaxpose models`")
    parser.add_argument("--run", type=Path, help="a run or a release, instead of --model")
    parser.add_argument("--detector", type=Path, help="weights; boxes are given if absent")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--flip-test", action="store_true")
    parser.add_argument("--draw", action="store_true", help="draw every frame as well")
    options = parser.parse_args()
    steps = Options(
        flip_test=options.flip_test,
        batch_size=options.batch,
        detect_every=options.every,
        smooth="one-euro",
        **({} if options.run else {"nms": None, "lost_score": 0.0, "min_score": 0.0}),
    )
    detector = Detector.load(options.detector) if options.detector else None
    pose = load_trained(options.run, "best") if options.run else published(options.model)
    pipeline = Pipeline(pose, detector, options=steps)
    with tempfile.TemporaryDirectory() as folder:
        film = draw_film(Path(folder) / "film.mp4", options.frames, options.people)
        report = run(pipeline, film, options.people, draw=options.draw)
    print(report.stages)
    rate = options.frames / (report.stages.seconds - report.compile_seconds)
    print(
        f"{rate:.1f} frames/s, {report.people / options.frames * rate:.1f} people/s after warm-up"
    )
    print("resident memory, MB:", " ".join(f"{size:.0f}" for size in report.memory))
    print(f"compilations: {report.warm} in warm-up, {report.later} after it")


def run(pipeline: Pipeline, film: Path, people: int, *, draw: bool = False) -> SimpleNamespace:
    """Sends a film through, and watches memory (ten times) and compilations.

    Returns:
      `stages`, `people` found, `memory` [MB], compilations `warm` and `later`, `compile_seconds`.
    """
    boxes = None if pipeline.detector else lambda frame: places(frame, people)
    before = pipeline.compilations
    found, memory, warm = 0, [], 0
    lines = JsonLinesWriter(film.with_suffix(".jsonl"))
    with pipeline(film, boxes=boxes) as results:
        every = max(1, (results.count or 10) // 10)
        made = ahead((one, one.photo if draw else None) for one in results)
        for count, (one, photo) in enumerate(made):
            if not count:
                warm = pipeline.compilations - before
            if photo is not None:
                with results.stages("draw"):
                    one.draw(photo, min_score=0.0)  # zeros score nothing
            with results.stages("write"):
                lines.write(one)
            found += len(one)
            if count % every == every - 1:
                gc.collect()
                memory.append(resident())
        made.close()  # type: ignore[attr-defined]
    lines.close()
    stages = results.stages
    return SimpleNamespace(
        stages=stages,
        people=found,
        memory=memory,
        warm=warm,
        later=pipeline.compilations - before - warm,
        compile_seconds=stages.by_name["compile"].seconds,
    )


def published(name: str) -> SimpleNamespace:
    """A published model with weights of zeros, as `Pipeline` wants it."""
    entry = find(name)
    model: Any = entry.model()
    shapes = abstract_variables(model, entry.input_hw)
    variables = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    height, width = entry.input_hw
    codec: Codec = udp(input_hw=entry.input_hw, heatmap_hw=(height // 4, width // 4))
    if name.startswith("rtmpose"):
        codec = SimCC(entry.input_hw)
    return SimpleNamespace(
        model=model, variables=variables, codec=codec, skeleton=COCO17, padding=1.25
    )


def draw_film(path: Path, frames: int, people: int) -> Path:
    """Writes a film of drawn people who walk from side to side."""
    sprites = [sprite(number) for number in range(people)]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, HW[::-1])
    rows, columns = np.mgrid[: HW[0], : HW[1]]
    ground = np.stack([rows // 4, columns // 4, (rows + columns) // 8], axis=-1).astype(np.uint8)
    for index in range(frames):
        image = ground.copy()
        for (x, y, w, h), one in zip(boxes_at(index, people), sprites, strict=True):
            image[y : y + h, x : x + w] = one
        writer.write(image[:, :, ::-1])
    writer.release()
    return path


def sprite(number: int) -> np.ndarray:
    image = np.asarray(render(0, number)["image"])
    return cv2.resize(image, (TALL * 3 // 4, TALL), interpolation=cv2.INTER_AREA)


def boxes_at(index: int, people: int) -> Iterator[tuple[int, int, int, int]]:
    """Where the people are drawn in a frame."""
    width = TALL * 3 // 4
    for number in range(people):
        swing = np.sin(2 * np.pi * (index / 200 + number / max(people, 1)))
        x = round((HW[1] - width) * (0.5 + 0.5 * swing))
        yield x, (40 + 60 * number) % (HW[0] - TALL), width, TALL


def places(frame: Frame, people: int) -> np.ndarray:
    return np.array(list(boxes_at(frame.index, people)), np.float32)


def resident() -> float:
    """MB of this process in memory (Linux; 0 elsewhere)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    begun = time.perf_counter()
    main()
    print(f"{time.perf_counter() - begun:.0f} s with drawing the film")
