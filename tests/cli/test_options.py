"""Flags made from dataclasses: what they accept, where their values go, that none is missing."""

import dataclasses
import inspect
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from jaxpose.cli.lift_command import Lift
from jaxpose.cli.main import app
from jaxpose.cli.options import OldName, Sets, filled, takes
from jaxpose.cli.predict_command import Predict
from jaxpose.config import override
from jaxpose.errors import InputError
from jaxpose.pipeline import Lifting, Options, Smoothing
from jaxpose.pipeline.options import set_options


@dataclass(frozen=True)
class Shape:
    width: int = 3


@dataclass(frozen=True)
class Target:
    shape: Shape = Shape()
    fast: bool = True


@dataclass(frozen=True)
class Flags:
    source: Annotated[str, typer.Argument(help="The source.")]
    width: Annotated[
        int, typer.Option(min=1, help="The width."), Sets("shape.width"), OldName("--breadth")
    ] = 3
    kind: Annotated[Literal["a", "b"], typer.Option(help="The kind.")] = "a"
    slow: Annotated[
        bool, typer.Option("--slow", help="Be slow."), Sets("fast", lambda slow: not slow)
    ] = False
    more: Annotated[list[str], typer.Option(help="Repeatable.")] = dataclasses.field(
        default_factory=list
    )


def run(*arguments: str):
    """The options that a command got, and Click's result."""
    got: list[Flags] = []
    small = typer.Typer()

    @small.command()
    @takes(Flags)
    def command(options: Flags) -> None:
        """Do something."""
        got.append(options)

    return got, CliRunner().invoke(small, list(arguments))


def test_a_field_is_a_flag():
    got, result = run("in", "--width", "5", "--kind", "b", "--slow", "--more", "x", "--more", "y")
    assert result.exit_code == 0, result.output
    assert got == [Flags("in", 5, "b", True, ["x", "y"])]
    assert run("in")[0] == [Flags("in")]
    for wrong in (["--width", "0"], ["--kind", "c"], ["--wide", "1"], ["--breadth", "0"]):
        got, result = run("in", *wrong)
        assert (got, result.exit_code) == ([], 2)


def test_an_old_name_works_and_is_not_shown():
    got, result = run("in", "--breadth", "7")
    assert got == [Flags("in", 7)]
    assert "--breadth is now --width; the old name will go in a later version." in result.stderr
    help_text = run("--help")[1].output
    assert "--width" in help_text and "The width." in help_text and "breadth" not in help_text


def test_marked_fields_go_to_their_keys():
    assert filled(Flags("in"), Target()) == Target()
    assert filled(Flags("in", width=9, slow=True), Target()) == Target(Shape(9), False)


def test_defaults_of_flags_are_those_of_the_library():
    """They stand in both places, since a command's help imports nothing heavy."""
    assert filled(Predict([], "run", Path()), Options()) == Options()
    assert filled(Lift(Path(), [], "lifter"), Lifting()) == Lifting()


def test_a_flag_of_a_library_option_is_written_in_one_place():
    """The flag `--longest-gap`, its limits, its help and where it goes: one field, nothing else."""
    folder = Path(inspect.getfile(Lift)).parent
    named = {file.name: file.read_text().count("longest_gap:") for file in folder.glob("*.py")}
    # `measure` has a flag of this name for gaps of keypoints.
    assert named.pop("measure_command.py") == 1
    assert {name: count for name, count in named.items() if count} == {"lift_command.py": 1}
    assert filled(Lift(Path(), [], "lifter", longest_gap=2.0), Lifting()).longest_gap == 2.0


def leaves(part, above=""):
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{above}{field.name}.")
        else:
            yield f"{above}{field.name}", value


def test_every_option_of_the_pipeline_can_be_set():
    smoothed = Options(smooth="one-euro")
    keys = dict(leaves(smoothed))
    assert {"tracking.patience", "lifting.cleaning.rigid", "lifting.focal", "smooth.beta"} < {*keys}
    for key, value in keys.items():
        assert override(smoothed, [f"{key}={value}"]) == smoothed, key
    changed = override(smoothed, ["smooth.beta=0.5", "lifting.focal=900", "tracking.reach=0.1"])
    assert changed.smoothing == Smoothing("one-euro", beta=0.5)
    assert (changed.lifting.focal, changed.tracking.reach) == (900.0, 0.1)
    with pytest.raises(InputError, match="patience"):
        override(smoothed, ["tracking.patince=3"])
    with pytest.raises(InputError, match=r"lifting\.focal must be positive"):
        override(smoothed, ["lifting.focal=-1"])


def test_the_keys_of_a_smoothing_need_its_method():
    assignments = ["smooth.beta=0.5", "smooth=one-euro"]
    for given in (assignments, assignments[::-1]):
        assert set_options(Options(), given).smooth == Smoothing("one-euro", beta=0.5)
    with pytest.raises(InputError, match=r"smooth\.beta .* add --smooth one-euro"):
        set_options(Options(), assignments[:1])


def commands(group, name="jaxpose"):
    for key, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {key}")
        else:
            yield f"{name} {key}", command


ALL = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("name", ALL)
def test_help_of_every_flag(name):
    """Each shown flag has a text of its own, a verb or a noun first, that ends with a full stop."""
    for parameter in ALL[name].params:
        text = (getattr(parameter, "help", None) or "").removesuffix("  [required]")
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        where = f"{name} {parameter.name}: {text!r}"
        assert text.split("  [")[0].endswith("."), where
        first = text.split()[0].strip("`'").lower()
        assert first not in {"of", "that", "what", "which", "who", "whose", "how", "whether"}, where


@pytest.mark.parametrize("name", ALL)
def test_no_word_of_a_help_is_cut_at_80_columns(name):
    words = name.split()[1:]
    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "80"})
    assert result.exit_code == 0 and "…" not in result.output


def test_every_command_with_flags_has_one_dataclass():
    """Its callback takes `options` alone, so that no list of flags is written a second time."""
    apart = set()
    for name, command in ALL.items():
        callback = inspect.unwrap(command.callback)
        parameters = list(inspect.signature(callback, follow_wrapped=False).parameters.values())
        if [p.name for p in parameters] != ["options"]:
            apart.add(name)
            continue
        fields = dataclasses.fields(typing.get_type_hints(callback)["options"])
        shown = [p.name for p in command.params if not getattr(p, "hidden", False)]
        assert [f.name for f in fields] == shown[: len(fields)], name
        # `limits_images` adds one flag to the commands that read images.
        assert set(shown[len(fields) :]) <= {"help", "max_megapixels"}, name
    # The flags of `prepare` are those of a dataset's script; `doctor` has none.
    assert apart == {"jaxpose prepare", "jaxpose doctor"}
