"""The options of `jaxpose eval`; what it does is in `cli.evaluate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.options import MODEL_SOURCES, Checkpoint, TrustRecipe, flip_flags, takes
from jaxpose.paths import as_path


@dataclass(frozen=True)
class Eval:
    """Options of `jaxpose eval`."""

    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help=f"{MODEL_SOURCES}, or the address of one."),
    ]
    checkpoint: Checkpoint = "best"
    data: Annotated[
        str | None,
        typer.Option(
            help="A prepared dataset, or the folder of images of --annotations; for a run, its own "
            "held-out data if absent."
        ),
    ] = None
    split: Annotated[
        str | None,
        typer.Option(help="The split of a prepared --data; `val` if absent."),
    ] = None
    annotations: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSON file of COCO keypoint annotations; --data is then the folder of its images.",
        ),
    ] = None
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Boxes of people, such as COCO detection results; the annotated boxes if absent. "
            "Needs --annotations.",
        ),
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A detector that finds the people, for scores end to end. Needs --annotations.",
        ),
    ] = None
    min_box_score: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Use boxes of at least this score; if absent, all boxes of a file, and those of a "
            "detector above its own threshold.",
        ),
    ] = None
    nms: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="OKS above which the lower of two people is dropped; 1 is never."
        ),
    ] = 0.9
    metric: Annotated[
        list[str],
        typer.Option(
            metavar="NAME",
            help="coco, crowdpose, wholebody, oks, pck, pck@0.1, pckh, auc, epe, nme; repeatable. "
            "If absent, those that suit the skeleton. Not for a run on its own or prepared data.",
        ),
    ] = field(default_factory=list)
    skeleton: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Skeleton of --annotations, where the file does not name its keypoints.",
        ),
    ] = None
    body: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For a run of meshes: its body model's file, where that is not at the place that "
            "the recipe names.",
        ),
    ] = None
    flip_test: Annotated[
        bool | None,
        flip_flags(
            "Average with the mirrored image; if absent, as the recipe says for a run on its own "
            "or prepared data, and on otherwise."
        ),
    ] = None
    batch_size: Annotated[
        int, typer.Option(min=1, help="People in one forward pass; not for a run on its own data.")
    ] = 32
    out: Annotated[
        Path | None,
        typer.Option(
            parser=as_path,
            metavar="DIR",
            help="Folder for the report; if absent, `eval` in a run, and eval/MODEL otherwise.",
        ),
    ] = None
    trust_recipe: TrustRecipe = False


@takes(Eval)
def evaluate(options: Eval) -> None:
    """Score a run on held-out people, or any model on a prepared dataset or COCO's files."""
    from jaxpose.cli.evaluate import evaluate as score

    raise typer.Exit(score(options))
