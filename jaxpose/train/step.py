"""One training step: a pure function of (state, batch, key)."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxpose.geometry import split_images
from jaxpose.models.lora import adapted, join
from jaxpose.train.experiment import Experiment
from jaxpose.train.mesh import batch_sharded, mesh_of
from jaxpose.train.optimizers import frozen_patterns
from jaxpose.train.parameter_groups import without_frozen
from jaxpose.train.sharding import Layout
from jaxpose.train.state import TrainState

Batch = dict[str, Any]
Step = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, dict[str, jax.Array]]]
Scalars = dict[str, jax.Array]

PARTS = ("augmentation", "model", "optimizer")
"""Scopes of a step's operations in its program: targets are in the first, the loss in the second.

`jaxpose compile` divides the cost of a step by them, and profiles show them.
"""


def train_step(
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    *,
    experiment: Experiment,
    tx: optax.GradientTransformation,
    layout: Layout | None = None,
) -> tuple[TrainState, Scalars]:
    """Augment, encode, differentiate, update.

    If the loss or the gradient is not finite, only the step count of the state changes.

    Args:
      state: the state after `state.step` steps.
      batch: arrays for the task's `encode`.
      key: the key of the run; every random draw of this step depends on it and `state.step`.
      experiment: static; its task, model and loss.
      tx: static; the update rule.
      layout: static; placement of the state on a mesh.

    Returns:
      The state after the step, and float32 scalars: `loss`, `gradient_norm`, and `loss/<term>` for
      each term of the loss.
    """
    augment_key, dropout_key = step_keys(key, state.step)
    augmentation, model, optimizer = PARTS
    split = nullcontext() if layout is None else split_images(batch_sharded(layout.mesh))
    with jax.named_scope(augmentation), split:
        data = experiment.task().encode(augment_key, batch)
    with jax.named_scope(model):
        loss, terms, *found = loss_and_gradients(state, data, dropout_key, experiment, layout)
    with jax.named_scope(optimizer):
        state, norm = updated(state, loss, *found, experiment=experiment, tx=tx)
    named = {f"loss/{name}": value for name, value in terms.items()}
    return state, {"loss": loss, "gradient_norm": norm} | named


def updated(
    state: TrainState,
    loss: jax.Array,
    batch_stats: Any,
    gradients: Any,
    *,
    experiment: Experiment,
    tx: optax.GradientTransformation,
) -> tuple[TrainState, jax.Array]:
    """Compute the next state from the gradients, and their norm.

    If the loss or the norm is not finite, only the step count of the state changes.
    """
    gradients = without_frozen(gradients, frozen_patterns(experiment.optimizer))
    norm = optax.tree.norm(gradients)
    updates, opt_state = tx.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if experiment.ema_decay is not None:
        # The average is over few steps at the beginning, as in TensorFlow's moving averages.
        decay = jnp.minimum(experiment.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema = jax.tree.map(lambda e, p: e + (1.0 - decay) * (p - e), ema, params)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    after = TrainState(state.step, params, batch_stats, opt_state, ema)
    before = state._replace(base={})
    kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, before)
    return kept._replace(step=state.step + 1, base=state.base), norm


def step_keys(key: jax.Array, step: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Keys of augmentation and of dropout in the step after `step` steps."""
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(key, step))
    return augment_key, dropout_key


def loss_and_gradients(
    state: TrainState,
    data: tuple[Any, Any, Any],
    dropout_key: jax.Array,
    experiment: Experiment,
    layout: Layout | None,
) -> tuple[jax.Array, Scalars, Any, Any]:
    """Compute loss, its terms, running statistics and gradients in `accumulate` equal parts.

    Losses are means over samples, so the mean over parts equals the mean over the batch. Batch norm
    normalises each part separately and updates its running statistics part by part; each part has
    separate dropout.
    """
    parts = experiment.accumulate
    samples = jax.tree.leaves(data[0])[0].shape[0] // parts
    model_apply = experiment.model.apply
    if layout is not None:
        model_apply = layout.apply(model_apply, samples)

    def objective(params: Any, stats: Any, part: tuple[Any, Any, Any], key: jax.Array) -> Any:
        inputs, targets, weights = part
        with adapted(experiment.lora):
            outputs, updated = model_apply(
                {"params": join(params, state.base), "batch_stats": stats},
                inputs,
                train=True,
                rngs={"dropout": key},
                mutable=["batch_stats"],
            )
        loss, terms = experiment.loss.with_terms(outputs, targets, weights)
        return loss, (terms, updated.get("batch_stats", {}))

    def of_part(stats: Any, part: tuple[Any, Any, Any], key: jax.Array) -> Any:
        (loss, (terms, stats)), gradients = jax.value_and_grad(objective, has_aux=True)(
            state.params, stats, part, key
        )
        return loss, terms, stats, gradients if layout is None else layout.parameters(gradients)

    if parts == 1:
        return of_part(state.batch_stats, data, dropout_key)

    def add(carry: tuple[Any, Any, Any], now: tuple[jax.Array, Any]) -> tuple[Any, Scalars]:
        loss, stats, gradients = carry
        i, part = now
        more, terms, stats, also = of_part(stats, part, jax.random.fold_in(dropout_key, i))
        return (loss + more, stats, jax.tree.map(jnp.add, gradients, also)), terms

    # Part i is every `parts`-th sample from i on, so no sample moves to another device.
    split = jax.tree.map(
        lambda x: jnp.moveaxis(x.reshape(samples, parts, *x.shape[1:]), 1, 0), data
    )
    zeros = jax.tree.map(jnp.zeros_like, state.params)
    start = (
        jnp.zeros(()),
        state.batch_stats,
        zeros if layout is None else layout.parameters(zeros),
    )
    (loss, stats, gradients), terms = jax.lax.scan(add, start, (jnp.arange(parts), split))
    terms = {name: jnp.mean(values) for name, values in terms.items()}
    return loss / parts, terms, stats, jax.tree.map(lambda g: g / parts, gradients)


def compile_step(
    experiment: Experiment,
    state: TrainState,
    batch: Batch,
    key: jax.Array,
) -> Step:
    """Compile `train_step` for the shapes and shardings of its arguments; donates the state.

    The arguments may be `jax.ShapeDtypeStruct`s with shardings. The executable never recompiles: a
    batch of another shape is an error, not a slow step.
    """
    return lower_step(experiment, state, batch, key).compile()


def lower_step(
    experiment: Experiment, state: TrainState, batch: Batch, key: jax.Array
) -> jax.stages.Lowered:
    """Lower `train_step` for the shapes and shardings of its arguments; see `compile_step`."""
    optimizer = experiment.optimizer
    tx = optimizer.build(experiment.steps, experiment.model)
    rates = getattr(optimizer, "learning_rates", None)
    schedule = rates(experiment.steps) if rates else None
    shardings = jax.tree.map(lambda x: x.sharding, (state, batch, key))
    layout = Layout(mesh_of(key), shardings[0])

    def step(state: TrainState, batch: Batch, key: jax.Array) -> tuple[TrainState, Scalars]:
        rate = {}
        if schedule is not None:
            rate = {"learning_rate": jnp.asarray(schedule(state.step), jnp.float32)}
        state, scalars = train_step(state, batch, key, experiment=experiment, tx=tx, layout=layout)
        return state, scalars | rate

    jitted = jax.jit(
        step, in_shardings=shardings, out_shardings=(shardings[0], None), donate_argnums=0
    )
    return jitted.lower(state, batch, key)
