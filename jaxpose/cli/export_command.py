"""The options of `jaxpose export`; what it does is in `cli.export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import MODEL_SOURCES, Checkpoint, TrustRecipe, flip_flags, takes


@dataclass(frozen=True)
class Export:
    """Options of `jaxpose export`."""

    source: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help=f"{MODEL_SOURCES}, or the https:// address of a file or folder."
        ),
    ]
    out: Annotated[Path, typer.Option(help="The folder to write.")]
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT,...",
            help="One or several of stablehlo, savedmodel, tflite and onnx, with commas between.",
        ),
    ] = "stablehlo"
    level: Annotated[
        Literal["model", "crops", "photo"],
        typer.Option(
            help="`model`: normalised crops to raw outputs. `crops`: uint8 crops to keypoints in "
            "their pixels. `photo`: an image and boxes to keypoints in its pixels."
        ),
    ] = "crops"
    flip_test: Annotated[
        bool, flip_flags("Average with the mirrored crop: more accurate, half as fast.")
    ] = True
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Crops, people or windows at a time; any number if absent, except in TFLite: 1.",
        ),
    ] = None
    size: Annotated[
        str,
        typer.Option(
            metavar="HEIGHTxWIDTH", help="Size of the largest image, for `--level photo`."
        ),
    ] = "1080x1920"
    float16: Annotated[
        bool, typer.Option("--float16", help="TFLite: store weights in half the bytes.")
    ] = False
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Run each export again and compare it with JAX."),
    ] = True
    samples: Annotated[
        int,
        typer.Option(
            min=1, help="Number of synthetic people, or windows, to compare and to time with."
        ),
    ] = 4
    checkpoint: Checkpoint = "best"
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what this command wrote to --out earlier.")
    ] = False
    trust_recipe: TrustRecipe = False


@takes(Export)
def export(options: Export) -> None:
    """Write a model for other runtimes, run it there, and compare it with JAX."""
    from jaxpose.cli.export import export as run_export

    raise typer.Exit(run_export(options))
