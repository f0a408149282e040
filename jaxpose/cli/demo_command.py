"""The options of `jaxpose demo`; what it does is in `cli.demo`."""

from typing import Annotated

import typer

from jaxpose.cli.choices import Checkpoint, TrustRecipe


def demo(
    run: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="A run directory, a folder that `convert` wrote, a checkpoint that it knows, or "
            "the https:// address of either.",
        ),
    ],
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Weights of YOLOX or RTMDet, which find the people. Without one each photo is "
            "taken as one person.",
        ),
    ] = None,
    lifter: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A lifter: people in space as well.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the page.")] = 7860,
    max_upload_mb: Annotated[
        float, typer.Option(min=0.1, help="Larger uploads are refused.")
    ] = 64.0,
    max_megapixels: Annotated[
        float, typer.Option(min=0.01, help="Larger photos and frames are refused.")
    ] = 50.0,
    max_film_seconds: Annotated[
        float, typer.Option(min=0.1, help="Longer films are cut there.")
    ] = 20.0,
    checkpoint: Annotated[
        Checkpoint, typer.Option(help="The checkpoint with the best score, or the newest.")
    ] = Checkpoint.BEST,
    trust_recipe: TrustRecipe = False,
) -> None:
    """Serve a page: hand over a photo or a film, see skeletons, take a table home."""
    from jaxpose.cli.demo import demo as serve
    from jaxpose.demo.limits import Limits

    limits = Limits(max_upload_mb, max_megapixels, max_film_seconds)
    serve(run, detector, lifter, checkpoint.value, host, port, limits, trust_recipe)
