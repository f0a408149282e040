"""Programs of an experiment, lowered for devices that need not be here; nothing is allocated."""

import dataclasses
from typing import Any, Literal

import jax

from jaxpose.errors import InputError
from jaxpose.export.program import Level, Program, Value
from jaxpose.models.build import abstract_variables
from jaxpose.models.split import split_over
from jaxpose.scaling.training_cost import experiment_cost
from jaxpose.train.experiment import Experiment
from jaxpose.train.init_state import abstract_state
from jaxpose.train.mesh import batch_sharded, check_batch, model_split, replicated
from jaxpose.train.state import TrainState
from jaxpose.train.step import Batch, lower_step

Name = Literal["train", "eval", "predict", "export"]
NAMES: tuple[Name, ...] = ("train", "eval", "predict", "export")


def with_batch(experiment: Experiment, name: Name, batch: int | None) -> Experiment:
    """Experiment with `batch` samples on all devices together; None leaves it as it is."""
    if batch is None:
        return experiment
    if name == "train":
        return dataclasses.replace(experiment, batch_size=batch)
    evaluation = dataclasses.replace(experiment.evaluation, batch_size=batch)
    return dataclasses.replace(experiment, evaluation=evaluation)


def batch_of(experiment: Experiment, name: Name) -> int:
    """Samples in a run of a program, those of all devices together."""
    return experiment.batch_size if name == "train" else experiment.evaluation.batch_size


def lower(experiment: Experiment, name: Name, mesh: jax.sharding.Mesh) -> jax.stages.Lowered:
    """Lower a program for the devices of a mesh.

    `train` is the training step. `eval` is the evaluation's pass over a batch of canvases.
    `predict` is `jaxpose predict`'s pass over a batch of crops, images or windows, `export` the
    program that also cuts the crops from an image (`jaxpose export --level photo`).

    Raises:
      InputError: the mesh does not divide the batch; the task has no such program.
    """
    batch = batch_of(experiment, name)
    accumulate = experiment.accumulate if name == "train" else 1
    key = "batch_size" if name == "train" else "evaluation.batch_size"
    check_batch(batch, mesh, key, accumulate)
    if name == "train":
        return lower_step(experiment, *abstract_arguments(experiment, mesh))
    variables = _placed(abstract_variables(experiment.model, experiment.input_hw), replicated(mesh))
    if name == "eval":
        return _lower_evaluation(experiment, variables, mesh)
    level: Level = "crops" if name == "predict" else "photo"
    flip_test = experiment.evaluation.flip_test

    def program(variables: Any) -> Program:
        estimator, kept = experiment.task().estimator(variables)
        return estimator.program(kept, level=level, flip_test=flip_test).fixed(batch)

    def run(variables: Any, *arrays: jax.Array) -> Any:
        with split_over(model_split(mesh)):
            return program(variables).ordered(*arrays)

    inputs: list[Value] = []
    # A program calls its model, which needs traced variables rather than shapes.
    jax.eval_shape(lambda variables: inputs.extend(program(variables).inputs), variables)
    # Only arrays with one entry per sample are divided; an image is whole on each device.
    arrays = [
        jax.ShapeDtypeStruct(
            value.shape,
            value.dtype,
            sharding=batch_sharded(mesh) if value.shape[0] == batch else replicated(mesh),
        )
        for value in inputs
    ]
    return jax.jit(run).lower(variables, *arrays)


def abstract_arguments(
    experiment: Experiment, mesh: jax.sharding.Mesh
) -> tuple[TrainState, Batch, Any]:
    """Shapes and shardings of the arguments of a training step: state, batch, key."""
    state, _ = abstract_state(experiment, mesh)
    key = _placed(jax.eval_shape(lambda: jax.random.key(0)), replicated(mesh))
    return state, experiment.task().abstract_batch(mesh), key


def model_flops(experiment: Experiment, name: Name) -> int:
    """FLOPs of the model in a run of a program on all devices, without recomputation."""
    cost = experiment_cost(experiment)
    batch = batch_of(experiment, name)
    if name == "train":
        return cost.flops * batch
    return 2 * cost.forward * batch * (2 if experiment.evaluation.flip_test else 1)


def _lower_evaluation(
    experiment: Experiment, variables: Any, mesh: jax.sharding.Mesh
) -> jax.stages.Lowered:
    lower_evaluation = getattr(experiment.task(), "lower_evaluation", None)
    if lower_evaluation is None:
        raise InputError(
            f"{type(experiment).__name__} has no program of an evaluation that can be compiled "
            "without its data. Use --program predict, which contains its model."
        )
    lowered: jax.stages.Lowered = lower_evaluation(variables, mesh)
    return lowered


def _placed(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    def place(x: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)

    return jax.tree.map(place, tree)
