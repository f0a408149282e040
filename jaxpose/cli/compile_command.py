"""The options of `jaxpose compile`; what it does is in `cli.compile` and `cli.compile_chips`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import typer

from jaxpose.cli.options import Mesh, Overrides, Recipe, takes


@dataclass(frozen=True)
class Compile:
    """Options of `jaxpose compile`."""

    config: Recipe
    devices: Annotated[
        int | None,
        typer.Option(min=1, help="Compile for this number of devices, simulated on the CPU."),
    ] = None
    chips: Annotated[
        str | None,
        typer.Option(
            metavar="CHIP:TOPOLOGY",
            help="Compile for real chips by their own compiler, without having one: v4, v5e, v5p "
            "or v6e with the shape of a slice, such as v5e:4x4; a100, h100, h200, b200, l4 or t4 "
            "with a number of GPUs, such as h100:8.",
        ),
    ] = None
    program: Annotated[
        Literal["train", "eval", "predict", "export"],
        typer.Option(
            help="With --chips: a training step; a batch of the evaluation; a batch of "
            "`jaxpose predict`; the program of `jaxpose export --level photo`."
        ),
    ] = "train"
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Samples in a batch, those of all devices together."),
    ] = None
    mesh: Mesh = None
    compare: Annotated[
        str | None,
        typer.Option(
            metavar="RECIPE|CHIP:TOPOLOGY|FILE.json",
            help="With --chips: also compile another recipe, or for other chips, or read a file "
            "that --json has printed; print both side by side.",
        ),
    ] = None
    fit: Annotated[
        bool,
        typer.Option(
            "--fit",
            help="With --chips: search mesh, batch, accumulation and rematerialisation for the "
            "highest bound on MFU that fits the memory, and print the command.",
        ),
    ] = False
    set_: Overrides = field(default_factory=list)
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False


@takes(Compile)
def compile_(options: Compile) -> None:
    """Compile a program for devices that are not here: memory, FLOPs, traffic of each.

    With --devices, for devices simulated on the CPU; with --chips, by the compiler of real TPUs or
    GPUs, with bounds on the time and the MFU that follow from the chip's figures.
    """
    from jaxpose.errors import InputError

    if (options.devices is None) == (options.chips is None):
        raise InputError(
            "Give --devices N to compile for N simulated devices, or --chips v5e:4x4 to compile "
            "for real chips; one of the two."
        )
    if options.chips is not None:
        from jaxpose.cli.compile_chips import compile_for_chips

        compile_for_chips(options, options.chips)
        return
    if options.program != "train" or options.compare is not None or options.fit:
        raise InputError("--program, --compare and --fit need --chips; --devices has none of them.")
    from jaxpose.cli.compile import compile_recipe

    compile_recipe(options)
