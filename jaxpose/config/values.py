"""Fields and types of experiments, their JSON form, and differences between two of them."""

import dataclasses
import importlib
import inspect
import json
import types
import typing
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Literal

import flax.linen as nn

from jaxpose.config.recipe_source import class_path
from jaxpose.config.schema import SCHEMA, migrate
from jaxpose.config.trust import Classes
from jaxpose.errors import InputError, nearest

_PACKAGE = __name__.split(".")[0]


def config_fields(node: Any) -> list[dataclasses.Field[Any]]:
    """Fields of a dataclass (or its instance) that are configuration."""
    fields = [f for f in dataclasses.fields(node) if f.init]
    cls = node if isinstance(node, type) else type(node)
    if issubclass(cls, nn.Module):
        # Linen adds these two to every module; they are its place in a model, not its settings.
        fields = [f for f in fields if f.name not in ("parent", "name")]
    return fields


def classes_in(value: Any) -> Iterator[type]:
    """Yield the classes of an experiment and of all objects in it."""
    if isinstance(value, (tuple, list)):
        for one in value:
            yield from classes_in(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for field in config_fields(value):
            yield from classes_in(getattr(value, field.name))


def annotations(cls: type) -> dict[str, Any]:
    """Evaluated type of each configuration field."""
    hints: dict[str, Any] = {}
    for f in config_fields(cls):
        owner = next(c for c in cls.__mro__ if f.name in inspect.get_annotations(c))
        hint = inspect.get_annotations(owner)[f.name]
        if isinstance(hint, str):
            try:
                hint = eval(hint, vars(importlib.import_module(owner.__module__)))
            except NameError:
                # The name is imported for type checkers only, in a module of another package.
                hint = Any
        hints[f.name] = hint
    return hints


def checked(value: Any, hint: Any, where: str) -> Any:
    """Check `value` against the annotation `hint`; convert an int to float, a list to tuple.

    Raises:
      InputError: it has a different type; the message contains `where`.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or (_is_outside(value) and not _is_plain(hint)):
        return value
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            try:
                return checked(value, choice, where)
            except InputError:
                continue
    elif origin is Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, (tuple, list)):
            if len(arguments) == 2 and arguments[1] is Ellipsis:
                return tuple(checked(v, arguments[0], f"{where}[{i}]") for i, v in enumerate(value))
            if len(arguments) == len(value):
                return tuple(
                    checked(v, a, f"{where}[{i}]")
                    for i, (v, a) in enumerate(zip(value, arguments, strict=True))
                )
    elif hint is None or hint is type(None):
        if value is None:
            return None
    elif hint is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    elif hint is int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif isinstance(hint, type) and isinstance(value, hint):
        return value
    raise InputError(f"{where} must be {readable(hint)}, but it is {value!r}.")


def _is_outside(value: Any) -> bool:
    """True if a value is an object of a class that is not part of this package.

    The type of a field can name only classes of this package. For classes of other packages, the
    task checks that the parts fit.
    """
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return False
    return type(value).__module__.split(".")[0] != _PACKAGE


def _is_plain(hint: Any) -> bool:
    """True if an annotation permits only numbers, strings and tuples."""
    choices = typing.get_args(hint) if _is_union(hint) else (hint,)
    plain = (int, float, bool, str, type(None), None)
    return all(c in plain or typing.get_origin(c) in (Literal, tuple) for c in choices)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def readable(hint: Any) -> str:
    """Text of a type for messages, such as `int or None`."""
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(map(readable, typing.get_args(hint)))
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def to_json(value: Any, where: str = "") -> Any:
    """Convert `value` to JSON types; a dataclass becomes `{"class": "module.Name", field: …}`.

    Args:
      where: dotted key of the value, for messages.

    Raises:
      InputError: a value of an unsupported type, or a class that cannot be imported by its path.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            f.name: to_json(getattr(value, f.name), f"{where}.{f.name}" if where else f.name)
            for f in config_fields(value)
        }
        return {"class": class_path(type(value))} | fields
    if isinstance(value, (tuple, list)):
        return [to_json(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InputError(f"{where or 'The value'}: {_unfit(value)}")


def _unfit(value: Any) -> str:
    """Sentence on a value that cannot be part of a configuration."""
    cls = type(value)
    if isinstance(value, type):
        return f"{value.__name__} is a class; write an object of it, {value.__name__}(...)."
    if callable(value) and hasattr(value, "__name__"):
        return (
            f"{value.__name__} is a function, which cannot be stored in a run. Write a class "
            "with @dataclass(frozen=True) above it and the function as its `__call__`."
        )
    if cls.__module__ == "builtins" or cls.__module__.split(".")[0] in ("numpy", "jax", "jaxlib"):
        return (
            f"{value!r:.80} of type {cls.__name__} cannot be part of a configuration: use numbers, "
            "strings, tuples and dataclasses."
        )
    return f"{cls.__name__} is not a dataclass; write @dataclass(frozen=True) above it."


def from_json(
    value: Any,
    where: str = "experiment",
    *,
    schema: int = SCHEMA,
    classes: Classes | None = None,
) -> Any:
    """Inverse of `to_json`, for any schema.

    Args:
      value: result of `to_json`.
      where: name of the value, for messages.
      schema: schema of the file that it was read from.
      classes: function that finds classes outside of this package, see `config.trust`. None
        refuses all of these classes.

    Raises:
      InputError: an unknown class or key, a missing key, or a value of the wrong type.
    """
    return _from_json(migrate(value, schema), where, classes)


def _from_json(value: Any, where: str, classes: Classes | None) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(v, f"{where}[{i}]", classes) for i, v in enumerate(value))
    if not isinstance(value, dict):
        return value
    cls = _config_class(value.get("class"), where, classes)
    names = [f.name for f in config_fields(cls)]
    given = {k: v for k, v in value.items() if k != "class"}
    for key in given:
        if key not in names:
            raise InputError(f"Unknown key {where}.{key} for {cls.__name__}.{nearest(key, names)}")
    hints = annotations(cls)
    values = {
        k: checked(_from_json(v, f"{where}.{k}", classes), hints[k], f"{where}.{k}")
        for k, v in given.items()
    }
    try:
        return cls(**values)
    except TypeError as error:
        raise InputError(f"{where}: {error}") from error


def _config_class(path: Any, where: str, classes: Classes | None) -> type:
    module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    cls = None
    if module.split(".")[0] == _PACKAGE:
        with suppress(ImportError):
            cls = getattr(importlib.import_module(module), name, None)
    elif module and classes is not None:
        cls = classes(path)
    if isinstance(cls, type) and dataclasses.is_dataclass(cls):
        return cls
    raise InputError(
        f"{where}: {path!r} is not a configurable class of this version of {_PACKAGE}."
    )


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """Yield `key: a's value -> b's value` for each leaf in which two JSON forms differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from differences(a.get(key), b.get(key), f"{where}.{key}" if where else key)
    elif a != b:
        yield f"{where}: {json.dumps(a)} -> {json.dumps(b)}"
