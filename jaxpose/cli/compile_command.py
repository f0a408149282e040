"""The options of `jaxpose compile`; what it does is in `cli.compile`."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from jaxpose.cli.options import Mesh, Overrides, Recipe, takes


@dataclass(frozen=True)
class Compile:
    """Options of `jaxpose compile`."""

    config: Recipe
    devices: Annotated[int, typer.Option(min=1, help="Number of devices to compile for.")]
    mesh: Mesh = None
    set_: Overrides = field(default_factory=list)
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@takes(Compile)
def compile_(options: Compile) -> None:
    """Compile a training step for many simulated devices: memory, FLOPs, traffic of each."""
    from jaxpose.cli.compile import compile_recipe

    compile_recipe(options)
