"""One training step: a pure function of (state, batch, key)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxpose.config import AnyExperiment
from jaxpose.train.optimizer import build, learning_rate_schedule, without_frozen
from jaxpose.train.state import TrainState
from jaxpose.train.task import task_of

Batch = dict[str, Any]
Step = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, dict[str, jax.Array]]]


def train_step(
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    *,
    experiment: AnyExperiment,
    tx: optax.GradientTransformation,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Augment, encode, differentiate, update.

    Args:
      state: the state after `state.step` steps.
      batch: arrays as the task's `encode` takes them.
      key: the run's key; every draw of this step follows from it and `state.step`.
      experiment: static; its task, model and loss.
      tx: static; the update rule.

    Returns:
      The state after the step, and float32 scalars `loss` and `gradient_norm`.
    """
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(key, state.step))
    inputs, targets, weights = task_of(experiment).encode(augment_key, batch)

    def objective(params: Any) -> tuple[jax.Array, Any]:
        outputs, updated = experiment.model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            inputs,
            train=True,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        return experiment.loss(outputs, targets, weights), updated.get("batch_stats", {})

    (loss, batch_stats), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    gradients = without_frozen(gradients, experiment.optimizer.frozen)
    updates, opt_state = tx.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if experiment.ema_decay is not None:
        # Short memory while there is little to remember (as TensorFlow's moving averages).
        decay = jnp.minimum(experiment.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema = jax.tree.map(lambda e, p: e + (1.0 - decay) * (p - e), ema, params)
    state = TrainState(state.step + 1, params, batch_stats, opt_state, ema)
    return state, {"loss": loss, "gradient_norm": optax.tree.norm(gradients)}


def compile_step(
    experiment: AnyExperiment,
    state: TrainState,
    batch: Batch,
    key: jax.Array,
) -> Step:
    """`train_step` compiled once for the shapes and shardings of its arguments; donates the state.

    An executable cannot recompile: a batch of another shape is an error, not a slow step.
    """
    tx = build(experiment.optimizer, experiment.steps)
    schedule = learning_rate_schedule(experiment.optimizer, experiment.steps)

    def step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, dict]:
        rate = schedule(state.step)
        state, scalars = train_step(state, batch, key, experiment=experiment, tx=tx)
        return state, scalars | {"learning_rate": jnp.asarray(rate, jnp.float32)}

    shardings = jax.tree.map(lambda x: x.sharding, (state, batch, key))
    jitted = jax.jit(
        step, in_shardings=shardings, out_shardings=(shardings[0], None), donate_argnums=0
    )
    return jitted.lower(state, batch, key).compile()
