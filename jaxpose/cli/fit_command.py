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
            help="JSON or JSON lines that `predict` wrote, JSON that `lift` wrote, or the folder "
            "of a prepared dataset.",
        ),
    ]
    out: Annotated[
        list[Path],
        typer.Argument(
            metavar="OUT...",
            help="Files to write: .npz (parameters of all people), .obj (meshes of one image), "
            ".png or .jpg (one image with the bodies drawn on it), .glb (meshes of one image, or "
            "animated ones of a video), .bvh (motion of one track of a video), .gif or .mp4 "
            "(bodies from all sides; of a video with --image, drawn on its frames).",
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
    only: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Fit only the people of this image or video, where the file has several: its path "
            "or its name.",
        ),
    ] = None
    track: Annotated[
        int | None,
        typer.Option(
            help="Fit only the person of this track. A .bvh needs it if there are several."
        ),
    ] = None
    frame: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Show this frame of a video. If absent, .glb, .gif and .mp4 show the whole video, "
            "and others its first frame with a person.",
        ),
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
    starts: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of poses that each fit begins from, at most; the best fit counts. More of "
            "them find better fits and take longer: 4 if absent, 32 with --prior.",
        ),
    ] = None
    pixel_sigma: Annotated[
        float | None,
        typer.Option(
            min=1e-4,
            help="Expected error of a keypoint as a share of the person's size; a larger one "
            "trusts the prior more. 0.01 if absent, 0.015 with --prior.",
        ),
    ] = None
    smooth: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=5.0,
            help="Seconds of a video over which the poses of a track are smoothed. The body of a "
            "track has one shape. 0 fits every frame alone.",
        ),
    ] = 0.4
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
