"""`jaxpose scaling count`: the cost of training a recipe."""

import dataclasses
from collections.abc import Sequence

from rich.table import Table

from jaxpose.config import override
from jaxpose.console import PlainConsole
from jaxpose.scaling.memory import memory_per_device
from jaxpose.scaling.training_cost import experiment_cost
from jaxpose.train.mesh import parse_mesh
from jaxpose.train.recipe import load_recipe

GIB = 2**30


def count(config: str, mesh: str, devices: int | None, set_: Sequence[str]) -> None:
    """Print parameters, FLOPs and memory of the recipe `config` on a mesh.

    `devices` is needed for a mesh with an axis of -1; None is 1.

    Raises:
      InputError: an error of `parse_mesh` or `memory_per_device`.
    """
    experiment = override(load_recipe(config), set_)
    if mesh:
        experiment = dataclasses.replace(experiment, mesh=parse_mesh(mesh, experiment.mesh))
    sizes = (experiment.mesh.data, experiment.mesh.fsdp, experiment.mesh.tensor)
    if devices is None and -1 in sizes:
        devices = 1
    cost = experiment_cost(experiment)
    memory = memory_per_device(experiment, devices)
    batch = experiment.batch_size
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="left")
    table.add_column(justify="right")
    rows = {
        "parameters": f"{cost.parameters:,}",
        "of these trained": f"{cost.trainable:,}",
        "forward, a sample": f"{2 * cost.forward / 1e9:,.4g} GFLOPs",
        "backward, a sample": f"{2 * cost.backward / 1e9:,.4g} GFLOPs",
        "recomputed, a sample": f"{2 * cost.recomputed / 1e9:,.4g} GFLOPs",
        f"a step of {batch:,}": f"{cost.flops * batch / 1e12:,.4g} TFLOPs",
        f"{experiment.steps:,} steps": f"{cost.flops * batch * experiment.steps:.4g} FLOPs",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    table.add_section()
    for name, size in memory._asdict().items():
        exact = "" if name in ("parameters", "optimizer", "average") else " (estimate)"
        table.add_row(f"{name} on a device{exact}", _size(size))
    table.add_row("together", _size(memory.total))
    PlainConsole().print(table)


def _size(number: int) -> str:
    return f"{number / GIB:.3f} GiB" if number >= GIB / 10 else f"{number / 2**20:.2f} MiB"
