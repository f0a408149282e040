"""Detection and handling of steps whose loss or gradient is not finite."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.data.index import batch_indices
from jaxpose.errors import InputError
from jaxpose.models.lora import adapted, join
from jaxpose.train.experiment import Experiment
from jaxpose.train.mesh import mesh_of, replicated
from jaxpose.train.state import TrainState
from jaxpose.train.step import step_keys

IN_FLIGHT = 2
"""Largest number of dispatched steps whose figures the host has not checked yet."""

_FLOW = ("inputs", "targets", "outputs")
_SHOWN = 5  # number of records that a message names
_IN_A_ROW = 10  # number of consecutive skipped steps that ends the run

Values = dict[str, float]
Examiner = Callable[[TrainState, Any, jax.Array], dict[str, jax.Array]]


class PendingSteps:
    """Queue of dispatched steps whose loss and gradient have not been checked yet.

    Their figures are copied to the host while later steps run, so that the check does not wait for
    the device.

    Args:
      experiment: its `on_nonfinite` decides whether a step that is not finite ends the run.
      source: the training data, for the names of records.
      log: called with (step, figures) of each finite step, in order.
      say: prints a line.
    """

    def __init__(
        self,
        experiment: Experiment,
        source: Any,
        log: Callable[[int, Values], None],
        say: Callable[[str], None],
    ) -> None:
        self._experiment, self._source = experiment, source
        self._log, self._say = log, say
        self._pending: deque[tuple[int, Mapping[str, jax.Array], Any]] = deque()
        self._skipped = 0
        self._examine: Examiner | None = None

    def push(self, step: int, scalars: Mapping[str, jax.Array], batch: Any) -> None:
        """Add `step`, which was dispatched to the device with `batch`."""
        for value in scalars.values():
            value.copy_to_host_async()
        self._pending.append((step, scalars, batch))

    def check(self, state: TrainState, key: jax.Array, left: int = IN_FLIGHT) -> None:
        """Check all steps except the last `left`.

        Args:
          state: the state after the last added step; a step that was not finite did not change it.
          key: the key of the run.

        Raises:
          InputError: a step was not finite and `on_nonfinite` is "stop", or ten consecutive steps
            were not finite.
        """
        while len(self._pending) > left:
            step, scalars, batch = self._pending.popleft()
            values = {name: float(value) for name, value in jax.device_get(dict(scalars)).items()}
            if math.isfinite(values["loss"]) and math.isfinite(values["gradient_norm"]):
                self._skipped = 0
                self._log(step, values)
                continue
            self._skipped += 1
            what = self._describe(step, values, state, batch, key)
            if self._experiment.on_nonfinite == "stop" or self._skipped == _IN_A_ROW:
                raise InputError(
                    f"{what} The run ends; its checkpoints are kept. Lower "
                    "optimizer.learning_rate, lengthen optimizer.warmup_steps, or set "
                    "optimizer.clip_norm; `jaxpose data check` finds annotations that cause this."
                )
            self._say(f"{what} The step is skipped.")

    def _describe(
        self, step: int, values: Values, state: TrainState, batch: Any, key: jax.Array
    ) -> str:
        what = (
            f"The loss is {values['loss']} at step {step} and the gradient's norm "
            f"{values['gradient_norm']}."
        )
        if self._examine is None:
            self._examine = examiner(self._experiment, mesh_of(key))
        terms = jax.device_get(
            self._examine(state._replace(step=state.step * 0 + step - 1), batch, key)
        )
        # jit sorts the names; this is the order of computation, then the terms of the loss.
        names = sorted(terms, key=lambda name: (*_FLOW, name).index(name))
        bad = {name: np.flatnonzero(~np.isfinite(terms[name])) for name in names}
        bad = {name: rows for name, rows in bad.items() if len(rows)}
        if not bad:
            return f"{what} The loss of each record is finite; only the gradient is not."
        # Batch norm spreads it to the other records after this.
        rows = next(iter(bad.values()))
        size = len(next(iter(terms.values())))
        order = batch_indices(
            self._source, self._experiment.seed, step - 1, self._experiment.batch_size
        )
        records = ", ".join(
            self._experiment.task().sample_names(self._source, order[rows[:_SHOWN]])
        )
        more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
        return (
            f"{what} Not finite: {', '.join(bad)}; the first of these for {len(rows)} of {size} "
            f"records: {records}{more}."
        )


def examiner(experiment: Experiment, mesh: jax.sharding.Mesh) -> Examiner:
    """Build a function that repeats a step and returns its values for each record of the batch.

    The function takes (state, batch, key), with the state before the step. It returns `[B]` float32
    arrays in the order of computation: `inputs`, `targets` and `outputs` (0 where finite, else
    NaN), then the terms of the loss by name.
    """
    task, model = experiment.task(), experiment.model

    def compute(state: TrainState, batch: Any, key: jax.Array) -> dict[str, jax.Array]:
        augment_key, dropout_key = step_keys(key, state.step)
        inputs, targets, weights = task.encode(augment_key, batch)
        with adapted(experiment.lora):
            outputs, _ = model.apply(
                {"params": join(state.params, state.base), "batch_stats": state.batch_stats},
                inputs,
                train=True,
                rngs={"dropout": dropout_key},
                mutable=["batch_stats"],
            )
        count = jax.tree.leaves(inputs)[0].shape[0]
        parts = dict(zip(_FLOW, (inputs, targets, outputs), strict=True))
        found = {name: _marks(part, count) for name, part in parts.items()}

        def terms(i: jax.Array) -> dict[str, jax.Array]:
            row = (_row(tree, i, count) for tree in (outputs, targets, weights))
            value, named = experiment.loss.with_terms(*row)
            return named or {type(experiment.loss).__name__: value}

        return found | jax.lax.map(terms, jnp.arange(count))

    return jax.jit(compute, out_shardings=replicated(mesh))


def _marks(tree: Any, count: int) -> jax.Array:
    """Marks `[B]`: NaN where a value of the record is not finite, else 0."""
    marks = jnp.zeros(count)
    for leaf in jax.tree.leaves(tree):
        if leaf.shape[:1] == (count,) and jnp.issubdtype(leaf.dtype, jnp.inexact):
            finite = jnp.isfinite(leaf).reshape(count, -1).all(axis=1)
            marks = jnp.where(finite, marks, jnp.nan)
    return marks


def _row(tree: Any, i: jax.Array, count: int) -> Any:
    """Take record `i` of each per-record array, as a batch of one; keep other arrays."""

    def take(leaf: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice_in_dim(leaf, i, 1) if leaf.shape[:1] == (count,) else leaf

    return jax.tree.map(take, tree)
