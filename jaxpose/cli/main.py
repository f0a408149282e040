"""The `jaxpose` command. Only what a command needs is imported, and only when it runs.

Each command stands in a light file `NAME_command.py` with its options, and does its work in
`NAME.py`.
"""

from typing import Annotated

import typer

import jaxpose
from jaxpose.cli import bench_command, data_command, labels_command, objects_command, scaling
from jaxpose.cli.compile_command import compile_
from jaxpose.cli.compiled import keep_compiled
from jaxpose.cli.config_command import config
from jaxpose.cli.convert_command import convert
from jaxpose.cli.demo_command import demo
from jaxpose.cli.doctor_command import doctor
from jaxpose.cli.evaluate_command import evaluate
from jaxpose.cli.export_command import export
from jaxpose.cli.faults import plain_faults
from jaxpose.cli.fit_command import fit
from jaxpose.cli.image_limit import limits_images
from jaxpose.cli.init_command import init
from jaxpose.cli.lift_command import lift
from jaxpose.cli.measure_command import measure
from jaxpose.cli.models_command import models
from jaxpose.cli.plan_run_command import plan_run
from jaxpose.cli.predict_command import predict
from jaxpose.cli.prepare import CONTEXT_SETTINGS, prepare
from jaxpose.cli.score_command import score
from jaxpose.cli.suggest_command import suggest_frames
from jaxpose.cli.train_command import train

app = typer.Typer(
    name="jaxpose",
    help="Human pose estimation in JAX: prepare data, train, evaluate, predict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jaxpose {jaxpose.__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Human pose estimation in JAX: prepare data, train, evaluate, predict."""
    # These two measure how long compiling takes.
    if context.invoked_subcommand not in ("bench", "compile"):
        keep_compiled()


# In the order in which they are used, which is the order of the help.
app.command("suggest-frames")(plain_faults(limits_images(suggest_frames)))
app.command()(plain_faults(limits_images(init)))
app.command(context_settings=CONTEXT_SETTINGS)(plain_faults(prepare))
app.add_typer(data_command.app, name="data")
app.add_typer(labels_command.app, name="skeleton")
app.command()(plain_faults(labels_command.labels))
app.command()(plain_faults(train))
app.command()(plain_faults(config))
app.command("compile")(plain_faults(compile_))
app.command("plan-run")(plain_faults(plan_run))
app.command("eval")(plain_faults(limits_images(evaluate)))
app.command()(plain_faults(score))
app.command()(plain_faults(limits_images(predict)))
app.command()(plain_faults(demo))
app.command()(plain_faults(lift))
app.command()(plain_faults(measure))
app.command()(plain_faults(limits_images(fit)))
app.command()(plain_faults(models))
app.command()(plain_faults(convert))
app.command()(plain_faults(export))
app.add_typer(objects_command.app, name="objects")
app.add_typer(scaling.app, name="scaling")
app.add_typer(bench_command.app, name="bench")
app.command()(plain_faults(doctor))
