"""The options of `jaxpose fit`; what it does is in `cli.fit`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import Sets, takes


@dataclass(frozen=True)
class Fit:
    """Options of `jaxpose fit`; those with `Sets` are of `bodies.fit.Fitting`."""

    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN",
            help="JSON or JSON lines that `predict` wrote, or the folder of a prepared dataset.",
        ),
    ]
    out: Annotated[
        list[Path],
        typer.Argument(
            metavar="OUT...",
            help="Files to write: .npz (parameters of all people), .obj (meshes of one image), "
            ".png or .jpg (one image with the bodies drawn on it).",
        ),
    ]
    split: Annotated[
        str | None, typer.Option(help="Split of a prepared dataset, such as train.")
    ] = None
    body: Annotated[
        Path | None,
        typer.Option(
            help="A body model of yours: .npz or .pkl of SMPL, SMPL-H, SMPL-X or MANO. The free "
            "body of jaxpose if absent."
        ),
    ] = None
    gender: Annotated[
        Literal["female", "male", "neutral"] | None,
        typer.Option(help="Refuse a body model of another gender."),
    ] = None
    hand: Annotated[
        Literal["left", "right"] | None,
        typer.Option(
            help="With a --body of MANO: the hands to fit; those of the file's side if absent."
        ),
    ] = None
    image: Annotated[
        Path | None,
        typer.Option(help="The image or video of the keypoints, to draw the bodies on."),
    ] = None
    frame: Annotated[
        int | None,
        typer.Option(min=0, help="Frame of a video for .obj and .png; the first one if absent."),
    ] = None
    focal: Annotated[
        float | None,
        typer.Option(min=1.0, help="Focal length in pixels; the diagonal of the image if absent."),
    ] = None
    skeleton: Annotated[
        str | None, typer.Option(help="Skeleton of a bare list of keypoints, such as coco17.")
    ] = None
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size of the images, for a bare list of keypoints."),
    ] = None
    min_score: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Keypoints below this score are not used."),
        Sets("min_score"),
    ] = 0.3
    prior: Annotated[
        Path | None,
        typer.Option(
            help="Prior of poses that `jaxpose prepare pose_prior` wrote; drawn people's if absent."
        ),
    ] = None
    pose_weight: Annotated[
        float,
        typer.Option(min=0.0, help="Factor on the prior of the pose; 0 switches it off."),
        Sets("pose_weight"),
    ] = 1.0
    shape_weight: Annotated[
        float,
        typer.Option(min=0.0, help="Factor on the prior of the shape; 0 switches it off."),
        Sets("shape_weight"),
    ] = 1.0


@takes(Fit)
def fit(options: Fit) -> None:
    """Fit body meshes to people's keypoints: shape, pose and position in 3D."""
    from jaxpose.cli.fit import fit as fit_file

    raise typer.Exit(fit_file(options))
