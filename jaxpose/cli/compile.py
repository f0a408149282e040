"""`jaxpose compile`: the cost of a training step on each of many simulated devices."""

import dataclasses
import json
import time
from typing import Any

import jax
from rich.table import Table

from jaxpose.chips import hlo_cost
from jaxpose.chips.programs import abstract_arguments, with_batch
from jaxpose.cli.compile_command import Compile
from jaxpose.config import override
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.models.build import count_parameters
from jaxpose.scaling.flops import multiply_adds
from jaxpose.train.experiment import Experiment
from jaxpose.train.mesh import check_batch, make_mesh, parse_mesh
from jaxpose.train.recipe import load_recipe
from jaxpose.train.state import TrainState
from jaxpose.train.step import lower_step, train_step

_GIB = 2**30


def compile_recipe(options: Compile) -> None:
    """Compile the training step of a recipe for `options.devices` simulated CPU devices."""
    console = PlainConsole()
    assert options.devices is not None
    experiment = experiment_of(options)
    report = account(experiment, _simulated(options.devices))
    if options.json:
        console.print_json(json.dumps(report))
        return
    shape = ", ".join(f"{axis} {size}" for axis, size in report["mesh"].items())
    console.print(
        f"{report['parameters'] / 1e6:,.0f} M parameters, batch {experiment.batch_size}, "
        f"{options.devices} devices ({shape}); compiled in {report['compile_seconds']:.1f} s.",
    )
    table = Table("each device, each step", "", show_header=True, box=None)
    table.add_row("state and batch", f"{report['state_and_batch_bytes'] / _GIB:.2f} GiB")
    table.add_row("temporary", f"{report['temporary_bytes'] / _GIB:.2f} GiB")
    table.add_row("memory in all", f"{report['memory_bytes'] / _GIB:.2f} GiB")
    table.add_row("FLOPs (the step's, shared out)", f"{report['flops'] / 1e9:,.1f} G")
    table.add_row("FLOPs (XLA; loop bodies once)", f"{report['xla_flops'] / 1e9:,.1f} G")
    for kind, found in report["collectives"].items():
        table.add_row(f"{kind} x {found['number']}", f"{found['sent_bytes'] / 1e6:,.1f} MB sent")
    console.print(table)
    console.print(
        "Simulated on CPU: computes bfloat16 in float32, which takes more memory and traffic than "
        "an accelerator's, and shards by the same rules. Data kept on devices (`resident`, "
        "lifting) come on top.",
        style="dim",
    )


def experiment_of(options: Compile, recipe: str | None = None) -> Experiment:
    """Experiment of the recipe, or of another one, with the changes that the options ask for."""
    experiment = override(load_recipe(recipe or options.config), options.set_)
    if options.mesh is not None:
        mesh = parse_mesh(options.mesh, experiment.mesh)
        experiment = dataclasses.replace(experiment, mesh=mesh)
    return with_batch(experiment, options.program, options.batch)


def account(experiment: Experiment, devices: list[jax.Device]) -> dict[str, Any]:
    """Cost of the step on `devices`, as JSON types; nothing is allocated and nothing runs.

    Raises:
      InputError: the mesh or the batch does not fit the devices.
    """
    mesh = make_mesh(experiment.mesh, devices)
    check_batch(experiment.batch_size, mesh, "batch_size", experiment.accumulate)
    state, batch, key = abstract_arguments(experiment, mesh)
    begun = time.perf_counter()
    compiled = lower_step(experiment, state, batch, key).compile()
    seconds = time.perf_counter() - begun
    memory = hlo_cost.memory(compiled)
    costs = compiled.cost_analysis() or {}
    work = 2 * multiply_adds(lambda s, b, k: _whole_step(experiment, s, b, k), state, batch, key)
    return {
        "devices": len(devices),
        "mesh": dict(mesh.shape),
        "parameters": count_parameters({"params": state.params}),
        "compile_seconds": seconds,
        "state_and_batch_bytes": memory.state_and_batch,
        "temporary_bytes": memory.temporary,
        "memory_bytes": memory.total,
        "flops": work / len(devices),
        "xla_flops": float(costs.get("flops", 0.0)),
        "collectives": {
            kind: {"number": found.number, "sent_bytes": found.sent}
            for kind, found in hlo_cost.traffic(compiled.as_text() or "").items()
        },
    }


def _whole_step(experiment: Experiment, state: TrainState, batch: Any, key: jax.Array) -> Any:
    tx = experiment.optimizer.build(experiment.steps, experiment.model)
    return train_step(state, batch, key, experiment=experiment, tx=tx)


def _simulated(count: int) -> list[jax.Device]:
    try:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # JAX has started: with enough devices, one hopes
        pass
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise InputError(f"JAX has already started with {len(devices)} devices, not {count}.")
    return devices[:count]
