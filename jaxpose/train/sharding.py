"""Layout of the train state on the mesh: rules from a parameter's path to its PartitionSpec.

A rule's spec is for the last axes of a parameter, because the layers of a transformer are stacked
along the first axis. The modules of a model declare the rules for tensor parallelism
(`ParameterRules`). Optimizer state and moving average have the layout of their parameters.
Statistics without one of a parameter's axes (Adafactor's) have the layout of its other axes. All
other arrays are replicated on every device.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxpose.errors import InputError
from jaxpose.models.outputs import outputs_through
from jaxpose.models.split import split_over
from jaxpose.train.experiment import Mesh
from jaxpose.train.mesh import AXES, batch_sharded, model_split
from jaxpose.train.parameter_groups import ParameterGroups, path_name

Rule = tuple[str, tuple[str | None, ...]]


@dataclass(frozen=True)
class Layout:
    """Placement of a train state on a mesh.

    Attributes:
      mesh: the devices.
      state: a tree of NamedSharding with the structure of the state.
    """

    mesh: jax.sharding.Mesh
    state: Any

    def parameters(self, tree: Any) -> Any:
        """Give `tree`, such as gradients, the layout of the parameters; to be called inside jit."""
        return jax.lax.with_sharding_constraint(tree, self.state.params)

    def apply(self, function: Callable[..., Any], batch_size: int) -> Callable[..., Any]:
        """Wrap `function`, which applies a model, so that activations are split over the batch.

        The model may choose kernels for the devices of the mesh (`models.split`).

        Without the split, XLA may keep the weights sharded and move activations instead. Also,
        XLA's partitioner (jax 0.10) computes a wrong gradient for a strided convolution whose
        kernel is split by inputs and by outputs, if it follows a convolution that is split by
        outputs. This does not occur as long as maps are not split by channels.
        """
        only_batch = self.mesh.shape["fsdp"] * self.mesh.shape["tensor"] == 1
        first = batch_sharded(self.mesh).spec[0]

        def split(x: Any) -> Any:
            if not isinstance(x, jax.Array) or x.ndim < 2 or x.shape[0] != batch_size:
                return x
            # Tokens [B, N, D] may also be split by features; maps [B, h, w, C] are not.
            rest = PartitionSpec.UNCONSTRAINED if x.ndim < 4 else None
            spec = PartitionSpec(first, *[rest] * (x.ndim - 1))
            return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, spec))

        def applied(*args: Any, **kwargs: Any) -> Any:
            with split_over(model_split(self.mesh)):
                if only_batch:
                    return function(*args, **kwargs)
                with outputs_through(split):
                    return function(*args, **kwargs)

        return applied


def lay_out(config: Mesh, mesh: jax.sharding.Mesh, state: Any, groups: ParameterGroups) -> Layout:
    """Compute the layout of `state` (a TrainState of arrays or shapes) on the mesh.

    Args:
      config: mesh settings of the experiment, with its rules.
      mesh: the devices.
      state: arrays or shapes.
      groups: groups of the model's parameters.

    Raises:
      InputError: a rule of the configuration matches no parameter, names an unknown axis, or does
        not divide a parameter evenly.
    """
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    leaves += jax.tree_util.tree_leaves_with_path(state.base)
    names = [path_name(path) for path, _ in leaves]
    _check_rules(config.rules, names)
    specs = {
        name: (leaf.shape, _spec(name, leaf.shape, config, mesh, groups))
        for name, (_, leaf) in zip(names, leaves, strict=True)
    }

    def place(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        name = path_name(path)
        # `opt_state/1/mu/backbone/...` ends with the parameter's own path.
        while name and name not in specs:
            name = name.partition("/")[2]
        shape, spec = specs.get(name, ((), PartitionSpec()))
        if shape == leaf.shape:
            return NamedSharding(mesh, spec)
        return NamedSharding(mesh, _without_one_axis(shape, spec, leaf.shape))

    return Layout(mesh, jax.tree_util.tree_map_with_path(place, state))


def _without_one_axis(
    shape: tuple[int, ...], spec: PartitionSpec, reduced: tuple[int, ...]
) -> PartitionSpec:
    """Spec of a mean over one axis of a parameter; if several fit, the one with most split axes."""
    axes = list(spec) + [None] * (len(shape) - len(spec))
    fitting = [
        PartitionSpec(*axes[:i], *axes[i + 1 :])
        for i in range(len(shape))
        if shape[:i] + shape[i + 1 :] == reduced
    ]
    return max(fitting, key=lambda s: len(s) - list(s).count(None), default=PartitionSpec())


def put(tree: Any, shardings: Any) -> Any:
    """Make global arrays from host arrays that every process has; a device gets only its part."""

    def place(x: Any, sharding: NamedSharding) -> jax.Array:
        array = np.asarray(x)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(place, tree, shardings)


def _check_rules(rules: tuple[Rule, ...], names: list[str]) -> None:
    for pattern, spec in rules:
        try:
            matched = any(re.fullmatch(pattern, name) for name in names)
        except re.error as error:
            raise InputError(
                f"mesh.rules: {pattern!r} is not a regular expression: {error}."
            ) from None
        if not matched:
            raise InputError(
                f"mesh.rules has {pattern!r}, which matches no parameter. The first parameters "
                f"are: {', '.join(names[:4])}."
            )
        used = [axis for axis in spec if axis is not None]
        if not set(used) <= set(AXES) or len(set(used)) < len(used):
            raise InputError(
                f"mesh.rules: {pattern!r} has the axes {spec}; allowed are None and, at most once "
                f"each, {', '.join(AXES)}."
            )


def _spec(
    name: str,
    shape: tuple[int, ...],
    config: Mesh,
    mesh: jax.sharding.Mesh,
    groups: ParameterGroups,
) -> PartitionSpec:
    for pattern, spec in config.rules:
        if re.fullmatch(pattern, name):
            return PartitionSpec(*_by_rule(name, shape, pattern, spec, mesh))
    axes: list[str | None] = [None] * len(shape)
    if mesh.shape["tensor"] > 1:
        axes = _by_declared_rule(groups.tensor_spec(name, len(shape)), shape, mesh)
    parts = mesh.shape["fsdp"]
    if parts > 1 and np.prod(shape) >= config.fsdp_from:
        # The loop over stacked layers takes one layer at a time, so that axis is not split.
        free = [
            axis
            for axis in range(int(groups.is_stacked(name)), len(shape))
            if axes[axis] is None and shape[axis] % parts == 0
        ]
        if free:
            axes[max(free, key=lambda axis: shape[axis])] = "fsdp"
    return PartitionSpec(*axes)


def _by_rule(
    name: str,
    shape: tuple[int, ...],
    pattern: str,
    spec: tuple[str | None, ...],
    mesh: jax.sharding.Mesh,
) -> list[str | None]:
    if len(spec) > len(shape):
        raise InputError(f"mesh.rules: {pattern!r} has {len(spec)} axes, {name} only {len(shape)}.")
    axes = [None] * (len(shape) - len(spec)) + list(spec)
    for size, axis in zip(shape, axes, strict=True):
        if axis is not None and size % mesh.shape[axis]:
            raise InputError(
                f"mesh.rules: {pattern!r} splits an axis of {size} of {name} {list(shape)} over "
                f"{axis} = {mesh.shape[axis]}, which does not divide it."
            )
    return axes


def _by_declared_rule(
    spec: tuple[str | None, ...] | None, shape: tuple[int, ...], mesh: jax.sharding.Mesh
) -> list[str | None]:
    """Axes of a rule that the model declares; an axis that does not divide evenly is not split."""
    axes = [None] * (len(shape) - len(spec or ())) + list(spec or ())
    return [
        axis if axis is None or size % mesh.shape[axis] == 0 else None
        for size, axis in zip(shape, axes, strict=True)
    ]
