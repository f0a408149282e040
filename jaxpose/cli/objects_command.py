"""The options of `jaxpose objects`; what it does is in `cli.objects`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.faults import plain_faults
from jaxpose.cli.image_limit import limits_images
from jaxpose.cli.options import takes

app = typer.Typer(
    help="Predict and score poses (6DoF) of known rigid objects.", no_args_is_help=True
)

Split = Annotated[str, typer.Option(help="Folder of the split of a BOP dataset.")]


@dataclass(frozen=True)
class PredictObjects:
    """Options of `jaxpose objects predict`."""

    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="IN...",
            help="Images, or the folder of one BOP dataset, which has boxes and cameras.",
        ),
    ]
    run: Annotated[
        str,
        typer.Option("--from", metavar="MODEL", help="A run or release of a model of objects."),
    ]
    out: Annotated[Path, typer.Option(help="Folder to write.")]
    focal: Annotated[
        float | None,
        typer.Option(help="Focal length of the images' camera in pixels; its axis is central."),
    ] = None
    intrinsics: Annotated[
        str | None,
        typer.Option(
            metavar="FX,FY,CX,CY", help="Intrinsics of the images' camera, in place of --focal."
        ),
    ] = None
    box: Annotated[
        list[str],
        typer.Option(
            metavar="X,Y,W,H",
            help="Box of an object in pixels, in each image; may be repeated. Default: the whole "
            "image.",
        ),
    ] = field(default_factory=list)
    object: Annotated[
        list[int],
        typer.Option(metavar="ID", help="Number of the object in each --box, in their order."),
    ] = field(default_factory=list)
    models: Annotated[
        Path | None,
        typer.Option(
            help="Folder with models_info.json: keypoints in 3D, for a model that was converted."
        ),
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Largest distance of a keypoint from the pose that it agrees with, in longer "
            "sides of the object's box; the value of the model if absent (0.04)."
        ),
    ] = None
    split: Split = "test"
    depth: Annotated[
        bool,
        typer.Option(
            "--depth",
            help="Refine each pose by the depth images of the BOP dataset, with ICP; needs "
            "`pip install 'jaxpose[icp]'`.",
        ),
    ] = False
    draw: Annotated[bool, typer.Option(help="Draw axes and boxes on the images.")] = True
    batch_size: Annotated[int, typer.Option(min=1, help="Crops in one forward pass.")] = 8
    trust_recipe: Annotated[
        bool, typer.Option("--trust-recipe", help="Run a recipe of another machine or user.")
    ] = False


@dataclass(frozen=True)
class ScoreObjects:
    """Options of `jaxpose objects score`."""

    results: Annotated[
        Path, typer.Argument(metavar="CSV", help="Results in the format of the BOP challenge.")
    ]
    bop: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of the BOP dataset.")]
    split: Split = "test"
    models: Annotated[str, typer.Option(help="Folder of the models in the dataset.")] = "models"
    object: Annotated[
        list[int],
        typer.Option(
            metavar="ID", help="Number of an object to score; may be repeated. Default: all."
        ),
    ] = field(default_factory=list)
    min_visible: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Least share of an object that is seen.")
    ] = 0.1
    vsd: Annotated[
        bool,
        typer.Option(
            help="Draw the depth of each result for AR_VSD, where the dataset has depth images."
        ),
    ] = True
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@dataclass(frozen=True)
class DrawObjects:
    """Options of `jaxpose objects draw`."""

    out: Annotated[Path, typer.Argument(help="Folder to write, new or empty.")]
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 20
    seed: Annotated[int, typer.Option(min=0, help="Number of the set.")] = 0
    size: Annotated[int, typer.Option(min=32, help="Height and width in pixels.")] = 160
    split: Split = "test"


@app.command()
@plain_faults
@limits_images
@takes(PredictObjects)
def predict(options: PredictObjects) -> None:
    """Predict the poses of objects in images, or in a BOP dataset as its CSV of results."""
    from jaxpose.cli.objects import predict_objects

    raise typer.Exit(predict_objects(options))


@app.command()
@plain_faults
@takes(ScoreObjects)
def score(options: ScoreObjects) -> None:
    """Score results in the format of the BOP challenge: ADD(-S), MSSD, MSPD, VSD."""
    from jaxpose.cli.objects_score import score_objects

    raise typer.Exit(score_objects(options))


@app.command()
@plain_faults
@takes(DrawObjects)
def draw(options: DrawObjects) -> None:
    """Draw images of five objects with their poses, as a BOP dataset."""
    from jaxpose.cli.objects import draw_dataset

    raise typer.Exit(draw_dataset(options))
