"""Memory of a training step on each device of a mesh, computed without the devices.

The lasting part (parameters, optimiser state, moving average) is exact: the train state's shapes,
sharded by the rules of training. The rest of a step's memory is an estimate:

- gradients: one array for each trainable parameter, sharded like it;
- activations: arrays that JAX keeps from the forward pass for the backward pass, as traced, for a
  device's part of the batch; with rematerialisation also those that one block needs while it is
  recomputed;
- the batch: canvases, and the crops that the model takes.

XLA fuses, reuses and recomputes, so its own figure differs: for small ViTs this one is 0.6 to 1.0
times XLA's (`tests/scaling/test_memory.py`). Tensor parallelism also splits activations, which is
not counted: there the estimate is high.
"""

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxpose.errors import InputError
from jaxpose.scaling.training_cost import residual_bytes, without_remat
from jaxpose.train.experiment import Experiment, Mesh
from jaxpose.train.init_state import abstract_state
from jaxpose.train.mesh import AXES
from jaxpose.train.optimizers import frozen_patterns


class Memory(NamedTuple):
    """Bytes on each device; the module's docstring lists exact and estimated parts."""

    parameters: int
    optimizer: int
    average: int
    gradients: int
    activations: int
    batch: int

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return sum(self)


def abstract_mesh(config: Mesh, devices: int | None) -> jax.sharding.AbstractMesh:
    """Mesh of a configuration over devices that need not exist.

    Args:
      devices: number of devices; None for the product of the axes, none of which may be -1 then.

    Raises:
      InputError: the sizes do not multiply to the number of devices.
    """
    sizes = [config.data, config.fsdp, config.tensor]
    known = math.prod(size for size in sizes if size != -1)
    if devices is None:
        devices = known
    if sizes.count(-1) == 1 and known > 0 and devices % known == 0:
        sizes[sizes.index(-1)] = devices // known
    if min(sizes) < 1 or math.prod(sizes) != devices:
        raise InputError(
            f"A mesh of data={config.data}, fsdp={config.fsdp}, tensor={config.tensor} does not "
            f"fit {devices} devices: the sizes multiply to their number; one of them may be -1."
        )
    return jax.sharding.AbstractMesh(tuple(sizes), AXES)


def memory_per_device(experiment: Experiment, devices: int | None = None) -> Memory:
    """Memory of a training step of the experiment on its mesh, for the device that needs most.

    Raises:
      InputError: a mesh that does not fit the devices or divide the batch, or a rule of the mesh
        that fits no parameter.
    """
    mesh: Any = abstract_mesh(experiment.mesh, devices)
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    at_once = experiment.batch_size // getattr(experiment, "accumulate", 1)
    if at_once % parts:
        raise InputError(f"A batch of {at_once} at once does not split over {parts} devices.")
    state, _ = abstract_state(experiment, mesh)
    parameters = _bytes(state.params)
    frozen = frozen_patterns(experiment.optimizer)
    kept = residual_bytes(experiment.model, experiment.input_hw, frozen)
    plain = without_remat(experiment.model)
    if plain is not experiment.model:
        again = residual_bytes(plain, experiment.input_hw, frozen)
        kept += (again - kept) // experiment.model.backbone.depth
    return Memory(
        parameters=parameters + _bytes(state.base) + _bytes(state.batch_stats),
        optimizer=_bytes(state.opt_state),
        average=_bytes(state.ema),
        gradients=parameters,
        activations=kept * at_once // parts,
        batch=_batch_bytes(experiment) // parts,
    )


def _bytes(tree: Any) -> int:
    """Bytes of sharded arrays on one device."""
    return sum(
        math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in jax.tree.leaves(tree)
    )


def _batch_bytes(experiment: Experiment) -> int:
    if experiment.input_hw is None:
        shape = experiment.model.input_shape()[1:]
        return experiment.batch_size * int(np.prod(shape)) * 4
    # uint8 canvases, 1.5 times the input on each side, and the float32 crops.
    height, width = experiment.input_hw
    return round(experiment.batch_size * height * width * 3 * (4 + 1.5**2))
