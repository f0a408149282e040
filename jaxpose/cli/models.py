"""`jaxpose models`: a table of the published models, or the whole record of one."""

from dataclasses import fields
from typing import Any, Literal

from rich.console import Console
from rich.progress import track
from rich.table import Table

from jaxpose.errors import InputError, nearest
from jaxpose.models.published.catalogue import records
from jaxpose.models.published.record import (
    Published,
    PublishedDetector,
    PublishedLifter,
    PublishedPose,
)
from jaxpose.scaling.count import Cost, cost

_TITLES = {"pose": "Model", "detector": "Detector", "lifter": "Lifter"}


def models(word: str) -> None:
    """Prints tables of the published models whose name contains `word`, or one model's record.

    Parameters and multiply-adds are counted from traces.

    Raises:
      InputError: if no name contains it.
    """
    found = records(word or None)
    if not found:
        names = [record.name for record in records()]
        raise InputError(
            f"No model's name contains {word!r}.{nearest(word, names)} "
            "`jaxpose models` lists them all."
        )
    console = Console()
    exact = next((record for record in found if record.name == word), None)
    if exact is not None:
        console.print(record_table(exact, _cost(exact)))
        return
    counting = Console(stderr=True)
    costs = {
        record.name: _cost(record)
        for record in track(found, "Counting", console=counting, transient=True)
    }
    for kind in _TITLES:
        rows = [record for record in found if record.kind == kind]
        if rows:
            # A pipe gets every column whole; a terminal folds the long ones.
            listed = table(rows, [costs[record.name] for record in rows])
            console.print(listed, crop=console.is_terminal, soft_wrap=False)
    console.print(
        "Parameters in millions and multiply-adds in billions: counted here, and as published in "
        "brackets. Weights ✓: `jaxpose.load(NAME)` fetches them. Tested ✓: against the published "
        "code's outputs. No 3D yet: the lifter converts, but cannot predict. `jaxpose models NAME` "
        "prints the whole record.",
        style="dim",
    )


def table(rows: list[Published], costs: list[Cost]) -> Table:
    """The table of records of one kind, a row for each."""
    kind = rows[0].kind
    result = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    takes = "Frames" if kind == "lifter" else "Input"
    gives = "Classes" if kind == "detector" else "Joints"
    for title in (_TITLES[kind], takes, gives, "Params", "GFLOPs", "Score"):
        left = title in (_TITLES[kind], gives, "Score") and title != "Classes"
        whole = title in (_TITLES[kind], takes)
        justify: Literal["left", "right"] = "left" if left else "right"
        result.add_column(title, justify=justify, overflow="fold", no_wrap=whole, min_width=7)
    for title in ("Weights", "Tested"):
        result.add_column(title, justify="center")
    for record, counted in zip(rows, costs, strict=True):
        result.add_row(
            record.name,
            _takes(record),
            _gives(record),
            _beside(counted.parameters / 1e6, record.parameters),
            _beside(counted.multiply_adds / 1e9, record.gflops),
            ", ".join(filter(None, (_score(record), "no 3D yet" if _limited(record) else ""))),
            "✓" if record.weights else "",
            "✓" if record.golden else "",
        )
    return result


def record_table(record: Published, counted: Cost) -> Table:
    """All that is known of one model, a row for each fact."""
    result = Table(show_header=False)
    result.add_column()
    result.add_column(overflow="fold")
    result.add_row("name", record.name)
    result.add_row("kind", record.kind)
    result.add_row("frames" if record.kind == "lifter" else "input", _takes(record))
    result.add_row("classes" if record.kind == "detector" else "keypoints", _gives(record))
    if isinstance(record, PublishedPose | PublishedLifter):
        codec: Any = record.codec
        if isinstance(record, PublishedPose) and record.codec is not None:
            codec = record.codec(record.input_hw)
        result.add_row("codec", "none here" if codec is None else _codec(codec))
    if isinstance(record, PublishedPose):
        result.add_row("padding", f"{record.padding:g}")
    normalisation = getattr(record, "normalisation", None)
    if normalisation is not None:
        mean, std = (
            ", ".join(f"{x:g}" for x in v) for v in (normalisation.mean, normalisation.std)
        )
        result.add_row("normalisation", f"{normalisation.order}, mean {mean}, std {std}")
    result.add_row("parameters", _beside(counted.parameters / 1e6, record.parameters) + " M")
    result.add_row("GFLOPs", _beside(counted.multiply_adds / 1e9, record.gflops))
    result.add_row("published", _score(record) or "no score")
    result.add_row("source", record.source or "not stated")
    result.add_row("trained on", ", ".join(record.trained_on) or "not stated")
    result.add_row("licence", record.licence or "not stated: that of the source applies")
    result.add_row("weights", record.weights.address if record.weights else "address not known")
    result.add_row("tested against", ", ".join(record.golden) or "no outputs of these weights")
    if isinstance(record, PublishedLifter) and record.limit:
        result.add_row("limit", record.limit)
    return result


def _cost(record: Published) -> Cost:
    return cost(record.model(), record.input_hw)


def _takes(record: Published) -> str:
    if isinstance(record, PublishedLifter):
        return str(record.frames)
    assert record.input_hw is not None
    return "{}x{}".format(*record.input_hw)


def _gives(record: Published) -> str:
    if isinstance(record, PublishedDetector):
        return str(record.num_classes)
    if record.skeleton is not None:
        return record.skeleton.name
    return str(record.num_keypoints) if isinstance(record, PublishedPose) else ""


def _score(record: Published) -> str:
    if not isinstance(record, PublishedDetector):
        return record.score
    scores = (("box AP", record.box_ap), ("person AP", record.person_ap))
    return ", ".join(f"{name} {score}" for name, score in scores if score is not None)


def _limited(record: Published) -> bool:
    """True for a lifter that converts, but has no codec for prediction."""
    return isinstance(record, PublishedLifter) and record.codec is None


def _codec(codec: Any) -> str:
    """The class and the settings that differ from its own, but for statistics."""
    settings = [
        f"{field.name}={value!r}"
        for field in fields(codec)
        if (value := getattr(codec, field.name)) != field.default and "statistics" not in field.name
    ]
    return f"{type(codec).__name__}({', '.join(settings)})"


def _beside(counted: float, published: float | None) -> str:
    return f"{counted:.2f}" + (f" ({published:.2f})" if published is not None else "")
