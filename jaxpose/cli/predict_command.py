"""The options of `jaxpose predict`; what it does is in `cli.predict`."""

from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.choices import Checkpoint, TrustRecipe


def predict(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Photos, films, folders of them, patterns ('a/*.jpg'), .txt lists of paths, "
            "rtsp:// and http:// streams, or the number of a webcam.",
        ),
    ],
    run: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="A run directory, a folder that `convert` wrote, a checkpoint that it knows, or "
            "the https:// address of either, with #sha256=DIGITS to pin it.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the files, pictures and films.")],
    boxes: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|full",
            help="Where the people are: `full`, the default without a detector, takes each whole "
            "photo as one person; a file holds COCO results or annotations, a JSON map from photo "
            "to boxes, or a CSV table file,x,y,w,h; of films with frame as well.",
        ),
    ] = None,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Weights of YOLOX or RTMDet, which find the people: a file, a folder that "
            "`convert` wrote, or an address.",
        ),
    ] = None,
    every: Annotated[
        int,
        typer.Option(
            min=1, help="Films: detect in every n-th frame, follow the keypoints between."
        ),
    ] = 1,
    track: Annotated[
        bool, typer.Option("--track/--no-track", help="Films: the same number for the same person.")
    ] = True,
    smooth: Annotated[
        str, typer.Option(metavar="none|one-euro|savitzky-golay", help="Films: steady keypoints.")
    ] = "none",
    max_people: Annotated[
        int, typer.Option(min=0, help="At most so many in a frame; 0 is all.")
    ] = 0,
    lift: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A lifter: joints in millimetres as well."),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            "--format", help="Of json, jsonl, csv, coco and openpose, with commas between."
        ),
    ] = "json",
    draw: Annotated[
        bool, typer.Option("--draw/--no-draw", help="Write pictures and films with the people on.")
    ] = True,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="A contact sheet too: overview.jpg, 24 of the pictures.")
    ] = False,
    heatmaps: Annotated[
        bool,
        typer.Option("--heatmaps", help="Photos: each person's heatmaps too, in OUT/heatmaps."),
    ] = False,
    checkpoint: Annotated[
        Checkpoint, typer.Option(help="The checkpoint with the best score, or the newest.")
    ] = Checkpoint.BEST,
    flip_test: Annotated[
        bool,
        typer.Option(
            "--flip-test/--no-flip-test",
            help="Average with the mirrored image: more exact, half as fast.",
        ),
    ] = True,
    min_score: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Draw keypoints of at least this score; the file has all."
        ),
    ] = 0.3,
    min_box_score: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Use boxes of at least this score.")
    ] = 0.2,
    batch_size: Annotated[int, typer.Option(min=1, help="People in one forward pass.")] = 8,
    trust_recipe: TrustRecipe = False,
) -> None:
    """Find keypoints in photos and films: files with coordinates, drawn pictures and films."""
    from jaxpose.cli.predict import Options
    from jaxpose.cli.predict import predict as run_prediction

    options = Options(
        checkpoint=checkpoint.value,
        flip_test=flip_test,
        min_score=min_score,
        min_box_score=min_box_score,
        batch_size=batch_size,
        detector=detector,
        every=every,
        track=track,
        smooth=smooth,
        max_people=max_people,
        lift=lift,
        formats=formats,
        draw=draw,
        sheet=sheet,
        heatmaps=heatmaps,
        trust_recipe=trust_recipe,
    )
    raise typer.Exit(run_prediction(sources, run, boxes, out, options))
