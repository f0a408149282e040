"""Options of a command as one frozen dataclass, from which Typer's signature is made.

A field is a flag: its annotation carries the type, the limits and the help, so a new flag is one
field. Nothing heavy is imported here: `jaxpose --help` reads all of these dataclasses.
"""

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import typer

from jaxpose.errors import InputError, nearest

OptionsT = TypeVar("OptionsT")
OtherT = TypeVar("OtherT")
R = TypeVar("R")


@dataclasses.dataclass(frozen=True)
class Sets:
    """Mark of a field whose value goes to a dotted key of another dataclass (`filled`).

    Attributes:
      key: such as `lifting.focal`.
      value: from the flag's value to the key's; None passes it on as it is.
    """

    key: str
    value: Callable[[Any], Any] | None = None


@dataclasses.dataclass(frozen=True)
class OldName:
    """Mark of a field with an older flag: it works, prints a notice, and is not in the help."""

    flag: str


def takes(options: type[OptionsT]) -> Callable[[Callable[[OptionsT], R]], Callable[..., R]]:
    """Decorator of a command that gets a dataclass: flags and arguments are its fields, in order.

    Args:
      options: a dataclass whose fields are `Annotated[type, typer.Option(...)]` or `Argument`.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    parameters: dict[str, inspect.Parameter] = {}
    old_names: dict[str, tuple[str, str]] = {}  # parameter of the older flag -> field, notice
    for field in dataclasses.fields(options):  # type: ignore[arg-type]
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        elif default is dataclasses.MISSING:
            default = inspect.Parameter.empty
        hint = hints[field.name]
        parameters[field.name] = _parameter(field.name, hint, default)
        for mark in _marks(hint, OldName):
            name = f"{field.name}_by_old_name"
            (shown,) = _marks(hint, typer.models.OptionInfo)
            notice = f"{mark.flag} is now {_flag(shown, field.name)}; the old name will go in a "
            old_names[name] = (field.name, f"{notice}later version.")
            hidden = typer.Option(mark.flag, hidden=True, min=shown.min, max=shown.max)
            kind = typing.get_args(hint)[0] | None
            parameters[name] = _parameter(name, Annotated[kind, hidden], None)

    def decorate(run: Callable[[OptionsT], R]) -> Callable[..., R]:
        @functools.wraps(run)
        def command(**values: Any) -> R:
            for name, (field, notice) in old_names.items():
                old = values.pop(name)
                if old is not None:
                    typer.echo(notice, err=True)
                    values[field] = old
            return run(options(**values))

        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            list(parameters.values())
        )
        command.__annotations__ = {name: p.annotation for name, p in parameters.items()}
        return command

    return decorate


def filled(options: Any, other: OtherT) -> OtherT:
    """`other` with the values of all fields of `options` that are marked with `Sets`."""
    hints = typing.get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        for mark in _marks(hints[field.name], Sets):
            value = getattr(options, field.name)
            value = mark.value(value) if mark.value is not None else value
            other = _replaced(other, mark.key.split("."), value)
    return other


def chosen_words(flag: str, text: str, known: Sequence[str]) -> list[str]:
    """Words with commas between, each once, such as the formats of `--format json,csv`.

    Raises:
      InputError: a word that is none of the known ones.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise InputError(
                f"{flag} {word!r} is none of {', '.join(known)}.{nearest(word, known)}"
            )
    return list(dict.fromkeys(words))


def same_fields(options: Any, other: type[OtherT]) -> OtherT:
    """`other` made of the fields of `options` that have the same names."""
    names = [field.name for field in dataclasses.fields(other)]  # type: ignore[arg-type]
    return other(**{name: getattr(options, name) for name in names if hasattr(options, name)})


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _flag(option: typer.models.OptionInfo, field: str) -> str:
    """The flag of an option. In `Annotated`, Typer keeps a name that is given as `default`."""
    named = option.default if isinstance(option.default, str) else None
    return named or f"--{field.replace('_', '-')}"


def _marks(hint: Any, kind: type[OtherT]) -> list[OtherT]:
    return [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, kind)]


def _replaced(node: Any, keys: list[str], value: Any) -> Any:
    key, *rest = keys
    if rest:
        value = _replaced(getattr(node, key), rest, value)
    changes: Mapping[str, Any] = {key: value}
    return dataclasses.replace(node, **changes)


# Fields that several commands have.
Recipe = Annotated[
    str, typer.Argument(help="A recipe: the path of a .py file or the name of a shipped one.")
]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; repeatable."),
]
PipelineOverrides = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change any field of `Options` in `jaxpose.pipeline` in Python, such as "
        "`nms=none`, `smooth.beta=0.1` (with --smooth) or `lifting.fps=50`; repeatable.",
    ),
]
Mesh = Annotated[
    str | None,
    typer.Option(
        metavar="AXIS=N,...", help="Number of devices along the axes data, fsdp and tensor."
    ),
]
Checkpoint = Annotated[
    Literal["best", "last"],
    typer.Option(help="Checkpoint of a run: the one with the best held-out score, or the newest."),
]
TrustRecipe = Annotated[
    bool,
    typer.Option(
        "--trust-recipe",
        help="Run the Python code that a model from elsewhere brings with it, or needs from an "
        "installed package. Only for models whose author you trust; those that you trained on this "
        "machine need no flag.",
    ),
]


MODEL_SOURCES = (
    "A published name, hf:ORG/REPO, a run directory, a folder that `convert` wrote, a checkpoint"
)
"""Places of a model that commands take, in words for their help."""


def flip_flags(help: str) -> typer.models.OptionInfo:
    """The pair of flags that turns averaging with the mirrored input on and off."""
    return typer.Option("--flip-test/--no-flip-test", help=help)
