"""Report of all arrays that do not fit between a checkpoint and a model, in short and in full."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jaxpose.errors import InputError

_SHOWN = 10


@dataclass(frozen=True)
class Entry:
    """Array that does not fit.

    Attributes:
      name: the checkpoint's key or the path of the model's leaf.
      shape: shape of the array.
      note: fault of this array; empty where the section's title is the fault.
    """

    name: str
    shape: tuple[int, ...]
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)}{self.note}"


class Mismatch(InputError):
    """Error for a checkpoint and a model that do not belong together.

    The message has one line for all names that differ only in their numbers, and at most one
    screen of lines. `full` lists every key and leaf with its shape.
    """

    def __init__(
        self, verdict: str, sections: Iterable[tuple[str, Sequence[Entry]]], advice: str
    ) -> None:
        """Build the message from pairs of a title and its entries; empty sections are left out."""
        sections = [(title, entries) for title, entries in sections if entries]
        self.full = verdict + "".join(
            _section(title, entries, list(map(str, entries))) for title, entries in sections
        )
        short = "".join(_section(title, entries, _shown(entries)) for title, entries in sections)
        self._advice = advice
        super().__init__(f"{verdict}{short}\n{advice}")

    def advised(self, advice: str) -> "Mismatch":
        """Replace the advice at the end of the message and return the error."""
        self.args = (f"{str(self).removesuffix(self._advice)}{advice}",)
        self._advice = advice
        return self

    def about(self, what: str) -> "Mismatch":
        """Put a sentence before the message and return the error."""
        self.full = what + self.full
        self.args = (what + str(self),)
        return self


def _section(title: str, entries: Sequence[Entry], lines: list[str]) -> str:
    return f"\n{len(entries)} {title}:\n  " + "\n  ".join(lines)


def _shown(entries: Sequence[Entry]) -> list[str]:
    lines = grouped(entries)
    if len(lines) > _SHOWN + 1:
        left = len(lines) - _SHOWN
        lines = [*lines[:_SHOWN], f"and {left} more groups like these"]
    return lines


def grouped(entries: Iterable[Entry]) -> list[str]:
    """One line for all entries that differ in their numbers only: `layers.{0-11}.bias [8]`."""
    groups: dict[tuple, list[tuple[int, ...]]] = {}
    for entry in entries:
        numbers = tuple(int(n) for n in re.findall(r"\d+", entry.name))
        template = re.sub(r"\d+", "\0", entry.name)
        groups.setdefault((template, entry.shape, entry.note), []).append(numbers)
    lines = []
    for (template, shape, note), found in groups.items():
        name = template
        for values in zip(*found, strict=True):
            name = name.replace("\0", _span(sorted(set(values))), 1)
        count = f" ({len(found)} arrays)" if len(found) > 1 else ""
        lines.append(f"{name} {list(shape)}{note}{count}")
    return lines


def _span(values: list[int]) -> str:
    if len(values) == 1:
        return str(values[0])
    if values == list(range(values[0], values[-1] + 1)):
        return f"{{{values[0]}-{values[-1]}}}"
    return "{" + ",".join(map(str, values)) + "}"
