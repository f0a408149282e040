"""Experiments as values: overrides by dotted key, JSON and back, differences."""

import ast
import dataclasses
import importlib
import inspect
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import flax.linen as nn

from jaxpose.errors import InputError, nearest

ExperimentT = TypeVar("ExperimentT")
_PACKAGE = __name__.split(".")[0]


def override(experiment: ExperimentT, assignments: Sequence[str]) -> ExperimentT:
    """`experiment` with `dotted.key=value` assignments applied in order.

    Values are Python literals (`1e-4`, `(256, 192)`, `None`, `true`); anything else is a string.

    Raises:
      InputError: an unknown key (with the nearest valid one), or a value of the wrong type.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment!r} is not of the form key=value.")
        experiment = _replace(experiment, key.strip().split("."), _literal(text.strip()), "")
    return experiment


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _replace(node: Any, keys: list[str], value: Any, above: str) -> Any:
    key, *rest = keys
    where = f"{above}{key}"
    if not dataclasses.is_dataclass(node):
        raise InputError(f"{above.rstrip('.')} is a value, it has no key {key!r}.")
    names = [f.name for f in config_fields(node)]
    if key not in names:
        raise InputError(
            f"Unknown key {where!r} in {type(node).__name__}.{nearest(key, names)} "
            f"Valid: {', '.join(names)}."
        )
    if rest:
        value = _replace(getattr(node, key), rest, value, f"{where}.")
    else:
        value = _checked(value, _annotations(type(node))[key], where)
    return _rebuilt(node, {key: value})


def _rebuilt(node: Any, changes: Mapping[str, Any]) -> Any:
    # Not dataclasses.replace: a Linen module's `parent` field must not be passed on.
    values = {f.name: getattr(node, f.name) for f in config_fields(node)}
    return type(node)(**{**values, **changes})


def config_fields(node: Any) -> list[dataclasses.Field]:
    """The fields of a dataclass (or its instance) that are configuration."""
    fields = [f for f in dataclasses.fields(node) if f.init]
    cls = node if isinstance(node, type) else type(node)
    if issubclass(cls, nn.Module):
        # Linen adds these two to every module; they say where it stands, not what it is.
        fields = [f for f in fields if f.name not in ("parent", "name")]
    return fields


def _annotations(cls: type) -> dict[str, Any]:
    hints: dict[str, Any] = {}
    for f in config_fields(cls):
        owner = next(c for c in cls.__mro__ if f.name in inspect.get_annotations(c))
        hint = inspect.get_annotations(owner)[f.name]
        if isinstance(hint, str):
            hint = eval(hint, vars(importlib.import_module(owner.__module__)))
        hints[f.name] = hint
    return hints


def _checked(value: Any, hint: Any, where: str) -> Any:
    """`value` as the annotation `hint` wants it (an int may serve as float, a list as tuple)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        for choice in arguments:
            try:
                return _checked(value, choice, where)
            except InputError:
                continue
    elif origin is Literal:
        if value in arguments:
            return value
    elif origin is tuple:
        if isinstance(value, (tuple, list)):
            if len(arguments) == 2 and arguments[1] is Ellipsis:
                return tuple(
                    _checked(v, arguments[0], f"{where}[{i}]") for i, v in enumerate(value)
                )
            if len(arguments) == len(value):
                return tuple(
                    _checked(v, a, f"{where}[{i}]")
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
    raise InputError(f"{where} must be {_readable(hint)}, and {value!r} is not.")


def _readable(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(map(_readable, typing.get_args(hint)))
    if hint is type(None):
        return "None"
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)


def to_json(value: Any) -> Any:
    """`value` as JSON types; a dataclass becomes `{"class": "module.Name", field: …}`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        cls = type(value)
        fields = {f.name: to_json(getattr(value, f.name)) for f in config_fields(value)}
        return {"class": f"{cls.__module__}.{cls.__qualname__}"} | fields
    if isinstance(value, (tuple, list)):
        return [to_json(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise InputError(
        f"{value!r} of type {type(value).__name__} cannot stand in a configuration: "
        "use numbers, strings, tuples and dataclasses."
    )


def from_json(value: Any, where: str = "experiment") -> Any:
    """The inverse of `to_json`. Builds classes of this package only, whatever the file says.

    Raises:
      InputError: an unknown class or key, a missing key, or a value of the wrong type.
    """
    if isinstance(value, list):
        return tuple(from_json(v, f"{where}[{i}]") for i, v in enumerate(value))
    if not isinstance(value, dict):
        return value
    cls = _config_class(value.get("class"), where)
    names = [f.name for f in config_fields(cls)]
    given = {k: v for k, v in value.items() if k != "class"}
    for key in given:
        if key not in names:
            raise InputError(f"Unknown key {where}.{key} for {cls.__name__}.{nearest(key, names)}")
    hints = _annotations(cls)
    values = {
        k: _checked(from_json(v, f"{where}.{k}"), hints[k], f"{where}.{k}")
        for k, v in given.items()
    }
    try:
        return cls(**values)
    except TypeError as error:
        raise InputError(f"{where}: {error}") from error


def _config_class(path: Any, where: str) -> type:
    module, _, name = path.rpartition(".") if isinstance(path, str) else ("", "", "")
    if module.split(".")[0] == _PACKAGE:
        try:
            cls = getattr(importlib.import_module(module), name, None)
        except ImportError:
            cls = None
        if isinstance(cls, type) and dataclasses.is_dataclass(cls):
            return cls
    raise InputError(
        f"{where}: {path!r} names no configurable class of this version of {_PACKAGE}."
    )


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """`key: a's value -> b's value` for each leaf in which two JSON forms differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from differences(a.get(key), b.get(key), f"{where}.{key}" if where else key)
    elif a != b:
        yield f"{where}: {json.dumps(a)} -> {json.dumps(b)}"
