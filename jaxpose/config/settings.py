"""What every experiment has, whatever it trains: optimiser, mesh, length, seed, checkpoints."""

from dataclasses import dataclass, field
from typing import Literal

from jaxpose.errors import InputError
from jaxpose.losses import Loss
from jaxpose.skeletons import Skeleton


@dataclass(frozen=True)
class Optimizer:
    """AdamW with warm-up, a schedule, layer-wise decay and gradient clipping.

    `learning_rate` is the peak. Weight decay skips norms, biases and position embeddings.
    `layer_decay` multiplies the rate of each backbone layer by `layer_decay ** (depth above it)`
    (BEiT, arXiv:2106.08254, as ViTPose uses it); 1.0 turns it off. `milestones` are fractions of
    the run at which the step schedule multiplies the rate by `step_factor`. Two schedules do not
    depend on the length of the run before their cooldown, the last `cooldown_steps`, in which the
    rate falls linearly to 0, so that runs of several lengths share their beginning: `constant`
    (arXiv:2405.18392) and `rsqrt`, which falls as `1 / sqrt(1 + steps after warm-up / timescale)`
    (arXiv:2106.04560, section 3.5). Parameters whose path
    one of the regular expressions in `frozen` matches whole, such as `backbone/.*`, stay as they
    are (running statistics of batch norm do not).
    """

    learning_rate: float = 5e-4
    schedule: Literal["cosine", "step", "constant", "rsqrt"] = "step"
    warmup_steps: int = 500
    milestones: tuple[float, ...] = (170 / 210, 200 / 210)
    step_factor: float = 0.1
    timescale: int = 10_000
    cooldown_steps: int = 0
    weight_decay: float = 0.1
    layer_decay: float = 1.0
    clip_norm: float | None = 1.0
    frozen: tuple[str, ...] = ()
    b1: float = 0.9
    b2: float = 0.999
    # Added to the root of the second moment. A larger one keeps rounding in gradients that are
    # almost zero from growing into steps of full length.
    eps: float = 1e-8

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise InputError(
                f"optimizer.learning_rate must be positive, and is {self.learning_rate}."
            )
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"optimizer.layer_decay must be in (0, 1], and is {self.layer_decay}.")
        if self.timescale < 1 or self.cooldown_steps < 0:
            raise InputError("optimizer.timescale is at least 1, optimizer.cooldown_steps 0.")
        if self.cooldown_steps and self.schedule not in ("constant", "rsqrt"):
            raise InputError(
                f"optimizer.cooldown_steps is for the schedules constant and rsqrt, not for "
                f"{self.schedule!r}, which comes down by itself."
            )
        if any(not 0 < m < 1 for m in self.milestones):
            raise InputError(
                f"optimizer.milestones are fractions of the run in (0, 1): {self.milestones}."
            )


@dataclass(frozen=True)
class Mesh:
    """Devices along each axis of the mesh; one axis may be -1 and takes what the others leave.

    Batches are split over `data` and `fsdp`, parameters over `fsdp` and `tensor` (see
    `train.sharding`). `rules` come before the defaults: pairs of a regular expression that matches
    the whole path of a parameter, and the mesh axis (or None) for each of its last axes, such as
    `("backbone/blocks/mlp/fc1/kernel", ("fsdp", "tensor"))`. Parameters of fewer values than
    `fsdp_from` are held whole by every device.
    """

    data: int = -1
    fsdp: int = 1
    tensor: int = 1
    rules: tuple[tuple[str, tuple[str | None, ...]], ...] = ()
    fsdp_from: int = 4096


@dataclass(frozen=True, kw_only=True)
class Training:
    """What the loop needs to know of an experiment; its subclasses say what is trained on what."""

    skeleton: Skeleton
    loss: Loss
    steps: int
    batch_size: int
    optimizer: Optimizer = field(default_factory=Optimizer)
    mesh: Mesh = field(default_factory=Mesh)
    seed: int = 0
    # Parts of the batch that are differentiated one after the other, for less memory.
    accumulate: int = 1
    # Whether a step whose loss or gradient is not finite ends the run, or changes nothing.
    on_nonfinite: Literal["stop", "skip"] = "stop"
    ema_decay: float | None = None
    # A safetensors or npz state dict whose weights the run starts from (resume comes first).
    init_from: str | None = None
    reset_head: bool = False
    checkpoint_every: int = 1000
    log_every: int = 50

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "checkpoint_every", "log_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, and is {getattr(self, name)}.")
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(f"ema_decay must be in (0, 1) or None, and is {self.ema_decay}.")
