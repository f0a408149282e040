"""Summary of `jaxpose prepare`: people written, and people left out with the reasons."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, summed
from jaxpose.data.canvas import Skip, Turned


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

    @classmethod
    def of(cls, written: int, people: int | None, skips: Sequence[Skip]) -> "SplitSummary":
        """Summary of a split.

        Args:
          written: number of records.
          people: number of people in records of whole images; None if each record is a person.
          skips: the people and images that were left out.
        """
        skipped = Counter(skip.reason for skip in skips)
        examples = {
            reason: [skip.who for skip in skips if skip.reason == reason][:5]
            for reason in sorted(skipped)
        }
        counts = [_counted("people", written, skips, [1] * len(skips))]
        if people is not None:
            images = [int(skip.people is not None) for skip in skips]
            inside = [1 if skip.people is None else skip.people for skip in skips]
            counts = [
                _counted("images", written, skips, images),
                _counted("people", people, skips, inside),
            ]
        return cls(written, dict(sorted(skipped.items())), examples, counts)


def turned_note(turned: Sequence[Turned]) -> list[str]:
    """Note on images that EXIF turns; none if there are none."""
    if not turned:
        return []
    kinds = sorted(Counter(one.orientation for one in turned).items())
    counted = ", ".join(f"orientation {kind}: {count:,}" for kind, count in kinds)
    names = ", ".join(one.name for one in turned[:3]) + (", ..." if len(turned) > 3 else "")
    images = "1 image is" if len(turned) == 1 else f"{len(turned):,} images are"
    return [
        f"{images} mirrored, upside down or turned as stored, and upright by EXIF ({counted}), "
        f"such as {names}. The upright image is written. The annotations do not show whether they "
        "fit it or the stored pixels: look at the samples of `jaxpose data check`"
    ]


def _counted(unit: str, done: int, skips: Sequence[Skip], numbers: Sequence[int]) -> Counts:
    """Counts where each skip left out some things of the unit."""
    faults: Counter[str] = Counter()
    excluded: Counter[str] = Counter()
    for skip, number in zip(skips, numbers, strict=True):
        (faults if skip.fault else excluded)[skip.reason] += number
    return Counts(unit, done, dict(sorted(faults.items())), dict(sorted(excluded.items())))


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
