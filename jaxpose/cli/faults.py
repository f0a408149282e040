"""Errors of commands: one message for a person, not a bare traceback."""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import typer
from rich.text import Text

from jaxpose.console import PlainConsole
from jaxpose.errors import InputError, reason

TRACEBACK = "JAXPOSE_TRACEBACK"
"""Environment variable; 1 shows tracebacks."""

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 141

P = ParamSpec("P")
R = TypeVar("R")


def plain_faults(command: Callable[P, R]) -> Callable[P, R]:
    """Wraps a command: bad input, a full disk, Ctrl-C or a closed pipe end it with a message.

    The exit status is 2 for bad input and for files that cannot be read or written, 130 for Ctrl-C
    and 141 for a closed pipe, as in a shell. Other exceptions are bugs and keep their
    traceback.
    """

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt as stop:
            PlainConsole(stderr=True).print(" ".join(["Stopped by Ctrl-C.", *_notes(stop)]))
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader has ended; without this Python would print an error at its own end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None
        except Exception as error:
            message = _message(error)
            if message is None or os.environ.get(TRACEBACK, "0") not in ("", "0"):
                raise
            report(message, _notes(error))
            raise typer.Exit(BAD_INPUT) from None

    return guarded


def report(message: str, notes: Sequence[str] = ()) -> None:
    """Prints a message in red on stderr, notes, and a line about --help and the traceback."""
    console = PlainConsole(stderr=True)
    console.print(Text.assemble(("Error: ", "bold red"), (message, "red")))
    for note in notes:
        console.print(note)
    console.print(
        f"Add --help to the command for its options, or set {TRACEBACK}=1 for the traceback.",
        style="dim",
    )


def _notes(error: BaseException) -> list[str]:
    """Notes of an error, without JAX's own about the traceback of an error under tracing."""
    notes = getattr(error, "__notes__", [])
    return [note for note in notes if "JAX has removed its internal frames" not in note]


def _message(error: Exception) -> str | None:
    """A sentence for an exception that is no bug; None for one that may be a bug."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{reason(error)}"
    if "RESOURCE_EXHAUSTED" in str(error):
        first = str(error).strip().splitlines()[0]
        return f"the device has too little memory; use a smaller batch or model ({first})"
    if isinstance(error, MemoryError):
        return f"the machine has too little memory{f' ({error})' if str(error) else ''}"
    if type(error).__module__ == "flax.errors" and "Shape" in type(error).__name__:
        first = str(error).strip().splitlines()[0].partition("(http")[0]
        return f"the weights do not have the shapes that the configuration states: {first.strip()}"
    return None
