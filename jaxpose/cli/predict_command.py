"""The options of `jaxpose predict`; what it does is in `cli.predict`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import (
    MODEL_SOURCES,
    Checkpoint,
    PipelineOverrides,
    Sets,
    TrustRecipe,
    flip_flags,
    takes,
)

FILTERS = ("one-euro", "savitzky-golay")
"""Values of `--smooth` that name a filter; others except none are models."""


@dataclass(frozen=True)
class Predict:
    """Options of `jaxpose predict`; those with `Sets` are of `pipeline.Options`."""

    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Images, videos, folders of them, patterns ('a/*.jpg'), .txt lists of paths, "
            "rtsp:// and http:// streams, or the number of a webcam.",
        ),
    ]
    run: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help=f"{MODEL_SOURCES}, "
            "or the https:// address of a file or folder, with #sha256=DIGITS to pin it. Without "
            "it, the default models of --quality find people and their keypoints.",
        ),
    ] = None
    quality: Annotated[
        Literal["fast", "balanced", "accurate"] | None,
        typer.Option(
            help="Default pose model and person detector, without --from: fast, balanced (the "
            "default) or accurate. They are fetched at the first use."
        ),
    ] = None
    out: Annotated[Path, typer.Option(help="Folder for the files, images and videos.")] = Path(
        "out"
    )
    boxes: Annotated[
        list[str],
        typer.Option(
            metavar="X,Y,W,H|FILE|full",
            help="Boxes around the people: the upper left corner and size of one in pixels, for "
            "every image, repeatable; or a file of COCO results or annotations, a JSON map from "
            "image to boxes, or a CSV table file,x,y,w,h, for videos with frame as well; or "
            "`full`, the default with --from and no detector: each whole image is one person.",
        ),
    ] = field(default_factory=list)
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Person detector: a published name, weights of YOLOX or RTMDet, a folder that "
            "`convert` wrote, or an address.",
        ),
    ] = None
    every: Annotated[
        int,
        typer.Option(
            min=1, help="Videos: detect in every n-th frame, follow the keypoints in between."
        ),
        Sets("detect_every"),
    ] = 1
    track: Annotated[
        bool,
        typer.Option("--track/--no-track", help="Videos: give each person a number that stays."),
        Sets("track"),
    ] = True
    smooth: Annotated[
        str,
        typer.Option(
            metavar="METHOD|MODEL",
            help="Videos: smooth the keypoints over time; none, one-euro, savitzky-golay, or a "
            "trained refiner of tracks: its run directory or a folder that `convert` wrote.",
        ),
        Sets("smooth", lambda method: method if method in FILTERS else None),
    ] = "none"
    max_people: Annotated[
        int,
        typer.Option(min=0, help="Most people in a frame; 0 is all."),
        Sets("max_people", lambda number: number or None),
    ] = 0
    individuals: Annotated[
        int,
        typer.Option(
            min=0,
            help="Videos: number of animals or people, if it is known and stays the same: those "
            "that were hidden get their numbers back, and no number is higher. 0 is unknown.",
        ),
        Sets("tracking.individuals", lambda number: number or None),
    ] = 0
    lift: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="A lifter: joints in 3D, in millimetres, as well."),
    ] = None
    mesh: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A model of meshes: the body of each person, in bodies.npz, and drawn in "
            "OUT/meshes.",
        ),
    ] = None
    mesh_formats: Annotated[
        str,
        typer.Option(
            "--mesh-format",
            help="Files of --mesh in OUT/meshes, with commas between: glb (meshes, animated of "
            "videos), bvh (motion of each track of videos), gif (bodies from all sides), obj "
            "(meshes of images).",
        ),
    ] = ""
    body: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File of the body model of --mesh, such as SMPL_NEUTRAL.npz; for a run, the file "
            "of its training if absent.",
        ),
    ] = None
    focal: Annotated[
        float | None,
        typer.Option(
            min=1.0, help="Focal length of the camera in pixels, for the distances of --mesh."
        ),
    ] = None
    hand: Annotated[
        Literal["left", "right"] | None,
        typer.Option(
            help="With a --mesh of hands: the only hands to take; with keypoints of one hand, "
            "which one it is."
        ),
    ] = None
    surface: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A model of surfaces (DensePose): the place on the body of each pixel, drawn in "
            "OUT/surfaces, and for images as NAME.iuv.png.",
        ),
    ] = None
    actions: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Videos: a classifier of actions; what people do, in actions.json and .csv.",
        ),
    ] = None
    action_window: Annotated[
        float,
        typer.Option(
            min=0.1, help="Seconds that --actions classifies at a time, as in its training."
        ),
    ] = 2.0
    formats: Annotated[
        str,
        typer.Option(
            "--format",
            help="One or several of json, jsonl, csv, coco and openpose, with commas between; or "
            "labels for deeplabcut, sleap, labelme, label-studio, cvat, yolo-pose and nwb.",
        ),
    ] = "json"
    draw: Annotated[
        bool,
        typer.Option("--draw/--no-draw", help="Write images and videos with the people drawn."),
    ] = True
    draw_boxes: Annotated[
        bool, typer.Option("--draw-boxes", help="Draw the people's boxes too.")
    ] = False
    labels: Annotated[
        Literal["tracks", "ids", "scores", "both", "none"],
        typer.Option(
            help="Text above each drawn person: the track's number (in videos), its number or "
            "place in the results (ids), its score, both, or none."
        ),
    ] = "tracks"
    colors: Annotated[
        Literal["sides", "people"],
        typer.Option(help="Colours of drawn limbs: by left and right, or one for each person."),
    ] = "sides"
    line_width: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="Width of drawn limbs in pixels; if absent, in proportion to the person."
        ),
    ] = None
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Write a contact sheet too: overview.jpg, 24 images.")
    ] = False
    heatmaps: Annotated[
        bool,
        typer.Option(
            "--heatmaps",
            help="Images: write the heatmaps of each person's crop, or of the whole image for a "
            "model that takes these, to OUT/heatmaps.",
        ),
    ] = False
    checkpoint: Checkpoint = "best"
    flip_test: Annotated[
        bool,
        flip_flags("Average with the mirrored image: more accurate, half as fast."),
        Sets("flip_test"),
    ] = True
    min_score: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Draw keypoints of at least this score; the files have all, except labels.",
        ),
    ] = 0.3
    min_box_score: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Use boxes of at least this score."),
        Sets("min_box_score"),
    ] = 0.2
    batch_size: Annotated[
        int, typer.Option(min=1, help="People in one forward pass."), Sets("batch_size")
    ] = 8
    set_: PipelineOverrides = field(default_factory=list)
    trust_recipe: TrustRecipe = False


@takes(Predict)
def predict(options: Predict) -> None:
    """Find keypoints in images and videos: files with coordinates, drawn images and videos."""
    from jaxpose.cli.predict import predict as run_prediction

    raise typer.Exit(run_prediction(options))
