"""A row of the table of readers."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Files = dict[str, bytes]


@dataclass(frozen=True)
class Reader:
    """A reader with its samples.

    Attributes:
      name: name in reports.
      read: reads the files of a sample in a folder.
      samples: `samples()` -> samples; the first file of each is the one that is changed.
      comes_out: `comes_out(result)` is true of what is read from each unchanged sample.
    """

    name: str
    read: Callable[[Path], Any]
    samples: Callable[[], list[Files]]
    comes_out: Callable[[Any], Any]


def files_of(folder: Path) -> Files:
    """Files of a folder, in the order of their names."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
