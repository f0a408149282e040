"""The options of `jaxpose lift`; what it does is in `cli.lift`."""

import operator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.options import Checkpoint, OldName, Sets, TrustRecipe, flip_flags, takes


@dataclass(frozen=True)
class Lift:
    """Options of `jaxpose lift`; those with `Sets` are of `tasks.lifting.tracks.Lifting`."""

    source: Annotated[
        Path, typer.Argument(metavar="IN", help="JSON or JSON lines that `predict` wrote.")
    ]
    out: Annotated[
        list[Path],
        typer.Argument(
            metavar="OUT...",
            help="Files to write: .json, .bvh (Blender), .trc (OpenSim), .c3d, .gif, .mp4, .png.",
        ),
    ]
    weights: Annotated[
        str, typer.Option("--from", help="A lifter: a run directory, or a release or its address.")
    ]
    track: Annotated[
        int | None,
        typer.Option(help="Number of the track to write; the one seen longest if absent."),
    ] = None
    video: Annotated[
        Path | None,
        typer.Option(help="The video of the keypoints, to show beside the joints in .gif, .mp4."),
        OldName("--film"),
    ] = None
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, help="Frames per second, if the file has none or wrong ones."),
        Sets("fps"),
    ] = None
    trained_fps: Annotated[
        float | None,
        typer.Option(
            min=0.01, help="Frames per second of the lifter's training, if it does not say."
        ),
        Sets("trained_fps"),
    ] = None
    skeleton: Annotated[
        str | None,
        typer.Option(help="Skeleton of a bare list of keypoints, such as blazepose33."),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size of the images, for a bare list of keypoints."),
    ] = None
    focal: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            help="Focal length in pixels: place people in front of the camera. If absent they "
            "stand on the floor, in one place.",
        ),
        Sets("focal"),
    ] = None
    tilt: Annotated[
        float | None,
        typer.Option(
            min=-90.0,
            max=90.0,
            help="Degrees by which the camera is tilted down; estimated from the people if absent.",
        ),
        Sets("tilt"),
    ] = None
    same_camera: Annotated[
        bool,
        typer.Option(
            "--same-camera", help="The video was taken by the cameras of the lifter's training."
        ),
        Sets("refit", operator.not_),
    ] = False
    smooth: Annotated[
        float,
        typer.Option(min=0.0, max=5.0, help="Seconds over which poses are smoothed; 0 is none."),
        Sets("cleaning.smooth_seconds"),
    ] = 0.25
    rigid: Annotated[
        bool,
        typer.Option("--rigid/--no-rigid", help="Keep the lengths of bones constant."),
        Sets("cleaning.rigid"),
    ] = True
    flip_test: Annotated[
        bool, flip_flags("Average with the mirrored keypoints."), Sets("flip_test")
    ] = True
    min_score: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Keypoints below this score count as missing."),
        Sets("min_score"),
    ] = 0.3
    longest_gap: Annotated[
        float,
        typer.Option(min=0.0, help="Seconds over which missing keypoints are interpolated."),
        Sets("longest_gap"),
    ] = 0.5
    checkpoint: Checkpoint = "best"
    trust_recipe: TrustRecipe = False


@takes(Lift)
def lift(options: Lift) -> None:
    """Lift people from a video's keypoints to 3D: joints in millimetres."""
    from jaxpose.cli.lift import lift as lift_file

    raise typer.Exit(lift_file(options))
