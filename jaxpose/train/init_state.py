"""Initial train state of a run, created directly on its devices."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxpose.convert import load_state_dict
from jaxpose.errors import InputError
from jaxpose.models.build import init_variables
from jaxpose.paths import as_path, in_bucket, local_copy
from jaxpose.train.experiment import Experiment
from jaxpose.train.mesh import replicated
from jaxpose.train.parameter_groups import parameter_groups
from jaxpose.train.sharding import Layout, lay_out, put
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


def local_weights(where: str) -> Mapping[str, np.ndarray]:
    """Read the state dict of a checkpoint file or a release folder, on disk or in a bucket.

    Raises:
      InputError: an error of `convert.load_state_dict`.
    """
    if in_bucket(where):
        with local_copy(as_path(where)) as copy:
            return load_state_dict(copy)
    return load_state_dict(where)


def first_state(
    experiment: Experiment,
    layout: Layout,
    weights: Callable[[str], Mapping[str, np.ndarray]] = local_weights,
) -> TrainState:
    """Create the state before the first step: random, or with the weights of `init_from`.

    A random state is computed with its final sharding, so no device holds more than its part.

    Args:
      weights: reads the weights that `init_from`, `teacher_from` or `knowledge_from` names.

    Raises:
      InputError: an error of the task's `initial_variables`; `reset_head` without `init_from`.
    """
    if experiment.reset_head and experiment.init_from is None:
        raise InputError(
            "reset_head=true keeps only the backbone of the weights in init_from, and init_from is "
            "not set. Set init_from, or leave reset_head out."
        )
    key = jax.random.fold_in(jax.random.key(experiment.seed), 0x1417)
    named = (getattr(experiment, f"{name}_from", None) for name in ("init", "teacher", "knowledge"))
    if not any(named):
        fresh = jax.jit(lambda key: _fresh(experiment, key), out_shardings=layout.state)
        return fresh(_on_mesh(key, layout.mesh))
    variables = experiment.task().initial_variables(
        init_variables(experiment.model, key, experiment.input_hw), weights
    )
    places = {"params": layout.state.params, "batch_stats": layout.state.batch_stats}
    variables = put({kind: variables[kind] for kind in places}, places)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    make = jax.jit(lambda v: new_state(experiment, v, tx), out_shardings=layout.state)
    return make(variables)


def run_key(experiment: Experiment, mesh: jax.sharding.Mesh) -> jax.Array:
    """Random key of a run, on all devices; each draw depends only on it and the step."""
    return _on_mesh(jax.random.key(experiment.seed), mesh)


def _on_mesh(key: jax.Array, mesh: jax.sharding.Mesh) -> jax.Array:
    data = put(jax.random.key_data(key), replicated(mesh))
    return jax.jit(jax.random.wrap_key_data, out_shardings=replicated(mesh))(data)


def _fresh(experiment: Experiment, key: jax.Array) -> TrainState:
    variables: dict[str, Any] = init_variables(experiment.model, key, experiment.input_hw)
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    return new_state(experiment, variables, tx)
