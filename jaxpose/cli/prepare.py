"""`jaxpose prepare NAME ...`: runs a dataset script of `data_prep/`, or one's own."""

from typing import Annotated

import typer

from jaxpose.cli.image_limit import limits_images
from jaxpose.counts import print_counts
from jaxpose.errors import InputError

CONTEXT_SETTINGS = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],  # `jaxpose prepare coco --help` is the script's own help
}


def prepare(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(help="A dataset script, such as coco, labels or lsp, or the path of one."),
    ],
) -> None:
    """Turn a dataset's own files into records; `jaxpose prepare NAME --help` lists its options."""
    if name in ("-h", "--help"):
        typer.echo(context.get_help())
        raise typer.Exit
    from jaxpose.config.scripts import find_script, load_script

    file = find_script(name, "data_prep")
    script = load_script(file)
    command = getattr(script, "prepare", None)
    if not callable(command):
        raise InputError(f"{file} has no function `prepare`; see data_prep/coco.py for one.")
    app = typer.Typer(add_completion=False)
    app.command()(limits_images(command))
    summary = app(args=context.args, prog_name=f"jaxpose prepare {name}", standalone_mode=False)
    # With --help, and with a callback that returns early, Click hands back an exit status.
    if hasattr(summary, "print"):
        summary.print()
    if counts := getattr(summary, "counts", None):
        raise typer.Exit(print_counts(counts))
