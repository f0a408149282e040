"""Experiment settings that all tasks share: optimizer, mesh, length, seed."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError
from jaxpose.losses import Loss
from jaxpose.models.lora import LoRA
from jaxpose.train import optimizers
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.loggers import Logger, TensorBoard

if TYPE_CHECKING:
    from jaxpose.tasks.task import Task


@dataclass(frozen=True)
class Mesh:
    """Number of devices along each axis of the mesh; an axis of -1 takes all remaining devices.

    Only one axis may be -1 (see `train.sharding`).

    Attributes:
      data: devices that get different parts of a batch, and all parameters.
      fsdp: devices that get different parts of a batch, and share the parameters.
      tensor: devices that share the parameters, and get the same samples.
      rules: splits of parameters that have priority over the defaults: pairs of a regular
        expression that matches the whole path of a parameter, and the mesh axis (or None) for each
        of its last axes, such as `("backbone/blocks/mlp/fc1/kernel", ("fsdp", "tensor"))`.
      fsdp_from: parameters with fewer values than this are replicated on every device.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    rules: tuple[tuple[str, tuple[str | None, ...]], ...] = ()
    fsdp_from: int = 4096


@dataclass(frozen=True, kw_only=True)
class Experiment(ABC):
    """All settings that determine a training run.

    A subclass belongs to a task: it adds data, codec and other fields, and `task()` returns the
    task. The training loop reads only the fields of this class and calls only that task, so a task
    of another package trains in the same way.

    Attributes:
      model: a Linen module, or an object with the same `init`, `apply` and `clone`.
      loss: `loss(outputs, targets, weights)` -> a float32 scalar, the mean over samples.
      evaluation: settings for the evaluation on held-out samples, an `EvaluationBase`; its figure
        `best` picks the best checkpoint.
      more_evaluations: further evaluations, each with its name and schedule, and on its dataset
        `data` if it has one. They do not change the training.
      optimizer: `AdamW`, another class of `train.optimizers`, or any frozen dataclass whose
        `build(steps, model)` returns an update rule of optax.
      steps: number of steps of the run.
      batch_size: number of samples in a step, those of all devices together.
      accumulate: number of parts of the batch that are differentiated one after another, to save
        memory.
      on_nonfinite: "stop" ends the run at a step whose loss or gradient is not finite; "skip"
        leaves the state unchanged and continues.
      mesh: arrangement of the devices; see `Mesh`.
      seed: seed of the initial values, the order of the samples and the augmentation.
      ema_decay: decay of the moving average of the parameters, which is evaluated; None for no
        average.
      init_from: weights that a new run starts from: a published name, a state dict, a release or a
        run. An interrupted run resumes from its last checkpoint instead.
      reset_head: use only the backbone of `init_from`.
      lora: low-rank fine-tuning of the weights in `init_from`, which stay frozen, if its `rank` is
        not 0; see `models.lora`.
      checkpoint_every: number of steps between checkpoints; there is one after each evaluation too.
      log_every: number of steps between lines of the log.
      loggers: logs of the figures besides `metrics.jsonl`; see `train.loggers`.
    """

    model: Any
    loss: Loss
    evaluation: EvaluationBase
    more_evaluations: tuple[EvaluationBase, ...] = ()
    steps: int
    batch_size: int
    optimizer: optimizers.Optimizer = field(default_factory=optimizers.AdamW)
    mesh: Mesh = field(default_factory=Mesh)
    seed: int = 0
    accumulate: int = 1
    on_nonfinite: Literal["stop", "skip"] = "stop"
    ema_decay: float | None = None
    init_from: str | None = None
    reset_head: bool = False
    lora: LoRA = field(default_factory=LoRA)
    checkpoint_every: int = 1000
    log_every: int = 50
    loggers: tuple[Logger, ...] = (TensorBoard(),)

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, and is {getattr(self, name)}.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"ema_decay must be in (0, 1) or None, and is {self.ema_decay}.")
        names = [evaluation.name for evaluation in self.more_evaluations]
        if self.evaluation.name:
            raise InputError(
                f"evaluation.name is {self.evaluation.name!r}, but the main evaluation must have "
                "no name. Names are for more_evaluations."
            )
        if not all(name.replace("-", "").replace("_", "").isalnum() for name in names):
            raise InputError(
                "Each of more_evaluations needs a name of letters, digits, - and _, such as "
                f"name='crowd'; the names are {names}."
            )
        if len(set(names)) < len(names):
            raise InputError(f"Two of more_evaluations have the same name: {', '.join(names)}.")

    def evaluations(self) -> "dict[str, Experiment]":
        """Copies of this experiment with one evaluation each, by name; the main one, "", is first.

        Each copy has that evaluation only, and its dataset as `eval_data`. Its `task()` opens the
        dataset and evaluates on it.
        """

        def view(evaluation: EvaluationBase) -> "Experiment":
            changes: dict[str, Any] = {"evaluation": evaluation, "more_evaluations": ()}
            data = getattr(evaluation, "data", None)
            if data is not None:
                changes["eval_data"] = data
            if evaluation.name:
                changes["evaluation"] = dataclasses.replace(evaluation, name="")
            return dataclasses.replace(self, **changes)

        return {e.name: view(e) for e in (self.evaluation, *self.more_evaluations)}

    @abstractmethod
    def task(self) -> "Task":
        """Return the task of this experiment."""

    @property
    def input_hw(self) -> tuple[int, int] | None:
        """Height and width of the model's input in px; None if the model has `input_shape()`."""
        return None


__getattr__ = moved_names(__name__)
