"""Finished points of a study as a table, and as runs of experiment trackers."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxpose.paths import atomic_write
from jaxpose.scaling.manifest import Manifest, folder
from jaxpose.scaling.worker import read_result
from jaxpose.train.loggers import Logger

_FIELDS = ("name", "size", "parameters", "flops", "steps", "samples", "epochs", "compute")


def rows(study: Path, manifest: Manifest) -> list[dict[str, Any]]:
    """One dict for each finished point that is not a trunk: budget, shape, scores."""
    found = []
    for point in manifest.points:
        result = None if point.trunk else read_result(study, point)
        if result is not None:
            row = {name: getattr(point, name) for name in _FIELDS}
            row |= {f"shape/{axis}": value for axis, value in point.shape.items()}
            row |= {"held_out": int(point.held_out), "loss": result.loss}
            row |= {"training_loss": result.training_loss, "seconds": result.seconds}
            found.append(row | result.metrics)
    return found


def write_csv(table: Sequence[dict[str, Any]], file: Path) -> None:
    """Writes rows as CSV; a value that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in table for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    atomic_write(file, text.getvalue())


def send(table: Sequence[dict[str, Any]], study: Path, manifest: Manifest, logger: Logger) -> None:
    """Sends each row to an experiment tracker as one run with the point's experiment.

    A second call continues the same runs.

    Raises:
      InputError: the tracker's package is missing, or it cannot start.
      LogLost: its server cannot be reached.
    """
    logger.check()
    for row in table:
        point = manifest.point(row["name"])
        config = {"study": manifest.recipe, "overrides": list(point.set), **manifest.experiment}
        writer = logger.open(folder(study, point), 0, config)
        numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
        writer.scalars(point.steps, {f"study/{name}": float(v) for name, v in numbers.items()})
        writer.close()
