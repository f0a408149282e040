"""`jaxpose export`: a trained model in the formats of other runtimes."""

import importlib.metadata
import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

import jaxpose
from jaxpose.cli.export_command import Export
from jaxpose.cli.predict_summary import make_writable
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError, not_written
from jaxpose.export import check, tflite
from jaxpose.export.formats import FORMATS, card_of, chosen
from jaxpose.export.program import Program, needed
from jaxpose.hub.load import load
from jaxpose.paths import partial_of, put_folder_in_place

NAME = "model"
# What each format needs beyond jaxpose's own packages, to be written and to be run.
_NEEDS = {"tflite": "ai_edge_litert", "onnx": "onnx"}
_RUNS = {**_NEEDS, "onnx": "onnxruntime"}
_VERSIONS = ("jax", "flax", "tensorflow-cpu", "tensorflow", "ai-edge-litert", "onnx", "onnxruntime")


def export(options: Export) -> int:
    """Writes the folder `options.out`, whole or not at all, and returns the exit status.

    The status is 1 if an export differs from JAX by more than it may.

    Raises:
      InputError: what is asked for cannot be had: an unknown format, a package that is absent, a
        folder that may not be written, a model or a level that a format cannot carry.
    """
    formats, out = chosen(options.to), options.out
    _check(formats, options)
    program = _program(options)
    partial = partial_of(out)
    try:
        make_writable(partial)
        written = _write(program, partial, formats, options)
        rows, good = _compare(written, options) if options.check else ([], True)
        _cards(written, rows, options)
        put_folder_in_place(partial, out)
    except OSError as error:
        raise not_written(out, error) from error
    except InputError as error:
        raise InputError(str(error).replace(str(partial), str(out))) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    console = PlainConsole()
    if rows:
        console.print(_table(rows, options.samples))
    names = ", ".join(one.path.name for one in written)
    cards = "with a card" if len(written) == 1 else "each with a card"
    console.print(f"Written to {out}: {names}, {cards} (.json).")
    if not good:
        PlainConsole(stderr=True).print(
            "An export differs from JAX by more than it may (marked in the table).",
            style="bold red",
        )
    return 0 if good else 1


@dataclass(frozen=True)
class _Written:
    name: str
    path: Path
    program: Program
    tolerance: check.Tolerance


@dataclass(frozen=True)
class _Row:
    """A line of the table; JAX's own has no size and no difference."""

    name: str
    bytes: int | None
    difference: check.Difference | None
    good: bool
    speed: check.Speed


def _check(formats: list[str], options: Export) -> None:
    out = options.out
    for name in formats:
        for package in (_NEEDS.get(name), _RUNS.get(name) if options.check else None):
            if package is not None:
                needed(package)
    if options.float16 and "tflite" not in formats:
        raise InputError("--float16 is of TFLite; add tflite to --to, or leave it out")
    if options.batch and options.check and options.samples % options.batch:
        raise InputError(
            f"--samples {options.samples} are not whole batches of {options.batch}; give a "
            "multiple, or --no-check"
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        ours = out.is_dir() and any(
            card_of(out / f"{NAME}{module.SUFFIX}").is_file() for module in FORMATS.values()
        )
        if not ours:
            raise InputError(f"{out} is not an export and is not replaced. Choose another folder.")
        if not options.overwrite:
            raise InputError(
                f"{out} exists. Choose another folder, or replace it with --overwrite."
            )


def _program(options: Export) -> Program:
    trained = load(options.source, options.checkpoint, trust_recipe=options.trust_recipe)
    program = trained.estimator.program(
        trained.variables,
        level=options.level,
        flip_test=options.flip_test,
        image_hw=_size(options.size),
    )
    return program if options.batch is None else program.fixed(options.batch)


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    if not found or not all(0 < int(number) <= 20_000 for number in found.groups()):
        raise InputError(f"--size is HEIGHTxWIDTH in pixels, such as 1080x1920, not {text!r}")
    return int(found[1]), int(found[2])


def _write(program: Program, folder: Path, formats: list[str], options: Export) -> list[_Written]:
    console = PlainConsole(stderr=True)
    written = []
    for name in formats:
        of, tolerance, write = program, check.EXACT, FORMATS[name].write
        path = folder / f"{NAME}{FORMATS[name].SUFFIX}"
        console.print(f"Writing {name} ...", style="dim")
        if name == "tflite":
            of = program.fixed(options.batch or 1)
            tolerance = check.HALF if options.float16 else check.EXACT
            tflite.write(of, path, float16=options.float16)
        else:
            write(of, path)
        written.append(_Written(name, path, of, tolerance))
    return written


def _compare(written: list[_Written], options: Export) -> tuple[list[_Row], bool]:
    program = written[0].program
    assert program.samples is not None  # every estimator says what to compare on
    arrays = program.samples(options.samples)
    size = options.batch or options.samples
    runs: dict[str, check.Run] = {"JAX": _in_turns(check.in_jax(program), size)}
    for one in written:
        run = FORMATS[one.name].start(one.path, [value.name for value in program.inputs])
        runs[one.name] = _in_turns(run, size)
    expected = runs["JAX"](*arrays)
    found = {
        one.name: check.difference(program, runs[one.name](*arrays), expected) for one in written
    }
    speed = check.speeds(runs, arrays, options.samples)
    rows = [_Row("JAX", None, None, True, speed["JAX"])]
    for one in written:
        difference = found[one.name]
        good = difference.within(one.tolerance)
        rows.append(_Row(one.name, _bytes(one.path), difference, good, speed[one.name]))
    return rows, all(row.good for row in rows)


def _in_turns(run: check.Run, size: int) -> Callable[..., dict[str, np.ndarray]]:
    """Runs `size` samples at a time; an image, before its boxes, goes with each."""

    def runs(*arrays: np.ndarray) -> dict[str, np.ndarray]:
        *first, last = arrays
        parts = [run(*first, last[i : i + size]) for i in range(0, len(last), size)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    return runs


def _cards(written: list[_Written], rows: list[_Row], options: Export) -> None:
    versions = {}
    for package in _VERSIONS:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    checked = {row.name: row for row in rows}
    for one in written:
        card: dict[str, Any] = {
            "format": one.name,
            "level": one.program.level,
            "inputs": [asdict(value) for value in one.program.inputs],
            "outputs": [asdict(value) for value in one.program.outputs],
            **one.program.facts,
            "made": {
                "by": f"jaxpose {jaxpose.__version__}",
                "from": Path(options.source).name,
                "float16": options.float16 and one.name == "tflite",
                "versions": versions,
            },
        }
        if one.name in checked:
            card["difference_from_jax"] = _facts(checked[one.name].difference)
        card_of(one.path).write_text(json.dumps(card, indent=1) + "\n")


def _facts(difference: check.Difference | None) -> Mapping[str, Any]:
    return {} if difference is None else asdict(difference)


def _bytes(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _table(rows: list[_Row], samples: int) -> Table:
    table = Table(title=f"{samples} samples, in turns with JAX on this machine")
    for column in ("format", "MB", "keypoints, px", "other outputs", "a second (spread)"):
        table.add_column(column, justify="left" if column == "format" else "right")
    for row in rows:
        pixels = share = ""
        if row.difference is not None:
            pixels = "" if row.difference.pixels is None else f"{row.difference.pixels:.2g}"
            share = f"{row.difference.share:.1e}"
        size = "" if row.bytes is None else f"{row.bytes / 1e6:.1f}"
        rate = f"{row.speed.median:.2f} ({row.speed.slowest:.2f}-{row.speed.fastest:.2f})"
        style = None if row.good else "bold red"
        table.add_row(row.name, size, pixels, share, rate, style=style)
    return table
