"""An experiment as one frozen value: model, codec, loss, data, optimiser, schedule.

A recipe is a Python file with `get_config() -> Experiment`. What it holds are the objects that
run (`PoseModel(...)`, `Heatmap(...)`, `Records(...)`), so there is no lookup between a
configuration and what it configures, and a misspelt argument is Python's own error. This module
adds what objects alone do not have: dotted overrides with checked types, a JSON form from which
the experiment is rebuilt without its recipe, and a list of differences between two experiments.
"""

import ast
import dataclasses
import importlib
import inspect
import json
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import flax.linen as nn

from jaxpose.augment import Augmentation
from jaxpose.codecs import AnyCodec
from jaxpose.data.source import Records, SyntheticPeople
from jaxpose.errors import InputError, nearest
from jaxpose.losses import Loss
from jaxpose.models.build import PoseModel
from jaxpose.models.distill import Distilled
from jaxpose.scripts import find_script, load_script
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class Optimizer:
    """AdamW with warm-up, a step or cosine schedule, layer-wise decay and gradient clipping.

    `learning_rate` is the peak. Weight decay skips norms, biases and position embeddings.
    `layer_decay` multiplies the rate of each backbone layer by `layer_decay ** (depth above it)`
    (BEiT, arXiv:2106.08254, as ViTPose uses it); 1.0 turns it off. `milestones` are fractions of
    the run at which the step schedule multiplies the rate by `step_factor`. Parameters whose path
    one of the regular expressions in `frozen` matches whole, such as `backbone/.*`, stay as they
    are (running statistics of batch norm do not).
    """

    learning_rate: float = 5e-4
    schedule: Literal["cosine", "step"] = "step"
    warmup_steps: int = 500
    milestones: tuple[float, ...] = (170 / 210, 200 / 210)
    step_factor: float = 0.1
    weight_decay: float = 0.1
    layer_decay: float = 1.0
    clip_norm: float | None = 1.0
    frozen: tuple[str, ...] = ()
    b1: float = 0.9
    b2: float = 0.999

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise InputError(
                f"optimizer.learning_rate must be positive, and is {self.learning_rate}."
            )
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"optimizer.layer_decay must be in (0, 1], and is {self.layer_decay}.")
        if any(not 0 < m < 1 for m in self.milestones):
            raise InputError(
                f"optimizer.milestones are fractions of the run in (0, 1): {self.milestones}."
            )


@dataclass(frozen=True)
class Evaluation:
    """When and how held-out people are scored.

    `metric` is `oks` (COCO AP and AR; the skeleton must have sigmas), `pck` (PCK@0.2 of the torso,
    person-centric), `pckh` (PCK@0.5 of the head's size), `auc` (of PCK up to 30 px), `epe` (mean
    error in px), `nme` (mean error over the distance of the outer eye corners or, without them,
    the size of the box), `wholebody` (AP and AR of each part) or `crowdpose` (AP by crowd index).
    The first figure of the metric picks the best checkpoint: the highest, of `epe` and `nme` the
    lowest.
    """

    metric: Literal["oks", "pck", "pckh", "auc", "epe", "nme", "wholebody", "crowdpose"] = "oks"
    every: int = 1000
    flip_test: bool = True
    batch_size: int = 32
    pictures: int = 8


@dataclass(frozen=True)
class Mesh:
    """Devices along each axis of the mesh; one axis may be -1 and takes what the others leave.

    Batches are split over `data` and `fsdp`; parameters are held whole by every device.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1


@dataclass(frozen=True)
class Experiment:
    """Everything that determines a training run, and nothing that does not."""

    skeleton: Skeleton
    model: PoseModel | Distilled
    codec: AnyCodec
    loss: Loss
    train_data: Records | SyntheticPeople
    eval_data: Records | SyntheticPeople
    steps: int
    batch_size: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    optimizer: Optimizer = field(default_factory=Optimizer)
    evaluation: Evaluation = field(default_factory=Evaluation)
    mesh: Mesh = field(default_factory=Mesh)
    seed: int = 0
    # Box size times this is what the model sees. 1.25 is the published choice; keypoints labelled
    # further out are lost to it, and a canvas holds up to 1.875.
    padding: float = 1.25
    ema_decay: float | None = None
    # The whole training set as uint8 canvases in device memory instead of a stream from the host.
    resident: bool = False
    # A safetensors or npz state dict whose weights the run starts from (resume comes first).
    init_from: str | None = None
    reset_head: bool = False
    # The weights of a `Distilled` model's teacher: a release folder or a state dict.
    teacher_from: str | None = None
    checkpoint_every: int = 1000
    log_every: int = 50

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, and is {getattr(self, name)}.")
        if self.evaluation.every < 1 or self.evaluation.batch_size < 1:
            raise InputError("evaluation.every and evaluation.batch_size must be at least 1.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"ema_decay must be in (0, 1) or None, and is {self.ema_decay}.")
        if not 1 <= self.padding <= 1.875:
            raise InputError(f"padding must be in [1, 1.875], and is {self.padding}.")
        if isinstance(self.model, Distilled) != (self.teacher_from is not None):
            raise InputError(
                "teacher_from names the weights of a Distilled model's teacher: set both or none."
            )
        outputs = self.model.head.num_keypoints
        if outputs != self.skeleton.num_keypoints:
            raise InputError(
                f"model.head.num_keypoints is {outputs}, but skeleton {self.skeleton.name!r} has "
                f"{self.skeleton.num_keypoints} keypoints. Set them to the same number."
            )
        metric = self.evaluation.metric
        if metric in ("oks", "crowdpose") and self.skeleton.sigmas is None:
            raise InputError(
                f"Skeleton {self.skeleton.name!r} has no OKS sigmas, so evaluation.metric="
                f"{metric!r} has no meaning. Give it sigmas (a list, or one uniform value), or use "
                "evaluation.metric='pck'."
            )
        if metric == "wholebody" and self.skeleton.num_keypoints != 133:
            raise InputError(
                "evaluation.metric='wholebody' is for COCO-WholeBody's 133 keypoints, and skeleton "
                f"{self.skeleton.name!r} has {self.skeleton.num_keypoints}. Use 'oks'."
            )


def load_recipe(path: str) -> Experiment:
    """The experiment of a recipe: a path to a .py file, or the bare name of a shipped recipe.

    Raises:
      InputError: no such file or recipe, or the file has no `get_config`.
    """
    file = find_script(path, "configs")
    module = load_script(file)
    if not hasattr(module, "get_config"):
        raise InputError(
            f"{file} has no get_config(); a recipe defines one that returns an Experiment."
        )
    experiment = module.get_config()
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"get_config() in {file} returned {type(experiment).__name__}, not an Experiment."
        )
    return experiment


def override(experiment: Experiment, assignments: Sequence[str]) -> Experiment:
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
    if module.split(".")[0] == __package__:
        try:
            cls = getattr(importlib.import_module(module), name, None)
        except ImportError:
            cls = None
        if isinstance(cls, type) and dataclasses.is_dataclass(cls):
            return cls
    raise InputError(
        f"{where}: {path!r} names no configurable class of this version of {__package__}."
    )


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """`key: a's value -> b's value` for each leaf in which two JSON forms differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(a.keys() | b.keys()):
            yield from differences(a.get(key), b.get(key), f"{where}.{key}" if where else key)
    elif a != b:
        yield f"{where}: {json.dumps(a)} -> {json.dumps(b)}"
