"""`jaxpose plan-run`: a training run on a slice of chips, by estimate."""

import dataclasses
import json
from contextlib import suppress

import jax
from rich.table import Table

from jaxpose.chips.run_plan import RunPlan, plan_run
from jaxpose.chips.topology import Slice, parse_slice
from jaxpose.cli.compile_chips import train_command
from jaxpose.cli.plan_run_command import PlanRun
from jaxpose.config import override
from jaxpose.console import PlainConsole
from jaxpose.train.recipe import load_recipe

_GIB = 2**30


def plan_recipe(options: PlanRun) -> None:
    """Plan a run of a recipe and print the plan and the command.

    Raises:
      InputError: an error of `parse_slice` or `plan_run`.
    """
    wanted = parse_slice(options.chips)
    with suppress(RuntimeError):  # JAX has started
        jax.config.update("jax_platforms", "cpu")
    experiment = override(load_recipe(options.config), options.set_)
    plan = plan_run(experiment, wanted, options.days, options.mfu, options.samples_per_core)
    command = f"{train_command(options.config, options.set_)} {plan.setting.flags(experiment)}"
    console = PlainConsole()
    if options.json:
        report = dataclasses.asdict(plan) | {"chips": str(wanted), "command": command}
        console.print_json(json.dumps(report))
        return
    _print(console, plan, wanted, options)
    console.print(command, style="bold")


def _print(console: PlainConsole, plan: RunPlan, wanted: Slice, options: PlanRun) -> None:
    setting = plan.setting
    table = Table(f"{options.config} on {wanted}", "", show_header=True, box=None)
    table.add_row("chips", f"{wanted.count}, {setting.fsdp} of them share the parameters (fsdp)")
    parts = f" in {setting.accumulate} parts" if setting.accumulate > 1 else ""
    table.add_row("batch", f"{setting.batch}{parts}, {setting.batch // wanted.count} a chip")
    if setting.remat is not None:
        table.add_row("rematerialisation", setting.remat)
    hbm = wanted.chip.hbm
    table.add_row(
        "memory of a chip, estimated", f"{plan.memory / _GIB:.1f} of {hbm / _GIB:.0f} GiB"
    )
    table.add_row("model FLOPs of the run", f"{plan.model_flops:.2e}")
    table.add_row("MFU", f"{plan.mfu:.0%} assumed; by estimate at most {plan.bound:.0%}")
    table.add_row("a step", f"{1e3 * plan.step_seconds:,.0f} ms")
    table.add_row(f"the recipe's {plan.steps:,} steps", f"{plan.days:.2f} days")
    table.add_row(f"steps in {options.days:g} days", f"{plan.steps_in_time:,}")
    cores = "none: the data is kept on the devices"
    if plan.cores:
        cores = (
            f"{plan.cores:,} of all hosts, for {plan.samples_per_second:,.0f} samples/s at "
            f"{options.samples_per_core:,.0f} a core (assumed)"
        )
    table.add_row("cores for the input", cores)
    console.print(table)
    if options.mfu > plan.bound:
        console.print(
            f"An MFU of {options.mfu:.0%} is more than these settings can reach by estimate; the "
            f"days are for {plan.mfu:.0%}."
        )
    console.print(
        "Estimated from traces, without a compiler: `jaxpose compile RECIPE --chips "
        f"{wanted}` with the settings below confirms the memory. Evaluations, checkpoints and "
        "the start come on top.",
        style="dim",
    )
