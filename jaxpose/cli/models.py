"""`jaxpose models`: every published model with its size, its work and its published score."""

from rich.console import Console
from rich.progress import track
from rich.table import Table

from jaxpose.errors import InputError, nearest
from jaxpose.models.published.catalogue import CATALOGUE
from jaxpose.models.published.entry import Published
from jaxpose.scaling.count import Cost, cost


def models(word: str) -> None:
    """Print a table of the models whose name contains `word`; counts come from their traces.

    Raises:
      InputError: if no name contains it.
    """
    entries = [entry for entry in CATALOGUE if word in entry.name]
    if not entries:
        names = [entry.name for entry in CATALOGUE]
        raise InputError(
            f"No model's name contains {word!r}.{nearest(word, names)} "
            "`jaxpose models` lists them all."
        )
    counting = Console(stderr=True)
    costs = [
        cost(entry.model(), entry.input_hw)
        for entry in track(entries, "Counting", console=counting, transient=True)
    ]
    console = Console()
    # A pipe gets every column whole; a terminal folds the long ones.
    console.print(table(entries, costs), crop=console.is_terminal, soft_wrap=False)
    console.print(
        "Parameters in millions and multiply-adds in billions: counted here, and as published in "
        "brackets. ✓: tested against the published code's outputs.",
        style="dim",
    )


def table(entries: list[Published], costs: list[Cost]) -> Table:
    """The table of `models`, a row for each entry."""
    result = Table(box=None, header_style="bold", pad_edge=False)
    for title, justify in (
        ("Model", "left"),
        ("Input", "right"),
        ("Keypoints", "right"),
        ("Parameters", "right"),
        ("GFLOPs", "right"),
        ("Published", "left"),
        ("Source", "left"),
        ("Golden", "center"),
    ):
        result.add_column(title, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for entry, counted in zip(entries, costs, strict=True):
        height, width = entry.input_hw
        result.add_row(
            entry.name,
            f"{height}x{width}",
            str(entry.num_keypoints),
            _beside(counted.parameters / 1e6, entry.parameters),
            _beside(counted.multiply_adds / 1e9, entry.gflops),
            entry.score,
            entry.source,
            "✓" if entry.golden else "",
        )
    return result


def _beside(counted: float, published: float | None) -> str:
    return f"{counted:.2f}" + (f" ({published:.2f})" if published is not None else "")
