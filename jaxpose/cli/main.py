"""The `jaxpose` command. Only what a command needs is imported, and only when it runs."""

from pathlib import Path
from typing import Annotated

import typer

import jaxpose
from jaxpose.cli import bench_command, scaling
from jaxpose.cli import prepare as preparing
from jaxpose.cli.choices import Checkpoint, TrustRecipe
from jaxpose.cli.compiled import keep_compiled
from jaxpose.cli.demo_command import demo
from jaxpose.cli.export_command import export
from jaxpose.cli.faults import plain_faults
from jaxpose.cli.predict_command import predict
from jaxpose.paths import as_path

app = typer.Typer(
    name="jaxpose",
    help="Human pose estimation in JAX: prepare data, train, evaluate, predict.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Look into annotations and prepared data.", no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"jaxpose {jaxpose.__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Human pose estimation in JAX: prepare data, train, evaluate, predict."""
    # These two measure how long compiling takes.
    if context.invoked_subcommand not in ("bench", "compile"):
        keep_compiled()


# Registered in the order in which they are used, which is the order of the help.
@app.command(context_settings=preparing.CONTEXT_SETTINGS)
@plain_faults
def prepare(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="coco, lsp, mpii, or the path of a script.")],
) -> None:
    """Turn a dataset's own files into records; `jaxpose prepare NAME --help` lists its options."""
    if name in ("-h", "--help"):
        typer.echo(context.get_help())
        raise typer.Exit
    preparing.prepare(context, name)


app.add_typer(data_app, name="data")


@data_app.command("check")
@plain_faults
def data_check(
    path: Annotated[Path, typer.Argument(help="COCO keypoint JSON, or a prepared dataset.")],
    images: Annotated[Path | None, typer.Option(help="Folder of the JSON's photos.")] = None,
    skeleton: Annotated[
        str, typer.Option(help="Keypoints of the JSON: a name, or a .toml or .py file.")
    ] = "coco17",
    out: Annotated[Path, typer.Option(help="The picture of eight samples.")] = Path(
        "data_check.png"
    ),
    split: Annotated[str, typer.Option(help="Split of the prepared dataset.")] = "train",
    limit: Annotated[
        int, typer.Option(min=1, help="Prepared records to look at, spread evenly.")
    ] = 20_000,
) -> None:
    """Find what makes training worthless, and show eight samples with their targets.

    Ends with status 1 if there is an error.
    """
    from jaxpose.cli.data_check import data_check as check

    check(path, images, skeleton, out, split, limit)


@app.command()
@plain_faults
def train(
    config: Annotated[
        str, typer.Argument(help="A recipe: a path to a .py file or the name of a shipped one.")
    ],
    workdir: Annotated[
        Path,
        typer.Option(
            parser=as_path,
            metavar="DIR",
            help="The run directory, here or in a bucket (gs://...). If it holds a run, that run "
            "is resumed.",
        ),
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a value of the recipe, e.g. `optimizer.learning_rate=1e-4`; repeatable. "
            "`skeleton=NAME|FILE` also sizes the model for it, `dtype=bfloat16` sets every dtype "
            "of the model. `jaxpose config RECIPE` lists the keys.",
        ),
    ] = None,
    mesh: Annotated[
        str | None,
        typer.Option(metavar="AXIS=N,...", help="Devices along data, fsdp and tensor."),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Process 0 of several; `auto` finds it. SLURM's and a pod's is known.",
        ),
    ] = None,
    processes: Annotated[int | None, typer.Option(min=1, help="How many processes.")] = None,
    process: Annotated[int | None, typer.Option(min=0, help="Which this is, from 0.")] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Begin afresh, in place of what `train` wrote to --workdir earlier."
        ),
    ] = False,
    trust_recipe: TrustRecipe = False,
) -> None:
    """Train a model, or resume its training, on one host or several.

    A run can be made longer: the same command with a larger `steps` goes on from its end. Values
    that only steer reports and saving may change too; what else changed is listed and refused.
    """
    from jaxpose.cli.train import Processes
    from jaxpose.cli.train import train as run

    several = Processes(coordinator, processes, process)
    run(config, workdir, set_ or [], mesh, several, overwrite, trust_recipe)


@app.command("config")
@plain_faults
def config_(
    recipe: Annotated[
        str, typer.Argument(help="A recipe: a path to a .py file or the name of a shipped one.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change a value first. `skeleton=NAME|FILE` also sizes the model for it, "
            "`dtype=bfloat16` sets every dtype of the model; repeatable.",
        ),
    ] = None,
) -> None:
    """Print every key of a recipe that `--set` can change, with its type and value."""
    from jaxpose.cli.config import print_config

    print_config(recipe, set_ or [])


@app.command("compile")
@plain_faults
def compile_(
    config: Annotated[
        str, typer.Argument(help="A recipe: a path to a .py file or the name of a shipped one.")
    ],
    devices: Annotated[int, typer.Option(min=1, help="How many devices to compile for.")],
    mesh: Annotated[
        str | None,
        typer.Option(metavar="AXIS=N,...", help="Devices along data, fsdp and tensor."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compile a training step for many devices without having them: memory, FLOPs, traffic."""
    from jaxpose.cli.compile import compile_recipe

    compile_recipe(config, devices, mesh, set_ or [], json)


@app.command("eval")
@plain_faults
def evaluate(
    run: Annotated[
        Path,
        typer.Argument(parser=as_path, metavar="RUN", help="The run directory of a trained model."),
    ],
    checkpoint: Annotated[
        Checkpoint, typer.Option(help="The checkpoint with the best score, or the newest.")
    ] = Checkpoint.BEST,
    data: Annotated[
        str | None, typer.Option(help="A prepared dataset; the run's own held-out data if absent.")
    ] = None,
    split: Annotated[str, typer.Option(help="The split of --data.")] = "val",
    flip_test: Annotated[
        bool | None,
        typer.Option(
            "--flip-test/--no-flip-test",
            help="Average with the mirrored image; as the run's recipe says if absent.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=as_path,
            metavar="DIR",
            help="Folder for the report; `eval` in the run if absent.",
        ),
    ] = None,
    trust_recipe: TrustRecipe = False,
) -> None:
    """Score a trained model on held-out people."""
    from jaxpose.cli.evaluate import evaluate as score

    score(run, checkpoint.value, data, split, flip_test, out, trust_recipe)


app.command()(plain_faults(predict))
app.command()(plain_faults(demo))


@app.command()
@plain_faults
def lift(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="JSON or JSON lines that `predict` wrote.")
    ],
    out: Annotated[
        list[Path],
        typer.Argument(
            metavar="OUT...",
            help="Files to write: .json, .bvh (Blender), .trc (OpenSim), .c3d, .gif, .mp4, .png.",
        ),
    ],
    weights: Annotated[
        str, typer.Option("--from", help="A lifter: a run directory, or a release or its address.")
    ],
    track: Annotated[
        int | None, typer.Option(help="Whom to write; the one seen longest if absent.")
    ] = None,
    film: Annotated[
        Path | None,
        typer.Option(help="What the keypoints are of, to stand beside pictures."),
    ] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.01, help="Frames per second, if the file has none.")
    ] = None,
    trained_fps: Annotated[
        float | None,
        typer.Option(min=0.01, help="Of the lifter's training, if it does not say itself."),
    ] = None,
    skeleton: Annotated[
        str | None, typer.Option(help="Of a bare list of keypoints, such as blazepose33.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Of the pictures, for a bare list of keypoints."),
    ] = None,
    focal: Annotated[
        float | None,
        typer.Option(
            min=1.0,
            help="Focal length in pixels: put people before the camera. If absent they stand on "
            "the floor, in one place.",
        ),
    ] = None,
    tilt: Annotated[
        float | None,
        typer.Option(
            min=-90.0,
            max=90.0,
            help="Degrees by which the camera looks down; so that people are upright, if absent.",
        ),
    ] = None,
    same_camera: Annotated[
        bool,
        typer.Option("--same-camera", help="The film is by the cameras of the lifter's training."),
    ] = False,
    smooth: Annotated[
        float, typer.Option(min=0.0, max=5.0, help="Seconds that poses are smoothed over.")
    ] = 0.25,
    rigid: Annotated[
        bool, typer.Option("--rigid/--no-rigid", help="Keep the lengths of bones.")
    ] = True,
    flip_test: Annotated[
        bool, typer.Option("--flip-test/--no-flip-test", help="Average with the mirror image.")
    ] = True,
    min_score: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Keypoints below this are missing.")
    ] = 0.3,
    checkpoint: Annotated[
        Checkpoint, typer.Option(help="The checkpoint with the best score, or the newest.")
    ] = Checkpoint.BEST,
    trust_recipe: TrustRecipe = False,
) -> None:
    """Lift people from a film's keypoints into space: joints in millimetres."""
    from jaxpose.cli.lift import Options
    from jaxpose.cli.lift import lift as lift_file

    options = Options(
        checkpoint=checkpoint.value,
        track=track,
        film=film,
        skeleton=skeleton,
        size=size,
        fps=fps,
        trained_fps=trained_fps,
        focal=focal,
        tilt=tilt,
        same_camera=same_camera,
        flip_test=flip_test,
        min_score=min_score,
        smooth=smooth,
        rigid=rigid,
        trust_recipe=trust_recipe,
    )
    lift_file(source, out, weights, options)


@app.command()
@plain_faults
def models(
    word: Annotated[
        str,
        typer.Argument(
            help="Part of a name, for a shorter list; or one whole name, for its record."
        ),
    ] = "",
) -> None:
    """List the published models with their size, work and score, or print one's whole record."""
    from jaxpose.cli.models import models as list_models

    list_models(word)


@app.command()
@plain_faults
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A .safetensors, .pth, .pt, .bin or .npz file, its address, or a run directory.",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The release folder to write.")],
    model: Annotated[
        str | None,
        typer.Option(
            help="A name from `jaxpose models`; if absent, found by the arrays, the metadata and "
            "the file's name."
        ),
    ] = None,
    keypoints: Annotated[
        int | None, typer.Option(min=1, help="Number of keypoints; read off the head if absent.")
    ] = None,
    input_size: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHTxWIDTH",
            help="Pixels of the images it was trained on; if absent, read off the arrays where "
            "they tell, or else as published.",
        ),
    ] = None,
    skeleton: Annotated[
        str | None,
        typer.Option(
            help="Keypoints of the model: a name such as coco17, or a .toml or .py file; if "
            "absent, those of the checkpoint's data set, or else the published model's."
        ),
    ] = None,
    ema: Annotated[
        bool | None,
        typer.Option(
            "--ema/--no-ema",
            help="The moving average of the weights, or the weights themselves, where a file has "
            "both; if absent, what its own project evaluates with.",
        ),
    ] = None,
    reset_head: Annotated[
        bool, typer.Option("--reset-head", help="Keep only the backbone (needs --model).")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a release at OUT.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", hidden=True, help="Old name of --overwrite.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="File for the full list of arrays that do not fit.")
    ] = None,
    trust_recipe: TrustRecipe = False,
) -> None:
    """Turn a PyTorch checkpoint, or a run, into a release: safetensors, config.json, model card."""
    from jaxpose.cli.convert import convert as release
    from jaxpose.hub.from_checkpoint import ConvertOptions

    if force:
        typer.echo("--force is now --overwrite; the old name will go in a later version.", err=True)
    replaces = overwrite or force
    options = ConvertOptions(
        model, keypoints, input_size, skeleton, ema, reset_head, replaces, report
    )
    release(source, out, options, trust_recipe=trust_recipe)


app.command()(plain_faults(export))
app.add_typer(scaling.app, name="scaling")
app.add_typer(bench_command.app, name="bench")


@app.command()
@plain_faults
def doctor() -> None:
    """Show devices, versions, speed, and what is missing."""
    from jaxpose.cli.doctor import doctor as examine

    raise typer.Exit(examine())
