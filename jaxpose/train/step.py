"""One training step: a pure function of (state, batch, key)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxpose.augment import augment
from jaxpose.config import Experiment
from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables
from jaxpose.train.optimizer import build, learning_rate_schedule
from jaxpose.train.state import TrainState

Batch = dict[str, jax.Array]
Step = Callable[[TrainState, Batch, jax.Array], tuple[TrainState, dict[str, jax.Array]]]


def train_step(
    state: TrainState,
    batch: Batch,
    key: jax.Array,
    *,
    experiment: Experiment,
    tx: optax.GradientTransformation,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Augment, encode, differentiate, update.

    Args:
      state: the state after `state.step` steps.
      batch: image uint8 [B, Hc, Wc, 3], keypoints [B, K, 2] and box_xywh [B, 4] in canvas pixels,
        visible [B, K], mask [B] (False: padding, which weighs nothing).
      key: the run's key; every draw of this step follows from it and `state.step`.
      experiment: static; model, codec, loss, augmentation.
      tx: static; the update rule.

    Returns:
      The state after the step, and float32 scalars `loss` and `gradient_norm`.
    """
    skeleton, codec = experiment.skeleton, experiment.codec
    loss_of: Callable[..., jax.Array] = experiment.loss  # the recipe pairs it with its codec
    augment_key, dropout_key = jax.random.split(jax.random.fold_in(key, state.step))
    images, keypoints, visible = augment(
        augment_key,
        batch,
        augmentation=experiment.augmentation,
        input_hw=codec.input_hw,
        udp=codec.udp,
        permutation=skeleton.flip_permutation,
        upper_body=skeleton.upper_body_mask,
        padding=experiment.padding,
    )
    targets, weights = codec.encode(keypoints, visible)
    weights = weights * batch["mask"][:, None]

    def objective(params: Any) -> tuple[jax.Array, Any]:
        outputs, updated = experiment.model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            images,
            train=True,
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        return loss_of(outputs, targets, weights), updated.get("batch_stats", {})

    (loss, batch_stats), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    updates, opt_state = tx.update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if experiment.ema_decay is not None:
        # Short memory while there is little to remember (as TensorFlow's moving averages).
        decay = jnp.minimum(experiment.ema_decay, (1.0 + state.step) / (10.0 + state.step))
        ema = jax.tree.map(lambda e, p: e + (1.0 - decay) * (p - e), ema, params)
    state = TrainState(state.step + 1, params, batch_stats, opt_state, ema)
    return state, {"loss": loss, "gradient_norm": optax.tree.norm(gradients)}


def check_outputs(experiment: Experiment) -> None:
    """Refuse a model whose outputs are not what the codec encodes; computes shapes only.

    Raises:
      InputError: both shapes, and what sets them.
    """
    model, codec, number = experiment.model, experiment.codec, experiment.skeleton.num_keypoints
    variables = abstract_variables(model, codec.input_hw)
    images = jax.ShapeDtypeStruct((1, *codec.input_hw, 3), jnp.float32)
    outputs = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, images)
    points = jax.ShapeDtypeStruct((1, number, 2), jnp.float32)
    flags = jax.ShapeDtypeStruct((1, number), jnp.uint8)
    targets, _ = jax.eval_shape(codec.encode, points, flags)
    given, wanted = ([x.shape[1:] for x in jax.tree.leaves(y)] for y in (outputs, targets))
    if given != wanted:
        raise InputError(
            f"The model's outputs are {given}, but {type(codec).__name__} encodes {wanted} "
            "(height, width, keypoints; or keypoints, bins). Make codec.heatmap_hw (or "
            "split_ratio) and the model's head agree: two deconvolutions after patch 16 give a "
            "quarter of the input."
        )


def compile_step(
    experiment: Experiment,
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
