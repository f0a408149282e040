"""Counts at the end of a command: given = done + left out, by reason, and the exit status."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxpose.console import PlainConsole

_SINGULAR = {  # others lose an s
    "people": "person",
    "boxes": "box",
    "bodies": "body",
    "images, videos or their parts": "image, video or part of one",
}

ALL_DONE, SOME_LEFT_OUT, NONE_DONE = 0, 1, 2


def counted(number: int, unit: str) -> str:
    """Number and unit, such as `1 person` or `1,200 people`, of a unit in the plural."""
    one = _SINGULAR.get(unit, unit.removesuffix("s"))
    return f"{number:,} {one if number == 1 else unit}"


@dataclass(frozen=True)
class Counts:
    """Counts of one kind of thing that a command was given, such as images or people.

    Attributes:
      unit: the kind, in the plural.
      done: number that was processed.
      faults: number left out by reason, because something is missing, damaged or wrong. They change
        the exit status.
      excluded: number left out by reason, because the user, the data set or the model does not want
        them, such as crowd regions. They are counted, and change no exit status.
    """

    unit: str
    done: int
    faults: Mapping[str, int] = field(default_factory=dict)
    excluded: Mapping[str, int] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, int]:
        """Number left out by each reason, faults first; without reasons that did not occur."""
        reasons = dict.fromkeys((*self.faults, *self.excluded), 0)
        for counted in (self.faults, self.excluded):
            for reason, count in counted.items():
                reasons[reason] += count
        return {reason: count for reason, count in reasons.items() if count}

    @property
    def given(self) -> int:
        """Number that the command was given."""
        return self.done + sum(self.left_out.values())

    def __str__(self) -> str:
        """`given 12 images = done 11 + left out 1 (image missing: 1)`."""
        reasons = ", ".join(f"{reason}: {count:,}" for reason, count in self.left_out.items())
        left_out = f"{sum(self.left_out.values()):,}{f' ({reasons})' if reasons else ''}"
        return f"given {counted(self.given, self.unit)} = done {self.done:,} + left out {left_out}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: `unit`, `given`, `done` and `left_out`, a map from reason to number."""
        return {
            "unit": self.unit,
            "given": self.given,
            "done": self.done,
            "left_out": self.left_out,
        }


def summed(counts: Iterable[Counts]) -> list[Counts]:
    """Sums of the counts that have the same unit."""
    sums: dict[str, Counts] = {}
    for one in counts:
        sum_ = sums.get(one.unit, Counts(one.unit, 0))
        sums[one.unit] = Counts(
            one.unit,
            sum_.done + one.done,
            Counter(sum_.faults) + Counter(one.faults),
            Counter(sum_.excluded) + Counter(one.excluded),
        )
    return list(sums.values())


def exit_status(counts: Sequence[Counts]) -> int:
    """Exit status: 0 if no fault left anything out, 1 if one did, 2 if nothing was done."""
    if not any(one.done for one in counts):
        return NONE_DONE
    return SOME_LEFT_OUT if any(sum(one.faults.values()) for one in counts) else ALL_DONE


def print_counts(counts: Sequence[Counts], console: PlainConsole | None = None) -> int:
    """Print the counts in one line; return the exit status."""
    text = "; ".join(map(str, counts))
    (console or PlainConsole()).print(f"{text[:1].upper()}{text[1:]}.")
    return exit_status(counts)
