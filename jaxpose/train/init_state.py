"""Initial train state of a run, created directly on its devices."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.build import init_variables
from jaxpose.models.lora import adapted, split
from jaxpose.train.experiment import Experiment
from jaxpose.train.mesh import replicated
from jaxpose.train.parameter_groups import parameter_groups
from jaxpose.train.sharding import Layout, lay_out, put
from jaxpose.train.start_weights import initial_key, local_weights, read_base, start_variables
from jaxpose.train.state import TrainState, new_state


def abstract_state(experiment: Experiment, mesh: jax.sharding.Mesh) -> tuple[TrainState, Layout]:
    """Train state as shapes with shardings, and its layout on the mesh; computes no values.

    Raises:
      InputError: an error of `sharding.lay_out`.
    """
    shapes = jax.eval_shape(lambda key: _fresh(experiment, key), jax.random.key(0))
    layout = lay_out(experiment.mesh, mesh, shapes, parameter_groups(experiment.model))
    state = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        layout.state,
    )
    return state, layout


def first_state(
    experiment: Experiment,
    layout: Layout,
    weights: Callable[[str], Mapping[str, np.ndarray]] = local_weights,
) -> tuple[TrainState, dict[str, Any]]:
    """Create the state before the first step: random, or with the weights of `init_from`.

    A random state is computed with its final sharding, so no device holds more than its part.

    Args:
      weights: reads the weights that `init_from`, `teacher_from` or `knowledge_from` names.

    Returns:
      The state, and the record of the frozen base for checkpoints (`{}` for none).

    Raises:
      InputError: an error of `start_weights.start_variables`; `reset_head` without `init_from`.
    """
    if experiment.reset_head and experiment.init_from is None:
        raise InputError(
            "reset_head=true keeps only the backbone of the weights in init_from, and init_from is "
            "not set. Set init_from, or leave reset_head out."
        )
    named = (getattr(experiment, f"{name}_from", None) for name in ("init", "teacher", "knowledge"))
    if not any(named) and not experiment.lora.rank:
        fresh = jax.jit(lambda key: _fresh(experiment, key), out_shardings=layout.state)
        return fresh(_on_mesh(initial_key(experiment), layout.mesh)), {}
    start = start_variables(experiment, weights)
    places = {kind: getattr(layout.state, kind) for kind in ("params", "base", "batch_stats")}
    variables = put({kind: getattr(start, kind) for kind in places}, places)
    base = variables.pop("base")
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    without = layout.state._replace(base={})
    make = jax.jit(lambda v: new_state(experiment, v, tx), out_shardings=without)
    return make(variables)._replace(base=base), start.record(experiment)


def with_base(
    state: TrainState,
    position: Mapping[str, Any],
    experiment: Experiment,
    layout: Layout,
    weights: Callable[[str], Mapping[str, np.ndarray]],
) -> tuple[TrainState, dict[str, Any]]:
    """Complete a state that a checkpoint contains with its frozen base, if it has one.

    Returns:
      The state, and the record of the base for checkpoints, as of `first_state`.

    Raises:
      InputError: an error of `start_weights.read_base`.
    """
    if not experiment.lora.rank:
        return state, {}
    start = read_base(experiment, weights, position)
    return state._replace(base=put(start.base, layout.state.base)), start.record(experiment)


def run_key(experiment: Experiment, mesh: jax.sharding.Mesh) -> jax.Array:
    """Random key of a run, on all devices; each draw depends only on it and the step."""
    return _on_mesh(jax.random.key(experiment.seed), mesh)


def _on_mesh(key: jax.Array, mesh: jax.sharding.Mesh) -> jax.Array:
    data = put(jax.random.key_data(key), replicated(mesh))
    return jax.jit(jax.random.wrap_key_data, out_shardings=replicated(mesh))(data)


def _fresh(experiment: Experiment, key: jax.Array) -> TrainState:
    with adapted(experiment.lora):
        variables: dict[str, Any] = init_variables(experiment.model, key, experiment.input_hw)
    start = getattr(experiment.optimizer, "start", None)
    if start is not None:
        variables = variables | {"params": start(variables["params"], experiment.model)}
    params, base = split(variables["params"], experiment.lora)
    variables = variables | {"params": params, "base": base}
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    return new_state(experiment, variables, tx)
