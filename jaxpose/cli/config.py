"""`jaxpose config`: the keys of a recipe, with their types and values.

One line a key, so that `grep` finds it.
"""

import dataclasses
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any

from rich.text import Text

from jaxpose.config import config_fields, override
from jaxpose.config.recipe_source import class_path
from jaxpose.config.values import annotations, readable
from jaxpose.console import PlainConsole
from jaxpose.train.recipe import load_recipe

_LONG = 60  # characters of a value that are shown


def print_config(recipe: str, set_: list[str]) -> None:
    """Print a line for each key that `--set` can change, and one above each part.

    Raises:
      InputError: as `load_recipe` and `override`.
    """
    experiment = override(load_recipe(recipe), set_)
    console = PlainConsole()
    console.print(Text(class_path(type(experiment)), style="bold"))
    for key, kind, value, meaning in rows(experiment, ""):
        if kind:
            line = Text(f"{key} = {value}")
            line.append(f"  [{kind}]", style="cyan")
        else:
            line = Text(f"{key}: {value}", style="bold")
        if meaning:
            line.append(f"  # {meaning}", style="dim")
        console.print(line)
    console.print(
        "\n--set KEY=VALUE changes one. --set skeleton=NAME|FILE also sizes the model for it; "
        "--set dtype=bfloat16 sets every dtype of the model.",
        style="dim",
    )


def rows(part: Any, above: str) -> Iterator[tuple[str, str, str, str]]:
    """(key, type, value, meaning) of each key of a part; a part has its class as its value."""
    hints, meanings = annotations(type(part)), meaning_of_fields(type(part))
    for field in config_fields(part):
        value, key = getattr(part, field.name), f"{above}{field.name}"
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield key, "", class_path(type(value)).removeprefix("jaxpose."), _first_line(value)
            if field.name != "skeleton":
                yield from rows(value, f"{key}.")
        elif isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
            for number, one in enumerate(value):
                name = class_path(type(one)).removeprefix("jaxpose.")
                yield f"{key}.{number}", "", name, _first_line(one)
                yield from rows(one, f"{key}.{number}.")
        else:
            kind, meaning = readable(hints[field.name]), meanings.get(field.name, "")
            yield key, kind, _short(value), meaning


def meaning_of_fields(cls: type) -> dict[str, str]:
    """Meanings of a class's fields, from comments above them and the docstring's `Attributes`."""
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        if owner.__module__ != "builtins" and dataclasses.is_dataclass(owner):
            found |= _attributes(inspect.cleandoc(owner.__doc__ or ""))
            found |= _comments(owner)
    return found


def _attributes(doc: str) -> dict[str, str]:
    _, _, listed = doc.partition("Attributes:\n")
    pattern = r"^  ([\w, ]+): (.*(?:\n    +\S.*)*)"
    return {
        name.strip(): " ".join(text.split())
        for names, text in re.findall(pattern, listed, flags=re.M)
        for name in names.split(",")
    }


def _comments(cls: type) -> dict[str, str]:
    """Comments that stand directly above a field."""
    try:
        text = inspect.cleandoc("\n" + inspect.getsource(cls))
    except (OSError, TypeError):
        return {}
    found, lines = dict[str, str](), list[str]()
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    depth, first = 0, True
    for token in tokens:
        if token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif token.type == tokenize.COMMENT and first:
            lines.append(token.string.lstrip("# "))
        elif token.type == tokenize.NEWLINE:
            first = True
        elif token.type not in (tokenize.NL, tokenize.COMMENT):
            if first and depth == 1 and token.type == tokenize.NAME and lines:
                found[token.string] = " ".join(lines)
            lines, first = [], False
    return found


def _first_line(value: Any) -> str:
    doc = inspect.cleandoc(type(value).__doc__ or "").split("\n\n")[0]
    # dataclasses write a signature where there is no docstring
    return "" if doc.startswith(f"{type(value).__name__}(") else " ".join(doc.split())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."
