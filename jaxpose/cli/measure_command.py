"""The options of `jaxpose measure`; what it does is in `cli.measure`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import takes


@dataclass(frozen=True)
class Measure:
    """Options of `jaxpose measure`."""

    source: Annotated[
        Path, typer.Argument(metavar="IN", help="JSON or JSON lines that `predict` wrote.")
    ]
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("measures")
    angles: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Curves of these angles: left_ or right_ knee, hip, elbow, shoulder or ankle; "
            "trunk, from the vertical.",
        ),
    ] = None
    repetitions: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Count the repetitions of these angles."),
    ] = None
    gait: Annotated[bool, typer.Option("--gait", help="Find the steps of people who walk.")] = False
    falls: Annotated[
        bool, typer.Option("--falls", help="Find falls. A heuristic, not a safety device.")
    ] = False
    in_image: Annotated[
        bool,
        typer.Option(
            "--in-image", help="Angles in the image, though the file has joints in 3D (--lift)."
        ),
    ] = False
    min_range: Annotated[
        float, typer.Option(min=0.0, help="Degrees that a repetition has at least.")
    ] = 30.0
    treadmill: Annotated[
        Literal["left", "right"] | None,
        typer.Option(help="Side of the image that a person on a treadmill faces, for --gait."),
    ] = None
    track: Annotated[
        int | None, typer.Option(help="Number of the track to measure; all if absent.")
    ] = None
    fps: Annotated[
        float | None,
        typer.Option(min=0.01, help="Frames per second, if the file has none or wrong ones."),
    ] = None
    skeleton: Annotated[
        str | None,
        typer.Option(help="Skeleton of a bare list of keypoints, such as blazepose33."),
    ] = None
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Size of the images, for a bare list of keypoints."),
    ] = None
    smooth: Annotated[
        float,
        typer.Option(min=0.0, max=5.0, help="Seconds over which keypoints are smoothed; 0: none."),
    ] = 0.25
    min_score: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Keypoints below this score count as missing."),
    ] = 0.3
    longest_gap: Annotated[
        float,
        typer.Option(min=0.0, help="Seconds over which missing keypoints are interpolated."),
    ] = 0.5


@takes(Measure)
def measure(options: Measure) -> None:
    """Measure people in a video's keypoints: angles, repetitions, steps, falls; CSV and a plot."""
    from jaxpose.cli.measure import measure as measure_file

    raise typer.Exit(measure_file(options))
