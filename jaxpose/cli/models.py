"""`jaxpose models`: a list of the published models, or the whole record of one."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from rich.table import Table

from jaxpose.cli.models_command import Models
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError, nearest
from jaxpose.hub.addresses import files_beside
from jaxpose.hub.listing import Listed, listed
from jaxpose.models.published.not_runnable import NotRunnable, not_runnable
from jaxpose.models.published.record import (
    Published,
    PublishedAction,
    PublishedLifter,
    PublishedPose,
)
from jaxpose.skeletons import BUILT_IN

_TITLES = {
    "body": "Body",
    "wholebody": "Whole body",
    "hand": "Hand",
    "face": "Face",
    "animal": "Animals",
    "detector": "Detectors",
    "lifter": "Lifters to 3D",
    "backbone": "Backbones",
    "action": "Actions",
    "mesh": "Meshes",
}
_SCORE = 12  # characters of a score in the list; the record has the whole
_CLASSIFIERS = ("detector", "backbone", "action")
_OVER_TIME = ("lifter", "action")
_NOTE = (
    "Parameters in millions, scores as published. here: on this machine; fetch: fetched at the "
    "first use; convert: the address is not known; no 3D, no use: converts, but cannot predict "
    "yet. "
    "`jaxpose models NAME` prints the whole record, `--unsupported` what cannot run yet."
)


def models(options: Models) -> None:
    """Prints a list of models, or the record of one.

    The list has published figures only; the record counts parameters and multiply-adds.

    Raises:
      InputError: no model fits, or there is no such skeleton.
    """
    if options.skeleton is not None and options.skeleton not in BUILT_IN:
        raise InputError(
            f"There is no skeleton {options.skeleton!r}.{nearest(options.skeleton, BUILT_IN)} "
            f"Choose one of {', '.join(BUILT_IN)}."
        )
    word = options.word
    waiting = not_runnable(word)
    exact = next((row for row in waiting if row.name == word), None)
    if options.unsupported or exact is not None:
        _print_unsupported([exact] if exact is not None else waiting, options)
        return
    rows = listed(word or None)
    one = next((row for row in rows if row.name == word), None)
    rows = [one] if one is not None else rows
    rows = [
        row
        for row in rows
        if options.task in (None, row.task)
        and options.skeleton in (None, row.skeleton)
        and (row.here or not options.cached)
    ]
    if not rows:
        raise InputError(_nothing(options))
    if options.json:
        print(json.dumps([row.to_json() for row in rows], indent=1, ensure_ascii=False))
        return
    console = PlainConsole()
    if one is not None:
        console.print(record_table(one))
        return
    for line in lines(rows):
        console.print(line)
    if console.is_terminal:
        console.print(_NOTE, style="dim")


def lines(rows: Sequence[Listed]) -> list[str]:
    """Lines of a list, at most 80 characters each: a title for each task, a line for each model."""
    found: list[str] = []
    for task, title in _TITLES.items():
        cells = [_cells(row) for row in rows if row.task == task]
        if not cells:
            continue
        takes = "frames" if task in _OVER_TIME else "input"
        gives = "classes" if task in _CLASSIFIERS else "skeleton"
        cells = [(title, takes, gives, "par/M", "score", "weights"), *cells]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for cell in cells:
            padded = [
                text.rjust(width) if place == 3 else text.ljust(width)
                for place, (text, width) in enumerate(zip(cell, widths, strict=True))
            ]
            found.append(" ".join(padded).rstrip())
        found.append("")
    return found[:-1]


def _cells(row: Listed) -> tuple[str, ...]:
    params = "" if row.parameters is None else f"{row.parameters:.1f}"
    # The first metric, without the words in brackets behind it: PCK@.1 for PCK@0.1, and AP for
    # person AP, of which the column of classes tells.
    score = row.score.partition(",")[0].partition(" (")[0]
    score = score.replace("@0.", "@.").removeprefix("person ")
    score = score if len(score) <= _SCORE else f"{score[: _SCORE - 1]}…"
    return row.name, row.takes, row.gives, params, score, row.status


def record_table(row: Listed) -> Table:
    """All that is known of one model, a row for each fact."""
    result = Table(show_header=False)
    result.add_column()
    result.add_column(overflow="fold")
    facts: list[tuple[str, str]] = [("name", row.name), ("kind", row.kind)]
    facts.append(("frames" if row.kind in _OVER_TIME else "input", row.takes))
    gives = "classes" if row.kind in _CLASSIFIERS else "keypoints"
    facts.append(("body model" if row.kind == "mesh" else gives, row.gives))
    if row.record is not None:
        facts += _of_record(row.record)
    facts += [
        ("published", row.score or "no score"),
        ("source", row.source or "not stated"),
        ("trained on", ", ".join(row.trained_on) or "not stated"),
        ("licence", row.licence or "not stated: that of the source applies"),
        ("weights", row.address or "address not known"),
    ]
    if row.address:
        facts.append(("checksum", f"SHA-256 begins with {row.sha256}" if row.sha256 else "none"))
    facts.append(("on this machine", row.place if row.here else "no"))
    if not row.here and row.address:
        facts.append(("by hand", f"put the file at {row.place}{files_beside(row.place)}"))
    if row.record is not None:
        golden = ", ".join(row.record.golden) or "no outputs of these weights"
        facts.append(("tested against", golden))
    if row.limit:
        facts.append(("limit", row.limit))
    for fact in facts:
        result.add_row(*fact)
    return result


def _of_record(record: Published) -> Iterable[tuple[str, str]]:
    if isinstance(record, PublishedPose | PublishedLifter | PublishedAction):
        codec: Any = record.codec
        if isinstance(record, PublishedPose) and record.codec is not None:
            codec = record.codec(record.input_hw)
        yield "codec", "none here" if codec is None else _codec(codec)
    if isinstance(record, PublishedPose):
        yield "padding", f"{record.padding:g}"
    normalisation = getattr(record, "normalisation", None)
    if normalisation is not None:
        mean, std = (
            ", ".join(f"{x:g}" for x in v) for v in (normalisation.mean, normalisation.std)
        )
        yield "normalisation", f"{normalisation.order}, mean {mean}, std {std}"
    from jaxpose.scaling.count import cost  # slow to import: only for one model's record

    counted = cost(record.model(), record.input_hw)
    yield "parameters", _beside(counted.parameters / 1e6, record.parameters) + " M"
    yield "GFLOPs", _beside(counted.multiply_adds / 1e9, record.gflops)


def _print_unsupported(rows: list[NotRunnable], options: Models) -> None:
    if not rows:
        raise InputError(_nothing(options))
    if options.json:
        print(json.dumps([_facts(row) for row in rows], indent=1, ensure_ascii=False))
        return
    console = PlainConsole()
    if len(rows) == 1:
        result = Table(show_header=False)
        result.add_column()
        result.add_column(overflow="fold")
        for name, value in _facts(rows[0]).items():
            result.add_row(name, str(value) or "none")
        console.print(result)
        return
    names = max(len(row.name) for row in rows)
    for reason in dict.fromkeys(row.reason for row in rows):
        console.print(reason)
        for row in rows:
            if row.reason == reason:
                words = ", ".join(filter(None, (row.task, row.score, row.licence)))
                console.print(f"  {row.name:{names}}  {words}")


def _facts(row: NotRunnable) -> dict[str, str | bool]:
    return {
        "name": row.name,
        "task": row.task,
        "cannot run yet": row.reason,
        "score": row.score,
        "licence": row.licence,
        "address": row.weights.address,
        "sha256": row.weights.sha256,
    }


def _nothing(options: Models) -> str:
    """Sentence about filters that no model passes."""
    filters = [f"--task {options.task}"] if options.task else []
    filters += [f"--skeleton {options.skeleton}"] if options.skeleton else []
    filters += ["--cached"] if options.cached else []
    filters += ["--unsupported"] if options.unsupported else []
    if filters:
        named = f" with {options.word!r} in its name" if options.word else ""
        return f"There is no model{named} for {' '.join(filters)}. Leave one of them out."
    names = [*(row.name for row in listed()), *(row.name for row in not_runnable())]
    return (
        f"No model's name contains {options.word!r}.{nearest(options.word, names)} "
        "`jaxpose models` lists them all."
    )


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
