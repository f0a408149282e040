"""`jaxpose compile --chips`: bounds on a program by the compiler of chips that are not here."""

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from rich.table import Table

from jaxpose.chips import fit
from jaxpose.chips.account import TooLarge, account, limits
from jaxpose.chips.table import CHIPS
from jaxpose.chips.topology import Slice, parse_slice
from jaxpose.cli.compile import experiment_of
from jaxpose.cli.compile_command import Compile
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.json_text import parse_json

_GIB = 2**30
_OUR_KEYS = {
    *("chips", "program", "flops", "bytes", "memory", "seconds", "parts", "operations"),
    *("mfu_bound", "compile_seconds"),
}

Report = dict[str, Any]


def compile_for_chips(options: Compile, chips: str) -> None:
    """Compile the program of a recipe for a slice of chips, and print what follows.

    Raises:
      InputError: an error of `account`; what --compare names is neither a recipe, chips nor a
        report.
    """
    wanted = parse_slice(chips)
    with suppress(RuntimeError):  # JAX has started
        jax.config.update("jax_platforms", "cpu")
    make_other = None if options.compare is None else _other(options, wanted, options.compare)
    make = _fitted if options.fit else _account
    report = make(options, wanted, options.config)
    other = None if make_other is None else make_other()
    if options.json:
        both = report if other is None else {"this": report, "other": other}
        PlainConsole().print_json(json.dumps(both))
        return
    console = PlainConsole()
    _print(console, report)
    if other is not None:
        console.print(_side_by_side(report, other))
    console.print(limits(wanted.chip), style="dim")


def _account(options: Compile, wanted: Slice, recipe: str) -> Report:
    experiment = experiment_of(options, recipe)
    try:
        report = account(experiment, wanted, options.program)
    except TooLarge as error:
        advice = fit.advice(experiment, wanted, options.program, error.used)
        raise InputError(f"{error} {advice}") from error
    return {"recipe": recipe, **report}


def _fitted(options: Compile, wanted: Slice, recipe: str) -> Report:
    if options.program != "train":
        raise InputError("--fit is for --program train.")
    if options.mesh is not None:
        raise InputError("--fit chooses the mesh: leave --mesh out.")
    console = PlainConsole(stderr=True)
    experiment = experiment_of(options)
    best, report = fit.search(experiment, wanted, say=lambda line: console.print(line, style="dim"))
    # What the recipe has, without --batch, needs no flag.
    own = experiment_of(replace(options, batch=None))
    console.print(f"{train_command(recipe, options.set_)} {best.flags(own)}", style="bold")
    return {"recipe": recipe, **report}


def train_command(recipe: str, changes: Sequence[str]) -> str:
    """The command that trains a recipe with changes (`--set`), quoted for a shell."""
    return shlex.join(["jaxpose", "train", recipe, *(w for one in changes for w in ("--set", one))])


def _other(options: Compile, wanted: Slice, what: str) -> Callable[[], Report]:
    """Function that gives the report to compare with; what it needs is checked before."""
    if Path(what).suffix == ".json":
        try:
            report = parse_json(Path(what).read_bytes())
        except OSError as error:
            raise InputError(f"--compare {what}: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{what} is no JSON: {error}.") from error
        if not isinstance(report, dict) or not report.keys() >= _OUR_KEYS:
            raise InputError(
                f"{what} is no report of this version's `jaxpose compile --chips ... --json`."
            )
        return lambda: report
    if what.partition(":")[0].lower() in {chip.name for chip in CHIPS}:
        try:
            other = parse_slice(what)
        except InputError as error:
            raise InputError(str(error).replace("--chips", "--compare", 1)) from error
        return lambda: _account(options, other, options.config)
    experiment_of(options, what)  # a recipe that cannot be read is known before a compilation
    return lambda: _account(options, wanted, what)


def _print(console: PlainConsole, report: Report) -> None:
    mesh = ", ".join(f"{axis} {size}" for axis, size in report["mesh"].items())
    console.print(
        f"{report['recipe']}, {report['program']}: {report['parameters'] / 1e6:,.1f} M parameters, "
        f"batch {report['batch_size']} on {report['chips']} ({mesh}); compiled in "
        f"{report['compile_seconds']:.0f} s."
    )
    memory, seconds = report["memory"], report["seconds"]
    table = Table("each chip, each run", "", show_header=True, box=None)
    table.add_row("multiplications", f"{_flops(report['flops'])}FLOP")
    table.add_row("of these the model's", f"{_flops(report['model_flops'])}FLOP")
    table.add_row("to and from HBM", _size(report["bytes"]))
    table.add_row("arguments", f"{memory['arguments'] / _GIB:.2f} GiB")
    table.add_row("temporaries", f"{memory['temporaries'] / _GIB:.2f} GiB")
    table.add_row(
        "memory in all",
        f"{memory['peak'] / _GIB:.2f} of {memory['hbm'] / _GIB:.0f} GiB "
        f"({memory['peak'] / memory['hbm']:.0%})",
    )
    for name, words in (("flops", "FLOPs"), ("bytes", "bytes"), ("links", "traffic of chips")):
        table.add_row(f"time by {words}", f"at least {1e3 * seconds[name]:,.2f} ms")
    table.add_row("MFU", f"at most {report['mfu_bound']:.0%}")
    console.print(table)
    console.print(_table_of_parts(report))
    if report["collectives"]:
        table = Table("collectives", "number", "sent", "overlapped", box=None)
        for kind, one in report["collectives"].items():
            table.add_row(
                kind, str(one["number"]), _size(one["sent_bytes"]), str(one["overlapped"])
            )
        console.print(table)
    console.print(_line_of_operations(report))
    console.print(_largest(report))


def _table_of_parts(report: Report) -> Table:
    table = Table("part", "FLOPs", "bytes", "of all bytes", "at least", box=None)
    for name, one in report["parts"].items():
        table.add_row(
            name,
            _flops(one["flops"]),
            _size(one["bytes"]),
            f"{one['bytes'] / max(report['bytes'], 1):.1%}",
            f"{1e3 * one['seconds']:,.2f} ms",
        )
    return table


def _line_of_operations(report: Report) -> str:
    operations, loops = report["operations"], report["loops"]
    words = [f"{operations[name]:,} {name}s" for name in ("gather", "scatter", "sort")]
    words.append(f"{loops['number']:,} loops of {loops['rounds']:,} rounds in all")
    if loops["of_unknown_length"]:
        words.append(f"{loops['of_unknown_length']} of them of unknown length, counted once")
    words.append(f"{operations['kernels']:,} kernels, {operations['fusions']:,} of them fusions")
    words += [f"{number} {name}" for name, number in operations["library_calls"].items()]
    return f"Operations: {', '.join(words)}."


def _largest(report: Report) -> str:
    """Lines, not a table: a terminal would break the source lines of a narrow column."""
    lines = ["Operations that move the most bytes:"]
    for one in report["largest"]:
        times = f"{one['runs']:,} x " if one["runs"] > 1 else ""
        lines.append(
            f"  {_size(one['bytes']):>11} {one['share']:>4.0%}  {one['place'] or one['op_name']}  "
            f"{times}{one['operation']} {one['shape']}"
        )
    return "\n".join(lines)


def _side_by_side(this: Report, other: Report) -> Table:
    rows: Mapping[str, tuple[Callable[[Report], float], Callable[[float], str]]] = {
        "FLOPs": (lambda r: r["flops"], _flops),
        "bytes": (lambda r: r["bytes"], _size),
        "memory": (lambda r: r["memory"]["peak"], _size),
        "at least, ms": (lambda r: 1e3 * max(r["seconds"].values()), lambda x: f"{x:,.2f}"),
        "MFU at most": (lambda r: r["mfu_bound"], lambda x: f"{x:.0%}"),
        "gathers": (lambda r: r["operations"]["gather"], lambda x: f"{x:,.0f}"),
        "kernels": (lambda r: r["operations"]["kernels"], lambda x: f"{x:,.0f}"),
        "compile seconds": (lambda r: r["compile_seconds"], lambda x: f"{x:.0f}"),
    }
    names = [f"{r.get('recipe', '')} {r['chips']} {r['program']}" for r in (this, other)]
    table = Table("", *names, "this / other", box=None)
    for name, (value, words) in rows.items():
        a, b = value(this), value(other)
        table.add_row(name, words(a), words(b), f"{a / b:.2f}" if b else "")
    return table


def _flops(number: float) -> str:
    return f"{number / 1e12:,.3f} T" if number >= 1e11 else f"{number / 1e9:,.3f} G"


def _size(number: float) -> str:
    return f"{number / 1e9:,.2f} GB" if number >= 1e9 else f"{number / 1e6:,.2f} MB"
