"""The state that a run starts from, made where it lives."""

from typing import Any

import jax

from jaxpose.config import AnyExperiment
from jaxpose.models.build import init_variables
from jaxpose.train.mesh import replicated
from jaxpose.train.optimizer import build
from jaxpose.train.pretrained import with_pretrained
from jaxpose.train.sharding import Layout, lay_out, put
from jaxpose.train.state import TrainState, new_state


def abstract_state(experiment: AnyExperiment, mesh: jax.sharding.Mesh) -> tuple[TrainState, Layout]:
    """The train state as shapes with shardings, and its place on the mesh; computes nothing.

    Raises:
      InputError: as `sharding.lay_out`.
    """
    shapes = jax.eval_shape(lambda key: _fresh(experiment, key), jax.random.key(0))
    layout = lay_out(experiment.mesh, mesh, shapes)
    state = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        layout.state,
    )
    return state, layout


def first_state(experiment: AnyExperiment, layout: Layout) -> TrainState:
    """The state before the first step: fresh, or with the weights that the experiment names.

    A fresh one is computed in its place, so that no device ever holds more than its part of it.

    Raises:
      InputError: as `pretrained.with_pretrained`.
    """
    key = jax.random.fold_in(jax.random.key(experiment.seed), 0x1417)
    named = (getattr(experiment, f"{name}_from", None) for name in ("init", "teacher", "knowledge"))
    if not any(named):
        fresh = jax.jit(lambda key: _fresh(experiment, key), out_shardings=layout.state)
        return fresh(_on_mesh(key, layout.mesh))
    variables = with_pretrained(
        experiment, init_variables(experiment.model, key, experiment.input_hw)
    )
    places = {"params": layout.state.params, "batch_stats": layout.state.batch_stats}
    variables = put({kind: variables[kind] for kind in places}, places)
    tx = build(experiment.optimizer, experiment.steps)
    make = jax.jit(lambda v: new_state(experiment, v, tx), out_shardings=layout.state)
    return make(variables)


def run_key(experiment: AnyExperiment, mesh: jax.sharding.Mesh) -> jax.Array:
    """The key that, with the step, fixes every draw of a run; on all devices of the mesh."""
    return _on_mesh(jax.random.key(experiment.seed), mesh)


def _on_mesh(key: jax.Array, mesh: jax.sharding.Mesh) -> jax.Array:
    data = put(jax.random.key_data(key), replicated(mesh))
    return jax.jit(jax.random.wrap_key_data, out_shardings=replicated(mesh))(data)


def _fresh(experiment: AnyExperiment, key: jax.Array) -> TrainState:
    variables: dict[str, Any] = init_variables(experiment.model, key, experiment.input_hw)
    return new_state(experiment, variables, build(experiment.optimizer, experiment.steps))
