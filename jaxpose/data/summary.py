"""Summary of `jaxpose prepare`: people written, and people left out with the reasons."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, summed


@dataclass(frozen=True)
class SplitSummary:
    """Counts of one split.

    Attributes:
      written: number of records.
      skipped: number of people, or of whole images, that were left out, by reason.
      examples: five examples per reason.
      counts: the people, and with whole images the images: given, done and left out.
    """

    written: int
    skipped: dict[str, int]
    examples: dict[str, list[str]]
    counts: Sequence[Counts] = ()


@dataclass(frozen=True)
class Summary:
    """Summary of a dataset, as in its `summary.json`.

    Attributes:
      splits: counts of each split, by name.
      notes: remarks on the source, such as keypoint names that differ.
      files: length and SHA-256 of each other file of the dataset, by name.
      fingerprint: SHA-256 over those digests.
    """

    splits: dict[str, SplitSummary]
    notes: list[str]
    files: dict[str, Any]
    fingerprint: str = field(default="")

    @property
    def counts(self) -> list[Counts]:
        """Counts over all splits, by unit."""
        return summed(one for split in self.splits.values() for one in split.counts)

    def print(self, console: Console | None = None) -> None:
        """Print a table of the counts, then the notes and the fingerprint."""
        console = console or PlainConsole()
        table = Table(title="people", show_edge=False)
        table.add_column("split")
        table.add_column("result")
        table.add_column("count", justify="right")
        table.add_column("example", overflow="fold")
        for name, split in self.splits.items():
            table.add_row(name, "written", f"{split.written:,}", "")
            for reason, count in split.skipped.items():
                example = split.examples[reason][0]
                table.add_row(name, f"skipped: {reason}", f"{count:,}", example)
        console.print(table)
        for note in self.notes:
            console.print(f"note: {note}")
        console.print(f"fingerprint {self.fingerprint}")
