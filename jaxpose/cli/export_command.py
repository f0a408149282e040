"""The options of `jaxpose export`; what it does is in `cli.export`."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.choices import Checkpoint, TrustRecipe


class Level(enum.StrEnum):
    """How much goes into the export."""

    MODEL = "model"
    CROPS = "crops"
    PHOTO = "photo"


def export(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN_OR_RELEASE", help="A run directory, or a folder that `convert` wrote."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="FORMAT,...", help="Of stablehlo, savedmodel, tflite and onnx, with commas."
        ),
    ] = "stablehlo",
    level: Annotated[
        Level,
        typer.Option(
            help="`model`: normalised crops to bare outputs. `crops`: uint8 crops to keypoints in "
            "their pixels. `photo`: a photo and boxes to keypoints in its pixels."
        ),
    ] = Level.CROPS,
    flip_test: Annotated[
        bool,
        typer.Option(
            "--flip-test/--no-flip-test",
            help="Average with the mirrored crop: more exact, half as fast.",
        ),
    ] = True,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Crops, people or windows at a time; any number if absent, except in TFLite: 1.",
        ),
    ] = None,
    size: Annotated[
        str,
        typer.Option(metavar="HEIGHTxWIDTH", help="Of the largest photo, for --level photo."),
    ] = "1080x1920",
    float16: Annotated[
        bool, typer.Option("--float16", help="TFLite: store weights in half the bytes.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check/--no-check", help="Run each export again and compare it with JAX."),
    ] = True,
    samples: Annotated[
        int, typer.Option(min=1, help="Drawn people, or windows, to compare and to time with.")
    ] = 4,
    checkpoint: Annotated[
        Checkpoint, typer.Option(help="The checkpoint with the best score, or the newest.")
    ] = Checkpoint.BEST,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what `export` wrote to --out earlier.")
    ] = False,
    trust_recipe: TrustRecipe = False,
) -> None:
    """Write a model for other runtimes, run it there, and compare it with JAX."""
    from jaxpose.cli.export import Options
    from jaxpose.cli.export import export as run_export

    options = Options(
        level=level.value,
        flip_test=flip_test,
        batch=batch,
        size=size,
        float16=float16,
        check=check,
        samples=samples,
        checkpoint=checkpoint.value,
        overwrite=overwrite,
        trust_recipe=trust_recipe,
    )
    raise typer.Exit(run_export(source, out, to, options))
