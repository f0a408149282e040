"""The options of `jaxpose convert`; what it does is in `cli.convert`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.options import Checkpoint, OldName, TrustRecipe, takes


@dataclass(frozen=True)
class Convert:
    """Options of `jaxpose convert`; those of `ConvertOptions` have the same names there."""

    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A run directory, a checkpoint (.safetensors, .pth, .pt, .bin or .npz), or the "
            "https:// address of a checkpoint. `predict`, `export` and the others take a published "
            "name or a release as it is.",
        ),
    ]
    out: Annotated[Path, typer.Argument(help="The release folder to write.")]
    model: Annotated[
        str | None,
        typer.Option(
            help="A name from `jaxpose models`; if absent, found by the arrays, the metadata and "
            "the file's name."
        ),
    ] = None
    keypoints: Annotated[
        int | None, typer.Option(min=1, help="Number of keypoints; that of the head if absent.")
    ] = None
    input_size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH",
            help="Size in pixels of the images it was trained on; if absent, that of the arrays "
            "where they determine it, or else the published one.",
        ),
    ] = None
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Keypoints of the model: a name such as coco17, or a .toml or .py file; if "
            "absent, those of the checkpoint's data set, or else the published model's."
        ),
    ] = None
    ema: Annotated[
        bool | None,
        typer.Option(
            "--ema/--no-ema",
            help="Take the moving average of the weights, or the weights themselves, where a file "
            "has both; if absent, the one that its own project evaluates with.",
        ),
    ] = None
    reset_head: Annotated[
        bool, typer.Option("--reset-head", help="Keep only the backbone (needs --model).")
    ] = False
    half: Annotated[
        bool,
        typer.Option(
            "--half", help="Store the weights as float16: half the size, rounded to 3 digits."
        ),
    ] = False
    checkpoint: Checkpoint = "best"
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace what this command wrote to OUT earlier."),
        OldName("--force"),
    ] = False
    report: Annotated[
        Path | None, typer.Option(help="File for the full list of arrays that do not fit.")
    ] = None
    trust_recipe: TrustRecipe = False


@takes(Convert)
def convert(options: Convert) -> None:
    """Turn a PyTorch checkpoint, or a run, into a release: safetensors, config.json, model card."""
    from jaxpose.cli.convert import convert as release
    from jaxpose.cli.options import same_fields
    from jaxpose.hub.convert_options import ConvertOptions

    chosen = same_fields(options, ConvertOptions)
    status = release(
        options.source,
        options.out,
        chosen,
        checkpoint=options.checkpoint,
        trust_recipe=options.trust_recipe,
    )
    raise typer.Exit(status)
