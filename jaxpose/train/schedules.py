"""Learning rate as a function of the step: warm-up, schedule, cooldown."""

from typing import Literal, Protocol, runtime_checkable

import jax.numpy as jnp
import optax

NamedSchedule = Literal["cosine", "step", "constant", "rsqrt"]

ENDLESS = ("constant", "rsqrt")
"""Schedules that do not depend on the length of a run."""


@runtime_checkable
class Schedule(Protocol):
    """Custom schedule: a frozen dataclass with `build`.

    `build(peak, steps)` returns the learning rate after the warm-up, as a function of the number of
    steps since its end; `steps` is the number of steps after the warm-up.
    """

    def build(self, peak: float, steps: int) -> optax.Schedule: ...


def learning_rate_schedule(
    schedule: NamedSchedule | Schedule,
    steps: int,
    *,
    peak: float,
    warmup_steps: int = 0,
    milestones: tuple[float, ...] = (),
    step_factor: float = 0.1,
    timescale: int = 10_000,
    cooldown_steps: int = 0,
) -> optax.Schedule:
    """Learning rate as a function of the step: linear warm-up, then the schedule.

    Args:
      schedule: a name, or an object that builds a schedule.
      steps: number of steps of the run.
      peak: the rate at the end of the warm-up.
      warmup_steps: number of steps of the warm-up, less than `steps`.
      milestones, step_factor: parameters of "step"; see `ScheduledOptimizer`.
      timescale: parameter of "rsqrt".
      cooldown_steps: number of last steps, in which the rate falls linearly to 0.
    """
    warmup = min(warmup_steps, steps - 1)
    if schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, max(steps - warmup, 1))
    elif schedule == "constant":
        after = optax.constant_schedule(peak)
    elif schedule == "rsqrt":
        after = _rsqrt_schedule(peak, timescale)
    elif schedule == "step":
        # join_schedules restarts the count after warm-up; milestones count from the run's start.
        edges = {round(m * steps) - warmup: step_factor for m in milestones}
        after = optax.piecewise_constant_schedule(peak, edges)
    else:
        after = schedule.build(peak, steps - warmup)
    if warmup >= 1:
        # The first update is not zero: rate peak/warmup at step 0, peak at step `warmup`.
        ramp = optax.linear_schedule(peak / warmup, peak * (1 + 1 / warmup), warmup)
        after = optax.join_schedules([ramp, after], [warmup])
    return _cooled_down(after, cooldown_steps, steps)


def _rsqrt_schedule(peak: float, timescale: int) -> optax.Schedule:
    return lambda count: peak * jnp.sqrt(timescale / (timescale + count))


def _cooled_down(schedule: optax.Schedule, cooldown: int, steps: int) -> optax.Schedule:
    """Multiply `schedule` by a factor that falls linearly to 0 over the last `cooldown` steps."""
    if not cooldown:
        return schedule
    return lambda count: schedule(count) * jnp.minimum(1.0, (steps - count) / cooldown)
