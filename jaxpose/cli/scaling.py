"""The options of `jaxpose scaling`: the cost of training, sweeps, and scaling laws."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.faults import plain_faults
from jaxpose.cli.options import Overrides, Recipe, takes
from jaxpose.paths import in_bucket

app = typer.Typer(
    help="Count the cost of training; plan, run and fit scaling studies.", no_args_is_help=True
)


def _shared_folder(text: str) -> Path:
    if in_bucket(text):
        raise typer.BadParameter(
            f"{text} is in a bucket, which has no locks, and a study's workers need a lock to "
            "share its points. Use a folder on a disk that they share (NFS, Filestore)."
        )
    return Path(text)


Study = Annotated[
    Path, typer.Argument(parser=_shared_folder, metavar="STUDY", help="The study's folder.")
]
Resamples = Annotated[
    int, typer.Option(min=50, help="Number of bootstrap replicates behind each interval.")
]
Anyway = Annotated[
    bool, typer.Option("--anyway", help="Fit in spite of reasons against it; they are shown.")
]


@dataclass(frozen=True)
class Count:
    """Options of `jaxpose scaling count`."""

    config: Recipe
    mesh: Annotated[
        str,
        typer.Option(
            metavar="data=D,fsdp=F,tensor=T",
            help="The mesh, as of train: axes without a size are 1; the recipe's if absent.",
        ),
    ] = ""
    devices: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of devices of the mesh, for an axis of -1; none need exist."
        ),
    ] = None
    set_: Overrides = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """Options of `jaxpose scaling plan`."""

    config: Recipe
    study: Annotated[
        Path,
        typer.Argument(
            parser=_shared_folder,
            metavar="STUDY",
            help="The study's folder; a plan of the same recipe adds points.",
        ),
    ]
    flops: Annotated[
        str, typer.Option(metavar="A,B,...", help="Budgets in training FLOPs: isoFLOP curves.")
    ] = ""
    samples: Annotated[
        str, typer.Option(metavar="A,B,...", help="Budgets in samples seen, equal for all sizes.")
    ] = ""
    width: Annotated[
        str,
        typer.Option(metavar="A,B,...", help="Widths of a ViT; heads keep their dimension."),
    ] = ""
    depth: Annotated[str, typer.Option(metavar="A,B,...", help="Depths of a ViT.")] = ""
    mlp: Annotated[str, typer.Option(metavar="A,B,...", help="Hidden units of a ViT's MLPs.")] = ""
    patch: Annotated[str, typer.Option(metavar="A,B,...", help="Patch sides in pixels.")] = ""
    resolution: Annotated[
        str, typer.Option(metavar="A,B,...", help="Heights of the input; the width follows.")
    ] = ""
    data: Annotated[
        str, typer.Option(metavar="A,B,...", help="Shares of the training set, in (0, 1].")
    ] = ""
    size: Annotated[
        list[str],
        typer.Option(
            metavar="'NAME: KEY=VALUE ...'", help="A size of any model by overrides; repeatable."
        ),
    ] = field(default_factory=list)
    star: Annotated[
        bool,
        typer.Option(
            "--star", help="Vary one axis at a time about the recipe's own shape (SoViT)."
        ),
    ] = False
    joint: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Scale width, depth and MLP together for these factors of compute, by SoViT's "
            "exponents or those of --exponents.",
        ),
    ] = ""
    exponents: Annotated[
        str,
        typer.Option(metavar="width=S,...", help="Exponents in compute for --joint."),
    ] = ""
    seeds: Annotated[
        str, typer.Option(metavar="A,B,...", help="Seeds; every size is trained with each.")
    ] = "0"
    cooldown: Annotated[
        float | None,
        typer.Option(
            help="Share of each run that is its cooldown: runs of one size then share a trunk at "
            "the recipe's constant or rsqrt schedule."
        ),
    ] = None
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Use these points to test the laws, not to fit them."),
    ] = False
    max_epochs: Annotated[
        float, typer.Option(help="Largest number of epochs of a run over its data.")
    ] = 4.0
    set_: Overrides = field(default_factory=list)

    @property
    def axes(self) -> dict[str, list[float]]:
        """Values of each axis of a ViT's shape, and of `data`, that was given."""
        names = ("width", "depth", "mlp", "patch", "resolution", "data")
        return {name: self.numbers(name) for name in names if getattr(self, name)}

    def numbers(self, name: str) -> list[float]:
        """The numbers in a field of text."""
        return _numbers(getattr(self, name), name)

    @property
    def whole_seeds(self) -> list[int]:
        """The numbers in `seeds`, all of them whole."""
        seeds = self.numbers("seeds")
        if not all(seed.is_integer() for seed in seeds):
            raise typer.BadParameter(
                f"{self.seeds!r} is not a list of whole numbers.", param_hint="--seeds"
            )
        return [int(seed) for seed in seeds]

    @property
    def shape_exponents(self) -> dict[str, float]:
        """The pairs in `exponents`."""
        return _pairs(self.exponents)


@dataclass(frozen=True)
class Run:
    """Options of `jaxpose scaling run`."""

    study: Study
    patience: Annotated[
        float,
        typer.Option(
            min=1.0,
            help="Seconds without a heartbeat after which another worker's point is taken over.",
        ),
    ] = 120.0
    limit: Annotated[int | None, typer.Option(min=1, help="Train this many points, then end.")] = (
        None
    )
    retry: Annotated[bool, typer.Option("--retry", help="Try failed points again.")] = False
    keep: Annotated[
        bool,
        typer.Option(
            "--keep-checkpoints",
            help="Keep the checkpoints of finished points (trunks always keep them).",
        ),
    ] = False


@dataclass(frozen=True)
class Fit:
    """Options of `jaxpose scaling fit`."""

    study: Study
    resamples: Resamples = 400
    anyway: Anyway = False


@dataclass(frozen=True)
class Plot:
    """Options of `jaxpose scaling plot`."""

    study: Study
    out: Annotated[
        Path | None, typer.Option(help="Folder for the plots; `plots` in the study if absent.")
    ] = None
    resamples: Resamples = 400
    anyway: Anyway = False


@dataclass(frozen=True)
class Recommend:
    """Options of `jaxpose scaling recommend`."""

    study: Study
    flops: Annotated[float | None, typer.Option(help="Training FLOPs of the run.")] = None
    chip_hours: Annotated[
        str,
        typer.Option(
            metavar="CHIP:HOURS",
            help="The budget as hours of one chip, such as v5e:100, at the MFU of --mfu.",
        ),
    ] = ""
    mfu: Annotated[
        float,
        typer.Option(
            help="Assumed share of the chip's peak FLOP/s that the model's own FLOPs reach."
        ),
    ] = 0.4
    people: Annotated[
        float | None,
        typer.Option(min=1, help="Distinct samples of the run's data; the study's if absent."),
    ] = None
    serve: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Limits on the GFLOPs of a forward pass; prints the best size within each.",
        ),
    ] = ""
    resamples: Resamples = 400
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Extrapolate more than ten times beyond the study.")
    ] = False
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False

    @property
    def serving(self) -> list[float]:
        """The numbers in `serve`."""
        return _numbers(self.serve, "serve")


@dataclass(frozen=True)
class Export:
    """Options of `jaxpose scaling export`."""

    study: Study
    csv: Annotated[
        Path | None, typer.Option(help="Table of the finished points, one row each.")
    ] = None
    wandb: Annotated[
        str, typer.Option(metavar="PROJECT", help="Project of Weights & Biases; one run a point.")
    ] = ""
    mlflow: Annotated[
        str, typer.Option(metavar="EXPERIMENT", help="Experiment of MLflow; one run a point.")
    ] = ""


@app.command()
@plain_faults
@takes(Count)
def count(options: Count) -> None:
    """Count parameters, FLOPs of a training step, and memory on each device of a mesh.

    FLOPs are those of matrix products and convolutions, two for each multiply-add. Parameters,
    optimiser state and average are exact; gradients, activations and batch are an estimate.
    """
    from jaxpose.cli import scaling_count

    scaling_count.count(options.config, options.mesh, options.devices, options.set_)


@app.command()
@plain_faults
@takes(Plan)
def plan(options: Plan) -> None:
    """Write a sweep's manifest: every size at every budget."""
    from jaxpose.cli import scaling_work

    scaling_work.plan(options)


@app.command()
@plain_faults
@takes(Run)
def run(options: Run) -> None:
    """Train the points of a study; start it once on every machine that shares the work."""
    from jaxpose.cli import scaling_work

    raise typer.Exit(scaling_work.run(options))


@app.command()
@plain_faults
@takes(Fit)
def fit(options: Fit) -> None:
    """Fit laws to the finished points, on the loss and on the score, with intervals and a test.

    Ends with status 2 and the reasons if the points carry no law at all.
    """
    from jaxpose.cli import scaling_fit

    scaling_fit.fit(options.study, options.resamples, options.anyway)


@app.command()
@plain_faults
@takes(Plot)
def plot(options: Plot) -> None:
    """Draw the laws: over compute with the efficient frontier, and isoFLOP curves over size."""
    from jaxpose.cli import scaling_fit

    scaling_fit.plot(options.study, options.out, options.resamples, options.anyway)


@app.command()
@plain_faults
@takes(Recommend)
def recommend(options: Recommend) -> None:
    """Recommend size, samples and epochs for a budget, with intervals, alternatives and notes.

    All laws of size and samples take part, weighted by their backtests. A budget more than ten
    times beyond the study's largest is refused.
    """
    from jaxpose.cli import scaling_recommend

    scaling_recommend.recommend(options)


@app.command()
@plain_faults
@takes(Export)
def export(options: Export) -> None:
    """Write the finished points to a CSV file, Weights & Biases or MLflow."""
    from jaxpose.cli import scaling_export

    scaling_export.export(options)


def _numbers(text: str, name: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is not a list of numbers.", param_hint=f"--{name}"
        ) from None


def _pairs(text: str) -> dict[str, float]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not of the form NAME=NUMBER,NAME=NUMBER.") from None
