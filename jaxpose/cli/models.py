"""`jaxpose models`: every published model and detector, its size, work and published score."""

from rich.console import Console
from rich.progress import track
from rich.table import Table

from jaxpose.errors import InputError, nearest
from jaxpose.models.published.catalogue import CATALOGUE, DETECTORS
from jaxpose.models.published.detection import PublishedDetector
from jaxpose.models.published.entry import Published
from jaxpose.scaling.count import Cost, cost


def models(word: str) -> None:
    """Print tables of the models and detectors whose name contains `word`.

    Counts come from their traces.

    Raises:
      InputError: if no name contains it.
    """
    entries = [entry for entry in CATALOGUE if word in entry.name]
    detectors = [entry for entry in DETECTORS if word in entry.name]
    if not entries and not detectors:
        names = [entry.name for entry in CATALOGUE] + [entry.name for entry in DETECTORS]
        raise InputError(
            f"No model's name contains {word!r}.{nearest(word, names)} "
            "`jaxpose models` lists them all."
        )
    counting = Console(stderr=True)
    built = [(entry.model(), entry.input_hw) for entry in entries]
    built += [(entry.model(), entry.input_hw) for entry in detectors]
    costs = [
        cost(model, input_hw)
        for model, input_hw in track(built, "Counting", console=counting, transient=True)
    ]
    console = Console()
    for found in (
        table(entries, costs[: len(entries)]) if entries else None,
        detector_table(detectors, costs[len(entries) :]) if detectors else None,
    ):
        if found:
            # A pipe gets every column whole; a terminal folds the long ones.
            console.print(found, crop=console.is_terminal, soft_wrap=False)
    console.print(
        "Parameters in millions and multiply-adds in billions: counted here, and as published in "
        "brackets. ✓: tested against the published code's outputs.",
        style="dim",
    )


def table(entries: list[Published], costs: list[Cost]) -> Table:
    """The table of `models`, a row for each entry."""
    result = _columns("Model", "Keypoints")
    result.add_column("Golden", justify="center", overflow="fold")
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


def detector_table(entries: list[PublishedDetector], costs: list[Cost]) -> Table:
    """The table of detectors, a row for each entry."""
    result = _columns("Detector", "Classes")
    for entry, counted in zip(entries, costs, strict=True):
        height, width = entry.input_hw
        scores = (("box AP", entry.box_ap), ("person AP", entry.person_ap))
        result.add_row(
            entry.name,
            f"{height}x{width}",
            str(entry.num_classes),
            _beside(counted.parameters / 1e6, entry.parameters),
            _beside(counted.multiply_adds / 1e9, entry.gflops),
            ", ".join(f"{name} {score}" for name, score in scores if score is not None),
            entry.source,
        )
    return result


def _columns(what: str, outputs: str) -> Table:
    result = Table(box=None, header_style="bold", pad_edge=False)
    for title in (what, "Input", outputs, "Parameters", "GFLOPs", "Published", "Source"):
        left = title in (what, "Published", "Source")
        result.add_column(title, justify="left" if left else "right", overflow="fold")
    return result


def _beside(counted: float, published: float | None) -> str:
    return f"{counted:.2f}" + (f" ({published:.2f})" if published is not None else "")
