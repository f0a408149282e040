"""The options of `jaxpose plan-run`; what it does is in `cli.plan_run`."""

from dataclasses import dataclass, field
from typing import Annotated

import typer

from jaxpose.cli.options import Overrides, Recipe, takes


@dataclass(frozen=True)
class PlanRun:
    """Options of `jaxpose plan-run`."""

    config: Recipe
    chips: Annotated[
        str,
        typer.Option(
            metavar="CHIP:TOPOLOGY",
            help="Chips to plan for: v4, v5e, v5p or v6e with the shape of a slice, such as "
            "v5e:16x16; a100, h100, h200, b200, l4 or t4 with a number of GPUs, such as h100:8.",
        ),
    ]
    days: Annotated[
        float, typer.Option(help="Days that the run may take; prints the steps done by then.")
    ] = 3.0
    mfu: Annotated[
        float,
        typer.Option(
            help="Assumed share of the chips' peak FLOP/s that the model's own FLOPs reach. It is "
            "an assumption: measure it with `jaxpose bench step` on such a chip.",
        ),
    ] = 0.4
    samples_per_core: Annotated[
        float,
        typer.Option(
            help="Samples per second that one core of a host prepares; `jaxpose bench data` "
            "measures it.",
        ),
    ] = 1000.0
    set_: Overrides = field(default_factory=list)
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@takes(PlanRun)
def plan_run(options: PlanRun) -> None:
    """Plan a training run on chips that are not here: settings that fit, days, cores for input.

    Mesh, accumulation and rematerialisation fit the memory by estimate, for the recipe's batch. The
    days follow from an assumed MFU.
    """
    from jaxpose.cli.plan_run import plan_recipe

    plan_recipe(options)
