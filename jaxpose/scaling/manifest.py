"""Study on disk: the manifest of its points, a run directory for each, and their results.

study/manifest.json          the points to train, with a digest of every part study/points/NAME/
the run directory of a point study/points/NAME/result.json   its scores, once it is done
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jaxpose.config import from_json, override
from jaxpose.config.schema import SCHEMA, migrate, schema_of
from jaxpose.errors import InputError
from jaxpose.json_text import parse_json
from jaxpose.paths import atomic_write
from jaxpose.train.experiment import Experiment

VERSION = 1
FILE = "manifest.json"


@dataclass(frozen=True)
class Point:
    """One training run of a study.

    Attributes:
      name: name of its folder, made of size, budget and seed.
      set: overrides of the study's experiment, `key=value`.
      size: the name of the model's size.
      shape: value on each axis of the size (see `shapes`), for star sweeps.
      parameters: number of trainable values.
      flops: training FLOPs of one sample, forward and backward with the head (2 per multiply-add).
      steps, samples, epochs: length of the run.
      after: the point whose last checkpoint this one continues from; None for a fresh start.
      trunk: True for a run that only serves as the beginning of others.
      held_out: True for a run that tests the fitted laws and is not used to fit them.
    """

    name: str
    set: tuple[str, ...]
    size: str
    shape: dict[str, float]
    parameters: int
    flops: float
    steps: int
    samples: int
    epochs: float
    after: str | None = None
    trunk: bool = False
    held_out: bool = False

    @property
    def compute(self) -> float:
        """Training FLOPs of the whole run, including the part shared with a trunk."""
        return self.flops * self.samples


@dataclass(frozen=True)
class Manifest:
    """All points of a study.

    Attributes:
      recipe: source of the plan, for people to read.
      experiment: the JSON form of the experiment that the points vary.
      metric: the score's name in the reports.
      points: all points, each after the point that it continues from.
      notes: reasons for the choice of points.
    """

    recipe: str
    experiment: dict[str, Any]
    metric: str
    points: tuple[Point, ...]
    notes: tuple[str, ...] = field(default=())

    def experiment_of(self, point: Point) -> Experiment:
        """Experiment of a point."""
        return override(from_json(self.experiment), point.set)

    def point(self, name: str) -> Point:
        """Point of that name."""
        return next(point for point in self.points if point.name == name)


def folder(study: Path, point: Point) -> Path:
    """Run directory of a point."""
    return study / "points" / point.name


def write_manifest(study: Path, manifest: Manifest) -> None:
    """Writes `study/manifest.json`, whole or not at all."""
    study.mkdir(parents=True, exist_ok=True)
    head = {
        "recipe": manifest.recipe,
        "experiment": manifest.experiment,
        "metric": manifest.metric,
        "notes": list(manifest.notes),
    }
    points = [asdict(point) for point in manifest.points]
    record = {
        "version": VERSION,
        "schema": SCHEMA,
        "digest": _digest(head),
        **head,
        "points": [{"digest": _digest(point), **point} for point in points],
        "points_digest": _digest(points),
    }
    atomic_write(study / FILE, json.dumps(record, indent=1) + "\n")


def read_manifest(study: Path) -> Manifest:
    """Reads the manifest of a study.

    Raises:
      InputError: there is none, it is damaged, of another version, or was edited by hand: if a
        point's budget did not match its run, every fit would be wrong without a warning.
    """
    file = study / FILE
    if not file.is_file():
        raise InputError(
            f"{study} is not a study: it has no {FILE}. `jaxpose scaling plan RECIPE {study}` "
            "makes one."
        )
    try:
        record = parse_json(file.read_text())
        version = record["version"]
        head = {key: record[key] for key in ("recipe", "experiment", "metric", "notes")}
        digests = [point.pop("digest") for point in record["points"]]
        points, whole = record["points"], (record["digest"], record["points_digest"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{file} is damaged ({error!r}); plan the study again.") from error
    if version != VERSION:
        raise InputError(f"{file} has version {version}; this program reads version {VERSION}.")
    _check_digests(file, head, points, digests, whole)
    return Manifest(
        head["recipe"],
        migrate(head["experiment"], schema_of(record, file)),
        head["metric"],
        tuple(Point(**point | {"set": tuple(point["set"])}) for point in points),
        tuple(head["notes"]),
    )


def _check_digests(
    file: Path,
    head: dict[str, Any],
    points: Sequence[dict[str, Any]],
    digests: Sequence[str],
    whole: tuple[str, str],
) -> None:
    edited = ["its recipe or experiment"] if _digest(head) != whole[0] else []
    edited += [
        f"point {point.get('name', number)!r}"
        for number, (point, digest) in enumerate(zip(points, digests, strict=True))
        if _digest(point) != digest
    ]
    if not edited and _digest(list(points)) != whole[1]:
        edited = ["its list of points (one was removed, added or moved)"]
    if edited:
        raise InputError(
            f"{file} was edited by hand: {', '.join(edited)}. Budgets, counts and runs belong "
            "together, so nothing was run or fitted. Undo the edit, or make the change with "
            "`jaxpose scaling plan`, which also adds points to a study; runs already done are kept."
        )


def _digest(value: Any) -> str:
    # Floats are written by their shortest exact form, so reading and writing keeps the digest.
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
