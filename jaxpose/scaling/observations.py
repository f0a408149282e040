"""Results of the finished points of a study, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.config import from_json
from jaxpose.errors import InputError
from jaxpose.scaling.laws import Form
from jaxpose.scaling.manifest import Manifest, Point
from jaxpose.scaling.worker import read_result

SAME_BUDGET = 0.05
"""Runs whose compute, or samples, differ by less than this part belong to one budget."""


@dataclass(frozen=True)
class Observations:
    """Runs and their measurements; each array is `[n]`.

    Attributes:
      name, size: name and size of the point.
      pretrained: 1 for runs that start from the weights of `init_from`, 0 for others.
      parameters, samples, compute, flops, epochs: see `manifest.Point`.
      value: the quantity that laws are fitted to; positive, lower is better.
    """

    name: np.ndarray
    size: np.ndarray
    parameters: np.ndarray
    samples: np.ndarray
    compute: np.ndarray
    flops: np.ndarray
    epochs: np.ndarray
    pretrained: np.ndarray
    value: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    @property
    def unique(self) -> np.ndarray:
        """Number of distinct samples that each run saw."""
        return self.samples / np.maximum(1.0, self.epochs)

    def where(self, rows: Any) -> "Observations":
        """Selects rows by a mask or an index."""
        return Observations(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def inputs(self, form: Form) -> dict[str, np.ndarray]:
        """Inputs of a law of that form."""
        return {name: getattr(self, name) for name in form.inputs}

    def run_inputs(self) -> dict[str, float]:
        """Inputs of all forms, of the first run."""
        names = ("parameters", "samples", "unique", "pretrained")
        return {name: float(getattr(self, name)[0]) for name in names}

    def groups(self, name: str) -> list["Observations"]:
        """Runs of equal budget in `compute` or `samples`, from the smallest budget on."""
        order = np.argsort(getattr(self, name))
        values = getattr(self, name)[order]
        parts: list[list[int]] = []
        for place, value in zip(order, values, strict=True):
            if parts and value <= (1 + SAME_BUDGET) * getattr(self, name)[parts[-1][0]]:
                parts[-1].append(place)
            else:
                parts.append([place])
        return [self.where(np.array(part)) for part in parts]


def observe(study: Path, manifest: Manifest, quantity: str) -> tuple[Observations, Observations]:
    """Reads the finished points of a study, for fitting and held out.

    Args:
      quantity: `loss` (held-out; the training loss where there is none), or `score`: one minus the
        study's metric, or the metric itself where lower is better.

    Raises:
      InputError: damaged results, or a value that is not positive.
    """
    rows: dict[bool, list[tuple[Point, float]]] = {False: [], True: []}
    for point in manifest.points:
        result = None if point.trunk else read_result(study, point)
        if result is None:
            continue
        if quantity == "loss":
            value = result.training_loss if result.loss is None else result.loss
        else:
            value = result.metrics.get(manifest.metric)
            value = _error(value, manifest) if value is not None else None
        if value is None or not value > 0:
            raise InputError(
                f"{point.name} has no positive {quantity} ({value}), but a power law needs one."
            )
        rows[point.held_out].append((point, value))
    start = bool(manifest.experiment.get("init_from"))
    return _arrays(rows[False], start), _arrays(rows[True], start)


def in_words(manifest: Manifest, quantity: str) -> str:
    """Description of the values of a quantity."""
    if quantity == "loss":
        return "held-out loss"
    return manifest.metric if _lower_is_better(manifest) else f"1 - {manifest.metric}"


def _error(value: float, manifest: Manifest) -> float:
    return value if _lower_is_better(manifest) else 1 - value


def _lower_is_better(manifest: Manifest) -> bool:
    return from_json(manifest.experiment).evaluation.lower_is_better


def _arrays(rows: Sequence[tuple[Point, float]], start: bool) -> Observations:
    points = [point for point, _ in rows]
    numbers = {
        name: np.array([getattr(point, name) for point in points], np.float64)
        for name in ("parameters", "samples", "compute", "flops", "epochs")
    }
    return Observations(
        name=np.array([point.name for point in points]),
        size=np.array([point.size for point in points]),
        pretrained=np.array([float(_pretrained(point, start)) for point in points]),
        value=np.array([value for _, value in rows], np.float64),
        **numbers,
    )


def _pretrained(point: Point, start: bool) -> bool:
    """Returns True for a point with pretrained weights; `start` is that of the experiment."""
    for change in point.set:
        name, _, value = change.partition("=")
        if name.strip() == "init_from":
            start = value.strip() not in ("", "None", "null")
    return start
