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
from jaxpose.train.optimizer import build, learning_rate_schedule, without_frozen
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


def check_outputs(experiment: Experiment) -> None:
    """Refuse a model that its codec cannot decode or its loss cannot train; computes shapes only.

    Raises:
      InputError: the shapes, and what sets them.
    """
    model, codec, number = experiment.model, experiment.codec, experiment.skeleton.num_keypoints
    variables = abstract_variables(model, codec.input_hw)
    images = jax.ShapeDtypeStruct((2, *codec.input_hw, 3), jnp.float32)
    outputs = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, images)
    given, wanted = _shapes(outputs), codec.output_shapes(number)
    if given not in wanted:
        raise InputError(
            f"The model's outputs are {_in_words(given)}, but {type(codec).__name__} decodes "
            f"{', or '.join(map(_in_words, wanted))} (height, width, keypoints; or keypoints and "
            "bins or coordinates). Make codec.heatmap_hw (or split_ratio) and the model's head "
            "agree: two deconvolutions after patch 16 give a quarter of the input."
        )
    _check_loss(experiment, variables, images)


def _check_loss(experiment: Experiment, variables: Any, images: jax.ShapeDtypeStruct) -> None:
    """Refuse a loss that cannot compare the outputs of training with the codec's targets."""
    model, codec, loss = experiment.model, experiment.codec, experiment.loss
    people, number = images.shape[0], experiment.skeleton.num_keypoints
    outputs, _ = jax.eval_shape(
        lambda v, x, key: model.apply(
            v, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"]
        ),
        variables,
        images,
        jax.random.key(0),
    )
    points = jax.ShapeDtypeStruct((people, number, 2), jnp.float32)
    flags = jax.ShapeDtypeStruct((people, number), jnp.uint8)
    targets, weights = jax.eval_shape(codec.encode, points, flags)
    try:
        with jax.numpy_rank_promotion("raise"):
            jax.eval_shape(loss, outputs, targets, weights)
    except InputError:
        raise
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"{type(loss).__name__} cannot compare what the model gives in training, "
            f"{_in_words(_shapes(outputs))}, with the targets of {type(codec).__name__}, "
            f"{_in_words(_shapes(targets))}. Choose the loss for this head: StageSum(...) for "
            "several stages, RLE() for an RLE head, IntegralLoss(...) for coordinates with "
            "heatmaps."
        ) from error


def _shapes(arrays: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of the leaves without the batch."""
    return tuple(x.shape[1:] for x in jax.tree.leaves(arrays))


def _in_words(shapes: tuple[tuple[int, ...], ...]) -> str:
    more = f" and {len(shapes) - 4} more" if len(shapes) > 4 else ""
    return " and ".join(str(list(shape)) for shape in shapes[:4]) + more


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
