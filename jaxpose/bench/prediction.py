"""Benchmark of prediction, from images or a video to a file of keypoints."""

import gc
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jaxpose.bench.machine import resident_megabytes
from jaxpose.media.prefetch import StageTimer, ahead
from jaxpose.results.writers import JsonLinesWriter


class Predicts(Protocol):
    """Interface of the measured object: `pipeline.Pipeline`, which lies on a higher floor."""

    @property
    def compilations(self) -> int: ...

    def __call__(self, what: Any, *, boxes: Any = None) -> Any: ...


@dataclass(frozen=True)
class PredictionFigures:
    """Measurements of one prediction.

    Attributes:
      stages: working time of each stage; stages overlap.
      frames, people: number of frames and of people that were processed.
      seconds: from the first frame to the last, without compiling.
      cpu_seconds: CPU time of this process in the meantime, all threads together. It depends less
        on the load of the machine.
      memory: resident megabytes of this process, sampled at most ten times.
      warm, later: compilations before the first result and after it; in a video `later` must be 0.
    """

    stages: StageTimer
    frames: int
    people: int
    seconds: float
    cpu_seconds: float
    memory: list[float]
    warm: int
    later: int


def measure_prediction(
    pipeline: Predicts, source: Any, lines: Path, *, boxes: Any = None, draw: bool = False
) -> PredictionFigures:
    """Runs a pipeline on images or a video and measures it.

    Args:
      pipeline: the pipeline to measure.
      source: any input that the pipeline takes, with several images.
      lines: path of the keypoint file to write, in JSON lines.
      boxes: boxes of the people; None uses the pipeline's detector.
      draw: whether to draw the people too.
    """
    before = pipeline.compilations
    frames = people = warm = 0
    memory: list[float] = []
    with (
        pipeline(source, boxes=boxes) as results,
        closing(JsonLinesWriter(lines)) as writer,
    ):
        every = max(1, (results.count or 10) // 10)
        made = ahead((one, one.image if draw else None) for one in results)
        for one, image in made:
            if not frames:
                warm = pipeline.compilations - before
            frames += 1
            if image is not None:
                with results.stages("draw"):
                    one.draw(image, min_score=0.0)
            with results.stages("write"):
                writer.write(one)
            people += len(one)
            if frames % every == 0 and len(memory) < 10:
                gc.collect()
                memory.append(resident_megabytes() or 0.0)
    stages: StageTimer = results.stages
    compiling = stages.by_name.get("compile")
    return PredictionFigures(
        stages=stages,
        frames=frames,
        people=people,
        seconds=stages.seconds - (compiling.seconds if compiling else 0.0),
        cpu_seconds=stages.cpu_seconds,
        memory=memory,
        warm=warm,
        later=pipeline.compilations - before - warm,
    )
