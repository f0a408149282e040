"""Training cost of one sample, from traces, without allocating or running anything."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

from jaxpose.models.build import abstract_variables
from jaxpose.models.lora import LoRA, adapted
from jaxpose.scaling.flops import jaxpr_multiply_adds
from jaxpose.train.experiment import Experiment
from jaxpose.train.optimizers import frozen_patterns
from jaxpose.train.parameter_groups import frozen_mask, path_name

_FULL = LoRA()


class TrainingCost(NamedTuple):
    """Parameters of a model, and multiply-adds of one sample in training, with the head.

    Attributes:
      parameters: all values of `params`.
      trainable: those that are not frozen.
      forward, backward: multiply-adds; the backward pass has no gradient of the image and none of
        frozen parameters.
      recomputed: multiply-adds that rematerialisation runs a second time; not part of `flops`.
    """

    parameters: int
    trainable: int
    forward: int
    backward: int
    recomputed: int

    @property
    def flops(self) -> int:
        """Model FLOPs of one sample, two for each multiply-add."""
        return 2 * (self.forward + self.backward)


def experiment_cost(experiment: Experiment) -> TrainingCost:
    """Count the training cost of an experiment's model, with what it freezes."""
    frozen = frozen_patterns(experiment.optimizer)
    return training_cost(experiment.model, experiment.input_hw, frozen, experiment.lora)


@functools.cache
def training_cost(
    model: Any,
    input_hw: tuple[int, int] | None,
    frozen: tuple[str, ...] = (),
    lora: LoRA = _FULL,
) -> TrainingCost:
    """Counts the training cost of a model in a recipe.

    Args:
      model: a `PoseModel`, a `Distilled` model or a lifter.
      input_hw: size of its images; None for a model that defines its own input.
      frozen: regular expressions of `optimizer.frozen`.
      lora: low-rank fine-tuning, whose terms count as parameters.
    """
    with adapted(lora):
        params = abstract_variables(model, input_hw)["params"]
        forward, both = _passes(without_remat(model), input_hw, frozen, lora)
        with_remat = _passes(model, input_hw, frozen, lora)[1] if _has_remat(model) else both
    still = _still(params, frozen, lora)
    sizes = jax.tree.map(lambda x: x.size, params)
    moving = jax.tree.map(lambda size, s: 0 if s else size, sizes, still)
    return TrainingCost(
        parameters=sum(jax.tree.leaves(sizes)),
        trainable=sum(jax.tree.leaves(moving)),
        forward=forward,
        backward=both - forward,
        recomputed=with_remat - both,
    )


def residual_bytes(
    model: Any, input_hw: tuple[int, int] | None, frozen: tuple[str, ...] = ()
) -> int:
    """Bytes kept per sample between the forward and the backward pass.

    This is the difference of two batch sizes, so that parameters, which are kept anyway, cancel
    out.
    """

    def kept(batch: int) -> int:
        outputs, (moving, *rest) = _applied(model, input_hw, frozen, batch)

        def backward(moving: list, *rest: Any) -> Any:
            return jax.vjp(lambda m: outputs(m, *rest), moving)[1]

        leaves = jax.tree.leaves(jax.eval_shape(backward, moving, *rest))
        return sum(x.size * x.dtype.itemsize for x in leaves if x.dtype != jax.dtypes.float0)

    return kept(2) - kept(1)


def _still(params: Any, frozen: tuple[str, ...], lora: LoRA) -> Any:
    """Mask that is True for leaves that are not trained."""
    mask = frozen_mask(params, frozen)
    if not lora.rank:
        return mask
    return jax.tree_util.tree_map_with_path(
        lambda path, still: still or not lora.trains(path_name(path)), mask
    )


def _applied(
    model: Any,
    input_hw: tuple[int, int] | None,
    frozen: tuple[str, ...],
    batch: int,
    lora: LoRA = _FULL,
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Training outputs as a function of the trainable parameters, and abstract arguments."""
    variables = abstract_variables(model, input_hw)
    shape = model.input_shape()[1:] if input_hw is None else (*input_hw, 3)
    inputs = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
    leaves, tree = jax.tree.flatten(variables["params"])
    still = jax.tree.leaves(_still(variables["params"], frozen, lora))
    moving = [leaf for leaf, s in zip(leaves, still, strict=True) if not s]
    kept = [leaf for leaf, s in zip(leaves, still, strict=True) if s]

    def outputs(moving: list, kept: list, stats: Any, inputs: jax.Array, key: jax.Array) -> Any:
        sources = {False: iter(moving), True: iter(kept)}
        params = jax.tree.unflatten(tree, [next(sources[s]) for s in still])
        result, _ = model.apply(
            {"params": params, "batch_stats": stats},
            inputs,
            train=True,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        return [x for x in jax.tree.leaves(result) if jnp.issubdtype(x.dtype, jnp.floating)]

    return outputs, (moving, kept, variables["batch_stats"], inputs, jax.random.key(0))


def _passes(
    model: Any, input_hw: tuple[int, int] | None, frozen: tuple[str, ...], lora: LoRA
) -> tuple[int, int]:
    """Multiply-adds of the forward pass, and of both passes."""
    outputs, arguments = _applied(model, input_hw, frozen, 1, lora)

    def total(*arguments: Any) -> jax.Array:
        return sum((x.sum() for x in outputs(*arguments)), start=jnp.zeros(()))

    return _used(total, arguments), _used(jax.value_and_grad(total), arguments)


def _used(function: Callable[..., Any], arguments: tuple[Any, ...]) -> int:
    """Multiply-adds that the results depend on; XLA runs no others."""
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    return jaxpr_multiply_adds(partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[0])


def _has_remat(model: Any) -> bool:
    return getattr(getattr(model, "backbone", None), "remat", "none") != "none"


def without_remat(model: Any) -> Any:
    """Model without rematerialisation; the model itself if it has none."""
    if not _has_remat(model):
        return model
    return model.clone(backbone=model.backbone.clone(remat="none"))
