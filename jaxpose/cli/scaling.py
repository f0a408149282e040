"""`jaxpose scaling`: what training costs, sweeps, and the laws that they follow."""

from pathlib import Path
from typing import Annotated

import typer

from jaxpose.cli.faults import plain_faults
from jaxpose.paths import in_bucket

app = typer.Typer(
    help="Count what training costs; plan, run and fit scaling studies.", no_args_is_help=True
)

Config = Annotated[
    str, typer.Argument(help="A recipe: a path to a .py file or the name of a shipped one.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe; repeatable."),
]


def _shared_folder(text: str) -> Path:
    if in_bucket(text):
        raise typer.BadParameter(
            f"{text} is in a bucket, which knows no locks, and a study's workers share its points "
            "by one. Use a folder on a disk that they share (NFS, Filestore)."
        )
    return Path(text)


Study = Annotated[
    Path, typer.Argument(parser=_shared_folder, metavar="STUDY", help="The study's folder.")
]


@app.command()
@plain_faults
def count(
    config: Config,
    mesh: Annotated[
        str,
        typer.Option(metavar="data=D,fsdp=F,tensor=T", help="The mesh; the recipe's if absent."),
    ] = "",
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Devices of the mesh, which need not exist, for an axis of -1."),
    ] = None,
    set_: Overrides = None,
) -> None:
    """Count parameters, FLOPs of a training step, and memory on each device of a mesh.

    FLOPs are those of matrix products and convolutions, two for each multiply-add. Parameters,
    optimiser state and average are exact, gradients, activations and batch an estimate.
    """
    from jaxpose.cli import scaling_count

    scaling_count.count(config, {k: int(v) for k, v in _pairs(mesh).items()}, devices, set_ or [])


@app.command()
@plain_faults
def plan(
    config: Config,
    study: Annotated[
        Path, typer.Argument(help="The study's folder; a plan of the same recipe adds points.")
    ],
    flops: Annotated[
        str, typer.Option(metavar="A,B,...", help="Budgets in training FLOPs: isoFLOP curves.")
    ] = "",
    samples: Annotated[
        str, typer.Option(metavar="A,B,...", help="Budgets in samples seen, equal for all sizes.")
    ] = "",
    width: Annotated[
        str, typer.Option(metavar="A,B,...", help="A ViT's widths; heads keep their dimension.")
    ] = "",
    depth: Annotated[str, typer.Option(metavar="A,B,...", help="A ViT's depths.")] = "",
    mlp: Annotated[str, typer.Option(metavar="A,B,...", help="Hidden units of its MLPs.")] = "",
    patch: Annotated[str, typer.Option(metavar="A,B,...", help="Patch sides in pixels.")] = "",
    resolution: Annotated[
        str, typer.Option(metavar="A,B,...", help="Heights of the input; the width follows.")
    ] = "",
    data: Annotated[
        str, typer.Option(metavar="A,B,...", help="Parts of the training set, in (0, 1].")
    ] = "",
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'NAME: KEY=VALUE ...'", help="A size of any model by overrides; repeatable."
        ),
    ] = None,
    star: Annotated[
        bool,
        typer.Option(
            "--star", help="Vary one axis at a time about the recipe's own shape (SoViT)."
        ),
    ] = False,
    joint: Annotated[
        str,
        typer.Option(
            metavar="A,B,...",
            help="Scale width, depth and MLP together for these factors of compute, by SoViT's "
            "exponents or those of --exponents.",
        ),
    ] = "",
    exponents: Annotated[
        str,
        typer.Option(metavar="width=S,...", help="Exponents in compute for --joint."),
    ] = "",
    seeds: Annotated[str, typer.Option(metavar="A,B,...", help="A run for each.")] = "0",
    cooldown: Annotated[
        float | None,
        typer.Option(
            help="Part of each run that is its cooldown: runs of one size then share a trunk at "
            "the recipe's constant or rsqrt schedule."
        ),
    ] = None,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="These points test the laws; no law is fitted to them."),
    ] = False,
    max_epochs: Annotated[float, typer.Option(help="How often a run may see its data.")] = 4.0,
    set_: Overrides = None,
) -> None:
    """Write a sweep's manifest: every size at every budget."""
    from jaxpose.cli import scaling_work

    axes = {
        "width": width,
        "depth": depth,
        "mlp": mlp,
        "patch": patch,
        "resolution": resolution,
        "data": data,
    }
    scaling_work.plan(
        config,
        study,
        set_ or [],
        axes={name: _numbers(f"--{name}", text) for name, text in axes.items() if text},
        named=size or [],
        star=star,
        joint=_numbers("--joint", joint),
        exponents=_pairs(exponents),
        flops=_numbers("--flops", flops),
        samples=_numbers("--samples", samples),
        seeds=[int(seed) for seed in _numbers("--seeds", seeds)],
        cooldown=cooldown,
        held_out=held_out,
        max_epochs=max_epochs,
    )


@app.command()
@plain_faults
def run(
    study: Study,
    patience: Annotated[
        float,
        typer.Option(
            min=1.0,
            help="Seconds without a sign of life after which another worker's point is taken over.",
        ),
    ] = 120.0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Train this many points, then end.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try failed points again.")] = False,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep-checkpoints", help="Do not remove those of finished points (trunks keep them)."
        ),
    ] = False,
) -> None:
    """Train the points of a study; start it as often as there are machines to work on it."""
    from jaxpose.cli import scaling_work

    raise typer.Exit(scaling_work.run(study, patience, limit, retry, keep))


@app.command()
@plain_faults
def fit(
    study: Study,
    resamples: Annotated[
        int, typer.Option(min=50, help="Bootstrap replicates behind each interval.")
    ] = 400,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Fit in spite of reasons against it; they are shown.")
    ] = False,
) -> None:
    """Fit laws to what is done, on the loss and on the score, with intervals and a test.

    Ends with status 2 and the reasons if the points carry no law at all.
    """
    from jaxpose.cli import scaling_fit

    scaling_fit.fit(study, resamples, anyway)


@app.command()
@plain_faults
def plot(
    study: Study,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the pictures; `plots` in the study if absent.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=50, help="As for `fit`.")] = 400,
    anyway: Annotated[bool, typer.Option("--anyway", help="As for `fit`.")] = False,
) -> None:
    """Draw the laws: over compute with the efficient frontier, and isoFLOP curves over size."""
    from jaxpose.cli import scaling_fit

    scaling_fit.plot(study, out, resamples, anyway)


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers.", param_hint=option) from None


def _pairs(text: str) -> dict[str, float]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    try:
        return {name.strip(): float(value) for name, _, value in pairs}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not of the form NAME=NUMBER,NAME=NUMBER.") from None
