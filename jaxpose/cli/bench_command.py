"""The options of `jaxpose bench`; what it does is in `cli.bench`."""

from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.choices import TrustRecipe
from jaxpose.cli.faults import plain_faults

app = typer.Typer(
    help="Measure speed and memory: training steps, input, evaluation, prediction.",
    no_args_is_help=True,
)

Config = Annotated[
    str, typer.Argument(help="A recipe: a path to a .py file or the name of a shipped one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; repeatable."),
]
Json = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE|-", help="The figures as JSON, too; - is the output."),
]
Rounds = Annotated[int, typer.Option(min=1, help="Measurements of each figure.")]
FlipTest = Annotated[
    bool | None,
    typer.Option("--flip-test/--no-flip-test", help="Average with the mirrored image."),
]


@app.command()
@plain_faults
def step(
    config: Config,
    mesh: Annotated[
        str | None,
        typer.Option(metavar="AXIS=N,...", help="Devices along data, fsdp and tensor."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images in a step; the recipe's if absent.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="How many steps are measured.")] = 20,
    profile: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a profile of three more steps.")
    ] = None,
    set_: Overrides = None,
    json: Json = None,
) -> None:
    """Measure a training step: images a second, share of the peak, memory, compilations.

    The batch stays on the device and weights are stand-ins, so neither data nor checkpoints need be
    there. Shares of the peak are of the matmul rate measured in the same run, and of the maker's
    figure for the chip.
    """
    from jaxpose.cli.bench import bench_step

    bench_step(config, mesh, batch_size, steps, profile, set_ or [], json)


@app.command()
@plain_faults
def data(
    what: Annotated[
        str, typer.Argument(metavar="RECIPE|DATASET", help="A recipe, or a prepared dataset.")
    ],
    split: Annotated[str, typer.Option(help="Split of a dataset.")] = "train",
    batch_size: Annotated[int, typer.Option(min=4, help="Samples at a time.")] = 64,
    cores: Annotated[int, typer.Option(min=1, help="CPU cores to stay on.")] = 1,
    rounds: Rounds = 5,
    seconds: Annotated[float, typer.Option(min=0.0, help="That a measurement takes.")] = 1.0,
    set_: Overrides = None,
    json: Json = None,
) -> None:
    """Measure the input path stage by stage, from records to batches on the device."""
    from jaxpose.cli.bench import bench_data

    bench_data(what, split, batch_size, cores, rounds, seconds, set_ or [], json)


@app.command("eval")
@plain_faults
def evaluate(
    what: Annotated[
        str, typer.Argument(metavar="RUN|RECIPE", help="A run directory, or a recipe.")
    ],
    people: Annotated[
        int | None, typer.Option(min=1, help="How many to evaluate; all held-out ones if absent.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="People at a time; as the recipe says if absent.")
    ] = None,
    flip_test: FlipTest = None,
    rounds: Rounds = 5,
    trust_recipe: TrustRecipe = False,
    set_: Overrides = None,
    json: Json = None,
) -> None:
    """Measure an evaluation stage by stage: reading, forward passes, decoding, scoring.

    A recipe is measured with stand-in weights.
    """
    from jaxpose.cli.bench import bench_eval

    bench_eval(what, people, batch_size, flip_test, rounds, set_ or [], json, trust_recipe)


@app.command()
@plain_faults
def predict(
    run: Annotated[
        str, typer.Argument(help="A run, a release, or a name of `jaxpose models` (stand-ins).")
    ],
    source: Annotated[
        str | None,
        typer.Argument(metavar="[FILM|PHOTOS]", help="A film drawn here if absent."),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, help="Length of the drawn film.")] = 200,
    people: Annotated[int, typer.Option(min=1, max=50, help="In the drawn film.")] = 2,
    detector: Annotated[
        Path | None, typer.Option(help="Weights of YOLOX or RTMDet; boxes are given if absent.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Detect in every n-th frame.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="People in one forward pass.")] = 8,
    flip_test: Annotated[
        bool, typer.Option("--flip-test/--no-flip-test", help="Average with the mirrored image.")
    ] = True,
    draw: Annotated[bool, typer.Option("--draw", help="Draw the people as well.")] = False,
    trust_recipe: TrustRecipe = False,
    json: Json = None,
) -> None:
    """Measure prediction stage by stage: people a second, memory, compilations."""
    from jaxpose.cli.bench import Film, bench_predict

    film = Film(source, frames, people)
    bench_predict(run, film, detector, every, batch_size, flip_test, draw, json, trust_recipe)
