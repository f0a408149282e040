"""The options of `jaxpose score`; what it does is in `cli.score`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.options import takes


@dataclass(frozen=True)
class Score:
    """Options of `jaxpose score`."""

    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            help="JSON file of keypoints in COCO's results format, from any tool; with --tracking, "
            "a file or folder of tracks.",
        ),
    ]
    annotations: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="JSON file of COCO, CrowdPose or COCO-WholeBody annotations; with --tracking, a "
            "file or folder of annotated tracks.",
        ),
    ]
    metric: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="coco, crowdpose, wholebody, oks, pck, pck@0.1, pckh, auc, epe, nme; repeatable. "
            "If absent, those that suit the skeleton.",
        ),
    ] = field(default_factory=list)
    skeleton: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Skeleton of the keypoints, where the annotations do not name them.",
        ),
    ] = None
    per_keypoint: Annotated[
        bool, typer.Option("--per-keypoint", help="Print the figures of each keypoint too.")
    ] = False
    tracking: Annotated[
        bool,
        typer.Option(
            "--tracking",
            help="Score tracks: HOTA, MOTA and IDF1 of MOTChallenge's .txt files, and keypoint "
            "MOTA too of PoseTrack18's .json files.",
        ),
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False


@takes(Score)
def score(options: Score) -> None:
    """Score a file of results against annotations: AP, OKS, PCK, as pycocotools does."""
    if options.tracking:
        from jaxpose.cli.score_tracks import score_tracks

        raise typer.Exit(score_tracks(options))
    from jaxpose.cli.score import score as score_file

    raise typer.Exit(score_file(options))
