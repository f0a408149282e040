"""Changes of an experiment by dotted keys, for `--set`."""

import ast
import dataclasses
import importlib
import typing
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from jaxpose import skeletons
from jaxpose.config.values import annotations, checked, config_fields
from jaxpose.errors import InputError, nearest, nearest_argument
from jaxpose.skeletons import Skeleton

ExperimentT = TypeVar("ExperimentT")
DTYPES = ("float32", "bfloat16", "float16")
"""Compute dtypes of models."""


def override(experiment: ExperimentT, assignments: Sequence[str]) -> ExperimentT:
    """Apply `dotted.key=value` assignments to `experiment`, in order, and return the result.

    Values are Python literals (`1e-4`, `(256, 192)`, `None`, `true`), or objects of jaxpose's
    classes by their path in the package, such as `losses.OHKM(hardest=8)`; any other text is a
    string. A number in a key selects one object of a tuple: `evaluation.metrics.0.threshold` is a
    key of the first metric.
    All assignments are made before the experiment is built again, so values that depend on each
    other can be set in any order. Two keys are abbreviations for several:

    - `skeleton=NAME|FILE` also sizes the model, the codec and the loss (see `set_skeleton`).
    - `dtype=bfloat16` sets every `dtype` in the model.

    Raises:
      InputError: an unknown key (the message has the nearest valid one), or a value of the wrong
        type.
    """
    if not assignments:
        return experiment
    draft = Draft(experiment)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment!r} is not of the form key=value.")
        keys, value = key.strip().split("."), _literal(text.strip())
        if keys == ["dtype"] and "dtype" not in draft.values:
            _set_dtype(draft, value)
        else:
            _assign(draft, keys, value, "")
    changed: ExperimentT = draft.build()
    return changed


def _literal(text: str) -> Any:
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return _evaluated(ast.parse(text, mode="eval").body)
    except InputError:  # a subclass of ValueError
        raise
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text  # no literal, or one that is nested too deeply for Python's parser


def _evaluated(node: ast.expr) -> Any:
    """Evaluate a literal, or an object of jaxpose such as `metrics.PCK(0.2)`.

    Raises:
      ValueError: a different expression.
      InputError: a class that a package of jaxpose does not have, or arguments that do not fit.
    """
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_evaluated(item) for item in node.elts)
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    path = ast.unparse(node.func).removeprefix("jaxpose.").split(".")
    cls, name = _class_at(path), ".".join(path)
    if any(keyword.arg is None for keyword in node.keywords):
        raise ValueError("** is not a literal")
    values = [_evaluated(item) for item in node.args]
    named = {str(keyword.arg): _evaluated(keyword.value) for keyword in node.keywords}
    try:
        return cls(*values, **named)
    except TypeError as error:
        names = [field.name for field in config_fields(cls)]
        hint = nearest_argument(error, names)
        valid = f"{hint} Valid: {', '.join(names)}." if hint else ""
        raise InputError(f"{name}: {error}.{valid}") from error


def _class_at(path: list[str]) -> type:
    """Find the configurable class of jaxpose at a dotted path.

    Raises:
      ValueError: the path does not lead to classes of jaxpose.
      InputError: the module has no configurable class of this name.
    """
    try:
        module = importlib.import_module(".".join(["jaxpose", *path[:-1]]))
    except ImportError:
        raise ValueError(f"jaxpose has no module {path[:-1]}") from None
    cls = getattr(module, path[-1], None) if len(path) > 1 else None
    if not isinstance(cls, type) or not dataclasses.is_dataclass(cls):
        there = [n for n, v in vars(module).items() if isinstance(v, type)] if path[1:] else []
        if not there:
            raise ValueError("no class of jaxpose")
        raise InputError(
            f"{module.__name__} has no configurable class {path[-1]!r}.{nearest(path[-1], there)}"
        )
    return cls


_ABSENT = object()


class Draft:
    """Values of a dataclass, which can be changed one by one before it is built again."""

    def __init__(self, node: Any) -> None:
        self.cls = type(node)
        self.values = {f.name: _drafted(getattr(node, f.name)) for f in config_fields(node)}
        self._node = node

    def build(self) -> Any:
        """Build the dataclass with its changes; without changes, return the same object."""
        values = {name: _built(value) for name, value in self.values.items()}
        if all(values[name] is getattr(self._node, name, _ABSENT) for name in values):
            return self._node
        # Not dataclasses.replace: a Linen module's `parent` field must not be passed on.
        return self.cls(**values)

    def keeps(self, name: str) -> bool:
        """True if there is a value of this name, and it was not changed."""
        return name in self.values and self.values[name] is getattr(self._node, name)

    def walk(self, where: str = "") -> Iterator[tuple[str, "Draft"]]:
        """Yield this draft and all drafts inside of it, each with its dotted key."""
        yield where, self
        for name, value in self.values.items():
            yield from _walked(value, f"{where}.{name}" if where else name)


def _drafted(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return Draft(value)
    if isinstance(value, tuple) and any(dataclasses.is_dataclass(v) for v in value):
        return _DraftTuple(value)
    return value


class _DraftTuple:
    """Draft of a tuple that contains dataclasses."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.items = [_drafted(v) for v in values]
        self._values = values

    def assign(self, keys: list[str], value: Any, above: str) -> None:
        """Change a key of one of the dataclasses: `NUMBER.key`."""
        number, *rest = keys
        valid = [str(i) for i, item in enumerate(self.items) if isinstance(item, Draft)]
        if number not in valid or not rest:
            raise InputError(f"{above}NUMBER.KEY changes a part; NUMBER is one of {valid}.")
        _assign(self.items[int(number)], rest, value, f"{above}{number}.")

    def build(self) -> tuple[Any, ...]:
        items = tuple(_built(item) for item in self.items)
        same = all(a is b for a, b in zip(items, self._values, strict=True))
        return self._values if same else items


def _built(value: Any) -> Any:
    return value.build() if isinstance(value, (Draft, _DraftTuple)) else value


def _walked(value: Any, where: str) -> Iterator[tuple[str, Draft]]:
    if isinstance(value, Draft):
        yield from value.walk(where)
    elif isinstance(value, _DraftTuple):
        for i, item in enumerate(value.items):
            yield from _walked(item, f"{where}[{i}]")


def _assign(draft: Draft, keys: list[str], value: Any, above: str) -> None:
    key, *rest = keys
    where, names = f"{above}{key}", list(draft.values)
    if key in _only_given(draft.cls) and not rest:
        draft.values[key] = value
        return
    if key not in names:
        raise InputError(
            f"Unknown key {where!r} in {draft.cls.__name__}.{nearest(key, names)} "
            f"Valid: {', '.join(names)}."
        )
    old = draft.values[key]
    if rest and isinstance(old, Draft):
        _assign(old, rest, value, f"{where}.")
    elif rest and isinstance(old, _DraftTuple):
        old.assign(rest, value, f"{where}.")
    elif rest:
        raise InputError(f"{where} is a value, it has no key {rest[0]!r}.")
    elif isinstance(value, str) and isinstance(old, Draft) and old.cls is Skeleton:
        set_skeleton(draft, key, skeletons.load(value))
    else:
        hint = annotations(draft.cls)[key]
        if key == "dtype":
            _check_dtype(value, where)
        if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(value):
            value = (value,)
        try:
            fits = checked(value, hint, where)
        except InputError as error:
            example = _example(old) if isinstance(value, str) else ""
            raise InputError(f"{error}{example}") if example else error from None
        draft.values[key] = _drafted(fits)
        if key == "metrics" and draft.keeps("best"):
            draft.values["best"] = ""  # its value was derived from the previous metrics


def _example(old: Any) -> str:
    """Sentence that shows how to write an object of jaxpose in place of `old`, or ""."""
    if isinstance(old, _DraftTuple):
        old = next((item for item in old.items if isinstance(item, Draft)), None)
    if not isinstance(old, Draft):
        return ""
    package, *rooms = old.cls.__module__.split(".")
    if package != "jaxpose" or not rooms:
        return ""
    public = getattr(importlib.import_module(f"jaxpose.{rooms[0]}"), old.cls.__name__, None)
    path = [rooms[0]] if public is old.cls else rooms
    missing = dataclasses.MISSING
    bare = all(
        f.default is not missing or f.default_factory is not missing for f in config_fields(old.cls)
    )
    call = f"{'.'.join([*path, old.cls.__name__])}{'()' if bare else '(...)'}"
    return f" Write an object with brackets, such as {call}."


def _check_dtype(value: Any, where: str) -> None:
    if value not in DTYPES:
        raise InputError(
            f"{where} is {value!r}, which is not a compute dtype. Valid: {', '.join(DTYPES)}."
        )


def _only_given(cls: type) -> set[str]:
    """Names of arguments that a class does not store (`InitVar`), such as those of 0.1.0."""
    fields = getattr(cls, "__dataclass_fields__", {}).values()
    return {f.name for f in fields if isinstance(f.type, dataclasses.InitVar)}


def _set_dtype(draft: Draft, value: Any) -> None:
    """Set every `dtype` of the model."""
    _check_dtype(value, "dtype")
    model = draft.values.get("model")
    found = [(k, d) for k, d in model.walk("model") if "dtype" in d.values] if model else []
    if not found:
        raise InputError(
            "dtype sets the fields `dtype` of the model, but this model has none. Leave it out."
        )
    for where, part in found:
        part.values["dtype"] = checked(value, annotations(part.cls)["dtype"], f"{where}.dtype")


def set_skeleton(draft: Draft, key: str, new: Skeleton) -> None:
    """Replace a skeleton, and change all values that depend on its number of keypoints.

    Every `num_keypoints` that is the old skeleton's number, or one less (a codec may drop the
    root), changes by the difference. OKS sigmas and lists of bones that are the old skeleton's
    become those of the new one.

    Raises:
      InputError: the old sigmas are used, but the new skeleton has none.
    """
    old = draft.values[key].build()
    draft.values[key] = Draft(new)
    for where, part in draft.walk():
        values = part.values
        if part.cls is Skeleton:
            continue
        if values.get("num_keypoints") in (old.num_keypoints, old.num_keypoints - 1):
            values["num_keypoints"] += new.num_keypoints - old.num_keypoints
        if values.get("bones") == tuple(old.limb_indices):
            values["bones"] = tuple(new.limb_indices)
        if old.sigmas is not None and values.get("sigmas") == old.sigmas:
            if new.sigmas is None:
                raise InputError(
                    f"{where} uses the OKS sigmas of the keypoints, but skeleton {new.name!r} has "
                    "none. Give it sigmas, or use another loss."
                )
            values["sigmas"] = new.sigmas
