"""Evaluation report: metrics, and the conditions under which they were computed."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table

from jaxpose.errors import InputError
from jaxpose.json_text import parse_json

NOTHING = "nothing to measure"
"""Text for a figure of -1, as COCO's for sizes of which the ground truth has no person."""


def shown(value: float, form: str) -> str:
    """Text of a figure in a format such as `.4f`; `NOTHING` for -1."""
    return NOTHING if value == -1 else format(value, form)


@dataclass(frozen=True)
class Report:
    """Metrics, and the conditions under which they were computed.

    Conditions have no defaults, so that none can be left out by mistake.

    Attributes:
      metrics: values by name, the main one first; -1 if there was nothing to measure.
      boxes: source of the boxes that people were cropped with, such as `ground truth` or a
        detector's name.
      flip_test: whether predictions on the mirrored image were averaged in.
      decode: method that turned outputs into coordinates, such as the codec's description.
      sigmas: the OKS sigmas: their values, a phrase such as `uniform 0.05`, or None if no OKS was
        computed.
      people: number of people scored; for motion, a person counts once in each frame; for actions,
        the number of clips.
      notes: all other conditions, by name.
      by_action: for motion, metric -> subject -> action -> value.
      counts: people and boxes given, done and left out, as `Counts.to_dict` has them.
      unit: name of what `people` counts, as a plural noun.
    """

    metrics: Mapping[str, float]
    boxes: str
    flip_test: bool
    decode: str
    sigmas: tuple[float, ...] | str | None
    people: int
    notes: Mapping[str, str] = field(default_factory=dict)
    by_action: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    counts: Sequence[Mapping[str, Any]] = ()
    unit: str = "people"

    def conditions(self) -> dict[str, str]:
        """Conditions under which the metrics were computed, in words."""
        return {
            "boxes": self.boxes,
            "flip test": "yes" if self.flip_test else "no",
            "decode": self.decode,
            "sigmas": _sigmas_in_words(self.sigmas),
            self.unit: f"{self.people:,}",
            **self.notes,
        }

    def table(self) -> RenderableType:
        """Table of metrics and conditions for the terminal, after tables by action."""
        scored = f"{self.people:,} {'poses' if self.by_action else self.unit}"
        table = Table("metric", Column("value", overflow="fold"), title=scored)
        for name, value in self.metrics.items():
            table.add_row(name, shown(value, ".4f"))
        table.add_section()
        for name, words in self.conditions().items():
            table.add_row(name, words)
        if not self.by_action:
            return table
        return Group(*(_grid(name, rows) for name, rows in self.by_action.items()), table)

    def to_json(self) -> str:
        """Write the report as indented JSON text; figures that are not finite become null."""
        return json.dumps(with_null(asdict(self)), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Read a report from the text that `to_json` wrote; a figure that is null becomes NaN.

        Raises:
          InputError: the text is not a report.
        """
        try:
            values = parse_json(text)
            if not isinstance(values, dict):
                raise TypeError("it has no named parts")
            values["counts"] = tuple(values.get("counts", ()))
            for figures in ("metrics", "by_action"):
                values[figures] = with_nan(values.get(figures, {}))
            if isinstance(values["sigmas"], list):
                values["sigmas"] = tuple(values["sigmas"])
            return cls(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"this is not a report: {error!r}") from error


def with_null(values: Any) -> Any:
    """Replace NaN and infinities by None, because JSON has no such numbers."""
    if isinstance(values, Mapping):
        return {name: with_null(value) for name, value in values.items()}
    return None if isinstance(values, float) and not math.isfinite(values) else values


def with_nan(values: Any) -> Any:
    """Replace None by NaN: the inverse of `with_null`, except for infinities."""
    if isinstance(values, Mapping):
        return {name: with_nan(value) for name, value in values.items()}
    return math.nan if values is None else values


def _grid(metric: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    """Table with a row for each action, a column for each subject, and means of both."""
    actions = sorted({action for row in rows.values() for action in row})
    table = Table("action", *rows, "mean", title=metric)

    def cells(values: Sequence[float | None]) -> list[str]:
        known = [v for v in values if v is not None and v >= 0]
        texts = ["" if v is None else "none" if v < 0 else f"{v:.1f}" for v in values]
        return [*texts, f"{sum(known) / len(known):.1f}" if known else ""]

    for action in actions:
        table.add_row(action, *cells([row.get(action) for row in rows.values()]))
    table.add_section()
    known = [[v for v in row.values() if v >= 0] for row in rows.values()]
    table.add_row("mean", *cells([sum(v) / len(v) if v else None for v in known]))
    return table


def _sigmas_in_words(sigmas: tuple[float, ...] | str | None) -> str:
    if sigmas is None:
        return "not used"
    if isinstance(sigmas, str):
        return sigmas
    low, high = min(sigmas), max(sigmas)
    if low == high:
        return f"uniform {low:g}"
    return f"{len(sigmas)} values, {low:g} to {high:g}"
