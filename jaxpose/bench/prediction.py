"""The whole road from photos or a film to keypoints in a file: stages, memory, compilations."""

import gc
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jaxpose.bench.machine import resident_megabytes
from jaxpose.media.prefetch import StageTimer, ahead
from jaxpose.results.writers import JsonLinesWriter


class Predicts(Protocol):
    """What is measured: `pipeline.Pipeline`, which stands above this room."""

    @property
    def compilations(self) -> int: ...

    def __call__(self, what: Any, *, boxes: Any = None) -> Any: ...


@dataclass(frozen=True)
class PredictionFigures:
    """What was measured.

    Attributes:
      stages: how long each has worked; they overlap.
      frames, people: what went through.
      seconds: from the first frame to the last, without compiling.
      memory: megabytes of this process, at most ten times on the way.
      warm, later: compilations before the first result and after it; of these there must be none
        in a film.
    """

    stages: StageTimer
    frames: int
    people: int
    seconds: float
    memory: list[float]
    warm: int
    later: int


def measure_prediction(
    pipeline: Predicts, source: Any, lines: Path, *, boxes: Any = None, draw: bool = False
) -> PredictionFigures:
    """Sends photos or a film through a pipeline.

    Args:
      pipeline: the models, and how they work.
      source: what the pipeline takes, several pictures.
      lines: the file of keypoints to write, JSON lines.
      boxes: where people are; None asks the pipeline's detector.
      draw: draw the people, as well.
    """
    before = pipeline.compilations
    frames = people = warm = 0
    memory: list[float] = []
    with (
        pipeline(source, boxes=boxes) as results,
        closing(JsonLinesWriter(lines)) as writer,
    ):
        every = max(1, (results.count or 10) // 10)
        made = ahead((one, one.photo if draw else None) for one in results)
        for one, photo in made:
            if not frames:
                warm = pipeline.compilations - before
            frames += 1
            if photo is not None:
                with results.stages("draw"):
                    one.draw(photo, min_score=0.0)
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
        memory=memory,
        warm=warm,
        later=pipeline.compilations - before - warm,
    )
