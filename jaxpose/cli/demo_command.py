"""The options of `jaxpose demo`; what it does is in `cli.demo`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import (
    MODEL_SOURCES,
    Checkpoint,
    OldName,
    PipelineOverrides,
    TrustRecipe,
    takes,
)


@dataclass(frozen=True)
class Demo:
    """Options of `jaxpose demo`."""

    run: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help=f"{MODEL_SOURCES}, or the https:// address of a file or folder. Without it, the "
            "default models of --quality. The page offers the published models, too.",
        ),
    ] = None
    quality: Annotated[
        Literal["fast", "balanced", "accurate"] | None,
        typer.Option(
            help="Default pose model and person detector, without --from: fast, balanced (the "
            "default) or accurate."
        ),
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Person detector: a published name, weights of YOLOX or RTMDet, or an address. "
            "With --from and no detector, each image is taken as one person.",
        ),
    ] = None
    lifter: Annotated[
        str | None,
        typer.Option("--lifter", "--lift", metavar="MODEL", help="A lifter: people in 3D as well."),
    ] = None
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 7860
    max_upload_mb: Annotated[
        float, typer.Option(min=0.1, help="Largest upload in MB; larger ones are refused.")
    ] = 64.0
    max_megapixels: Annotated[
        float, typer.Option(min=0.01, help="Largest image or frame; larger ones are refused.")
    ] = 50.0
    max_video_seconds: Annotated[
        float,
        typer.Option(min=0.1, help="Longest video; the rest of a longer one is left out."),
        OldName("--max-film-seconds"),
    ] = 20.0
    checkpoint: Checkpoint = "best"
    trust_recipe: TrustRecipe = False
    set_: PipelineOverrides = field(default_factory=list)


@takes(Demo)
def demo(options: Demo) -> None:
    """Serve a page: upload an image or a video, see skeletons, download tables."""
    from jaxpose.cli.demo import demo as serve

    serve(options)
