"""The options of `jaxpose bench`; what it does is in `cli.bench`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.faults import plain_faults
from jaxpose.cli.options import Mesh, Overrides, Recipe, TrustRecipe, flip_flags, takes

app = typer.Typer(
    help="Measure speed and memory: training steps, input, evaluation, prediction.",
    no_args_is_help=True,
)

Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE|-", help="Write the figures as JSON too; - prints them."),
]
Rounds = Annotated[int, typer.Option(min=1, help="Number of measurements of each figure.")]
Flip = flip_flags("Average with the mirrored image.")


@dataclass(frozen=True)
class Step:
    """Options of `jaxpose bench step`."""

    config: Recipe
    mesh: Mesh = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images in a step; the recipe's if absent.")
    ] = None
    steps: Annotated[int, typer.Option(min=1, help="Number of steps to measure.")] = 20
    profile: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a profile of three more steps here.")
    ] = None
    set_: Overrides = field(default_factory=list)
    json: Json = None


@dataclass(frozen=True)
class Data:
    """Options of `jaxpose bench data`."""

    what: Annotated[
        str, typer.Argument(metavar="RECIPE|DATASET", help="A recipe, or a prepared dataset.")
    ]
    split: Annotated[str, typer.Option(help="Split of a prepared dataset.")] = "train"
    batch_size: Annotated[int, typer.Option(min=4, help="Samples in a batch.")] = 64
    cores: Annotated[int, typer.Option(min=1, help="Number of CPU cores to use.")] = 1
    rounds: Rounds = 5
    seconds: Annotated[float, typer.Option(min=0.0, help="Seconds of each measurement.")] = 1.0
    set_: Overrides = field(default_factory=list)
    json: Json = None


@dataclass(frozen=True)
class Eval:
    """Options of `jaxpose bench eval`."""

    what: Annotated[str, typer.Argument(metavar="RUN|RECIPE", help="A run directory, or a recipe.")]
    people: Annotated[
        int | None,
        typer.Option(min=1, help="Number of people to evaluate; all held-out ones if absent."),
    ] = None
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="People in a batch; as the recipe says if absent.")
    ] = None
    flip_test: Annotated[bool | None, Flip] = None
    rounds: Rounds = 5
    trust_recipe: TrustRecipe = False
    set_: Overrides = field(default_factory=list)
    json: Json = None


@dataclass(frozen=True)
class Predict:
    """Options of `jaxpose bench predict`."""

    run: Annotated[
        str,
        typer.Argument(
            help="A run, a release, or a name of `jaxpose models`. If the weights of a name are "
            "not on this machine, random ones are used; the time is the same."
        ),
    ]
    source: Annotated[
        str | None,
        typer.Argument(metavar="[VIDEO|IMAGES]", help="A synthetic video is made if absent."),
    ] = None
    frames: Annotated[int, typer.Option(min=1, help="Frames of the synthetic video.")] = 200
    people: Annotated[int, typer.Option(min=1, max=50, help="People in the synthetic video.")] = 2
    crowds: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="Numbers of people, such as 1,2,5,10,20,50: measure a synthetic video of each and "
            "print the time of a frame beside the number of people.",
        ),
    ] = None
    detector: Annotated[
        str | None,
        typer.Option(
            help="Detector: a published name or weights of YOLOX or RTMDet; if absent, the true "
            "boxes are used."
        ),
    ] = None
    every: Annotated[int, typer.Option(min=1, help="Detect in every n-th frame.")] = 1
    batch_size: Annotated[int, typer.Option(min=1, help="People in one forward pass.")] = 8
    flip_test: Annotated[bool, Flip] = True
    draw: Annotated[bool, typer.Option("--draw", help="Draw the people as well.")] = False
    trust_recipe: TrustRecipe = False
    json: Json = None


@app.command()
@plain_faults
@takes(Step)
def step(options: Step) -> None:
    """Measure a training step: images per second, share of the peak, memory, compilations.

    The batch stays on the device and the weights are random, so neither data nor checkpoints are
    needed. Shares of the peak are relative to the matmul rate measured in the same run, and to the
    manufacturer's figure for the chip.
    """
    from jaxpose.cli.bench import bench_step

    bench_step(options)


@app.command()
@plain_faults
@takes(Data)
def data(options: Data) -> None:
    """Measure the input path stage by stage, from records to batches on the device."""
    from jaxpose.cli.bench import bench_data

    bench_data(options)


@app.command("eval")
@plain_faults
@takes(Eval)
def evaluate(options: Eval) -> None:
    """Measure an evaluation stage by stage: reading, forward passes, decoding, scoring.

    A recipe is measured with random weights.
    """
    from jaxpose.cli.bench import bench_eval

    bench_eval(options)


@app.command()
@plain_faults
@takes(Predict)
def predict(options: Predict) -> None:
    """Measure prediction stage by stage: people per second, memory, compilations."""
    from jaxpose.cli.bench import bench_predict

    bench_predict(options)
