"""Optimizers: frozen dataclasses that build an optax update rule for a run and a model.

Memory of the optimizer state in MiB for ViTPose-B and H (90 and 637 million parameters):

| optimizer                      |   B |    H |
|--------------------------------|-----|------|
| AdamW                          | 687 | 4862 |
| AdamW, bfloat16 first moment   | 515 | 3646 |
| Muon                           | 347 | 2438 |
| SGD with momentum              | 343 | 2431 |
| Lion                           | 343 | 2431 |
| Lion, bfloat16                 | 172 | 1215 |
| Adafactor                      | 174 | 1228 |
| Adafactor without momentum     |   3 |   12 |
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from jaxpose.errors import InputError
from jaxpose.train.parameter_groups import (
    ParameterGroups,
    frozen_mask,
    parameter_groups,
    path_name,
)
from jaxpose.train.schedules import ENDLESS, NamedSchedule, Schedule, learning_rate_schedule
from jaxpose.train.width_transfer import Growth, growths, scale_rates, scale_start


@runtime_checkable
class Optimizer(Protocol):
    """Optimizer: any frozen dataclass with `build`.

    A custom class may return any optax chain and may ignore the arguments. Three more attributes
    are used if they exist: `frozen`, regular expressions of parameters whose gradients are not
    needed; `learning_rates(steps)`, the schedule to log; and `start(params, model)`, which changes
    random initial parameters. Subclasses of `ScheduledOptimizer` have all.
    """

    def build(self, steps: int, model: Any) -> optax.GradientTransformation:
        """Build the complete update rule for a run of `steps` steps of `model`."""
        ...


def frozen_patterns(optimizer: Optimizer) -> tuple[str, ...]:
    """Regular expressions of the parameters that the optimizer does not change."""
    return getattr(optimizer, "frozen", ())


@dataclass(frozen=True)
class ScheduledOptimizer(ABC):
    """Base of optimizers with schedule, weight decay, layer-wise rates, clipping, freezing.

    A subclass is a frozen dataclass that defines `scaling`. The update is (`scaling` of the clipped
    gradients, plus `weight_decay` times the parameters) times the layer's multiplier and the
    learning rate: weight decay is decoupled in all of them (arXiv:1711.05101).

    Attributes:
      learning_rate: peak of the learning rate.
      schedule: "cosine", "step", or one of two that do not depend on the length of the run before
        their cooldown, so that runs of several lengths share their beginning: "constant"
        (arXiv:2405.18392) and "rsqrt", which falls as `1 / sqrt(1 + steps after warm-up /
        timescale)` (arXiv:2106.04560, section 3.5). Or an object with `build(peak, steps)`.
      warmup_steps: first steps, in which the rate rises linearly to its peak.
      milestones: fractions of the run at which the step schedule multiplies the rate.
      step_factor: factor on the rate at each milestone.
      timescale: number of steps in the formula of "rsqrt".
      cooldown_steps: last steps of "constant" and "rsqrt", in which the rate falls linearly to 0.
      weight_decay: decoupled weight decay; norms, biases and position embeddings have none.
      layer_decay: the rate of each backbone layer is multiplied by `layer_decay ** (depth above
        it)` (BEiT, arXiv:2106.08254, as ViTPose uses it); 1.0 turns it off.
      base_width: width of the ViT at which the learning rate was tuned; at any other width, rates
        and initial values of its matrices are scaled so that the same learning rate is the best
        (muP, see `width_transfer`). For AdamW and Lion. None for equal rates.
      clip_norm: largest global norm of the gradients; None for no limit.
      frozen: regular expressions, such as `backbone/.*`. Parameters whose whole path matches one do
        not change (running statistics of batch norm still do).
    """

    learning_rate: float = 5e-4
    schedule: NamedSchedule | Schedule = "step"
    warmup_steps: int = 500
    milestones: tuple[float, ...] = (170 / 210, 200 / 210)
    step_factor: float = 0.1
    timescale: int = 10_000
    cooldown_steps: int = 0
    weight_decay: float = 0.1
    layer_decay: float = 1.0
    base_width: int | None = None
    clip_norm: float | None = 1.0
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise InputError(
                f"optimizer.learning_rate must be positive, and is {self.learning_rate}."
            )
        if not 0 < self.layer_decay <= 1:
            raise InputError(f"optimizer.layer_decay must be in (0, 1], and is {self.layer_decay}.")
        if self.base_width is not None and not isinstance(self, AdamW | Lion):
            raise InputError(
                "optimizer.base_width is for AdamW and Lion, whose updates have one size for all "
                f"gradients; {type(self).__name__} needs other factors."
            )
        if self.timescale < 1 or self.cooldown_steps < 0:
            raise InputError(
                "optimizer.timescale must be at least 1, optimizer.cooldown_steps at least 0."
            )
        if self.cooldown_steps and isinstance(self.schedule, str) and self.schedule not in ENDLESS:
            raise InputError(
                f"optimizer.cooldown_steps is for the schedules constant and rsqrt, not for "
                f"{self.schedule!r}, which needs no cooldown."
            )
        if any(not 0 < m < 1 for m in self.milestones):
            raise InputError(
                f"optimizer.milestones must be fractions of the run in (0, 1), and are "
                f"{self.milestones}."
            )

    def start(self, params: Any, model: Any) -> Any:
        """Random initial parameters, scaled for `base_width`; unchanged without it."""
        if self.base_width is None:
            return params
        return scale_start(params, growths(model, self.base_width))

    @abstractmethod
    def scaling(self, groups: ParameterGroups) -> optax.GradientTransformation:
        """Rule from gradients to updates in the same direction, for a learning rate of 1."""

    def learning_rates(self, steps: int) -> optax.Schedule:
        """Learning rate as a function of the step in a run of `steps` steps."""
        return learning_rate_schedule(
            self.schedule,
            steps,
            peak=self.learning_rate,
            warmup_steps=self.warmup_steps,
            milestones=self.milestones,
            step_factor=self.step_factor,
            timescale=self.timescale,
            cooldown_steps=self.cooldown_steps,
        )

    def build(self, steps: int, model: Any) -> optax.GradientTransformation:
        """Build the update rule: clip, scale, decoupled decay, layer multipliers, schedule.

        Frozen parameters get no update and no state, and do not count in the norm that is clipped.
        """
        groups = parameter_groups(model)
        parts = []
        if self.clip_norm is not None:
            parts.append(optax.clip_by_global_norm(self.clip_norm))
        parts.append(self.scaling(groups))
        if self.base_width is not None:
            # Before the weight decay: that is the same for all widths.
            parts.append(_scale_by_width(growths(model, self.base_width)))
        parts.append(optax.add_decayed_weights(self.weight_decay, groups.weight_decay_mask))
        if self.layer_decay != 1.0:
            parts.append(_scale_by_layer(groups, self.layer_decay))
        parts.append(optax.scale_by_learning_rate(self.learning_rates(steps)))
        rule = optax.chain(*parts)
        if not self.frozen:
            return rule
        return optax.partition(
            {False: rule, True: optax.set_to_zero()},
            functools.partial(frozen_mask, patterns=self.frozen),
        )


def _scale_by_width(found: dict[str, Growth]) -> optax.GradientTransformation:
    def update(updates: Any, state: optax.OptState, params: Any = None) -> tuple[Any, Any]:
        del params
        return scale_rates(updates, found), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _scale_by_layer(groups: ParameterGroups, decay: float) -> optax.GradientTransformation:
    def update(updates: Any, state: optax.OptState, params: Any = None) -> tuple[Any, Any]:
        del params
        scales = groups.layer_scales(updates, decay)
        return jax.tree.map(lambda u, s: u * jnp.asarray(s), updates, scales), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


@dataclass(frozen=True)
class AdamW(ScheduledOptimizer):
    """Adam with decoupled weight decay (arXiv:1412.6980, arXiv:1711.05101).

    The state holds two values for each parameter, the second moment in float32.

    Attributes:
      b1: decay rate of the first moment.
      b2: decay rate of the second moment.
      eps: added to the root of the second moment; a larger value prevents rounding errors of
        gradients near zero from becoming full-size steps.
      momentum_dtype: dtype of the first moment.
    """

    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    momentum_dtype: Literal["float32", "bfloat16"] = "float32"

    def scaling(self, groups: ParameterGroups) -> optax.GradientTransformation:
        return optax.scale_by_adam(self.b1, self.b2, self.eps, mu_dtype=self.momentum_dtype)


@dataclass(frozen=True)
class SGD(ScheduledOptimizer):
    """Stochastic gradient descent, with `momentum` (0 for none) and Nesterov's variant of it.

    Weight decay is decoupled here. PyTorch's `weight_decay` is added to the gradients instead,
    which gives the same result without momentum. The state holds one value for each parameter, none
    without momentum.
    """

    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    momentum: float = 0.9
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1 or (self.nesterov and not self.momentum):
            raise InputError(
                f"optimizer.momentum must be in [0, 1), and above 0 with nesterov; it is "
                f"{self.momentum}."
            )

    def scaling(self, groups: ParameterGroups) -> optax.GradientTransformation:
        return optax.trace(self.momentum, self.nesterov) if self.momentum else optax.identity()


@dataclass(frozen=True)
class Lion(ScheduledOptimizer):
    """Lion: updates by the sign of a momentum (Chen et al. 2023, arXiv:2302.06675).

    Every value changes by the learning rate. Section 5 of the paper uses a learning rate 3 to 10
    times smaller than AdamW's and a weight decay 3 to 10 times larger. `b1` mixes momentum and
    gradient in the update, `b2` in the momentum. The state holds one value for each parameter, in
    `momentum_dtype`.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 0.5
    b1: float = 0.9
    b2: float = 0.99
    momentum_dtype: Literal["float32", "bfloat16"] = "float32"

    def scaling(self, groups: ParameterGroups) -> optax.GradientTransformation:
        return optax.scale_by_lion(self.b1, self.b2, mu_dtype=self.momentum_dtype)


@dataclass(frozen=True)
class Adafactor(ScheduledOptimizer):
    """Adafactor with momentum and without relative steps, as big_vision uses it for ViTs.

    Zhai et al. 2021 (arXiv:2106.04560, section 3.4), after Shazeer & Stern 2018
    (arXiv:1804.04235): the second moment of an array is the outer product of its means over the
    two largest axes, where both have at least `min_factored` values, and its decay rate is
    `1 - step ** -decay_exponent`, at most `b2`. `momentum` (0 for none) is kept in
    `momentum_dtype`. If the root mean square of an array's updates exceeds `clip_rms`, they are
    scaled down to it; None for no limit. The learning rate is of the size of AdamW's. Weight decay
    is multiplied by the learning rate, as for all optimizers here: big_vision's `wd` is
    `weight_decay * learning_rate`.
    """

    learning_rate: float = 5e-4
    momentum: float = 0.9
    momentum_dtype: Literal["bfloat16", "float32"] = "bfloat16"
    b2: float = 0.999
    decay_exponent: float = 0.8
    min_factored: int = 32
    clip_rms: float | None = None
    eps: float = 1e-30

    def _decay_rate(self, step: Any, exponent: Any) -> jax.Array:
        return jnp.minimum(self.b2, 1.0 - (jnp.asarray(step, jnp.float32) + 1.0) ** -exponent)

    def scaling(self, groups: ParameterGroups) -> optax.GradientTransformation:
        parts = [
            optax.scale_by_factored_rms(
                decay_rate=self.decay_exponent,
                min_dim_size_to_factor=self.min_factored,
                epsilon=self.eps,
                decay_rate_fn=self._decay_rate,
            )
        ]
        if self.clip_rms is not None:
            parts.append(optax.clip_by_block_rms(self.clip_rms))
        if self.momentum:
            parts.append(
                optax.ema(self.momentum, debias=False, accumulator_dtype=self.momentum_dtype)
            )
        return optax.chain(*parts)


def _scale_to_rms(axes: Callable[[Any], Any], rms: float) -> optax.GradientTransformation:
    """Rule that scales orthogonal matrices to values with a root mean square of `rms`."""

    def update(updates: Any, state: optax.OptState, params: Any = None) -> tuple[Any, Any]:
        del params

        def scaled(u: jax.Array, numbers: Any) -> jax.Array:
            sides = (math.prod(u.shape[axis] for axis in side) for side in numbers)
            return u * (rms * math.sqrt(max(sides)))

        return jax.tree.map(scaled, updates, axes(updates)), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


@dataclass(frozen=True)
class Muon(ScheduledOptimizer):
    """Orthogonalised momentum for matrices, AdamW for all else (`optax.contrib.scale_by_muon`).

    Jordan et al. 2024 (github.com/KellerJordan/Muon). Each matrix of each layer is orthogonalised
    separately, also those of stacked layers and the queries, keys and values of a fused kernel; a
    convolution's kernel is one matrix. AdamW, with `b1`, `b2` and `eps`, updates biases, norms,
    position embeddings, stems, the last layer of a head and depthwise convolutions. Updates
    of matrices are scaled to a root mean square of `update_rms`, about that of AdamW's, so that
    one learning rate and one weight decay serve both (arXiv:2502.16982, section 2.2).
    `newton_schulz_steps` is the number of iterations that orthogonalise.
    """

    momentum: float = 0.95
    nesterov: bool = True
    newton_schulz_steps: int = 5
    update_rms: float = 0.2
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8

    def scaling(self, groups: ParameterGroups) -> optax.GradientTransformation:
        def axes(params: Any) -> Any:
            """Dimension numbers of each leaf; None for leaves that AdamW updates."""

            def of(path: tuple[Any, ...], leaf: jax.Array) -> Any:
                name = path_name(path)
                if groups.is_embedding(name) or groups.is_output(name):
                    return None
                found = groups.matrix_axes(name, leaf.shape)
                return found and optax.contrib.MuonDimensionNumbers(*found)

            return jax.tree_util.tree_map_with_path(of, params)

        def labels(params: Any) -> Any:
            return jax.tree.map(
                lambda leaf, numbers: "adam" if numbers is None else "muon",
                params,
                axes(params),
            )

        matrices = optax.chain(
            optax.contrib.scale_by_muon(
                ns_steps=self.newton_schulz_steps,
                beta=self.momentum,
                nesterov=self.nesterov,
                weight_dimension_numbers=axes,
            ),
            _scale_to_rms(axes, self.update_rms),
        )
        rest = optax.scale_by_adam(self.b1, self.b2, self.eps)
        return optax.partition({"muon": matrices, "adam": rest}, labels)
