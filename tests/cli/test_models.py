"""`jaxpose models`: the list, and the record of one model."""

import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app


def models(name, columns=100):
    return CliRunner().invoke(app, ["models", name], env={"COLUMNS": str(columns)})


def test_the_list_fits_a_terminal_and_counts():
    result = models("yolox-n")
    assert result.exit_code == 0, result.output
    (row,) = (line for line in result.stdout.splitlines() if line.startswith("yolox-nano"))
    cells = "yolox-nano 416x416 80 0.91 (0.91) 0.52 (0.54) box AP 25.8 ✓ ✓"
    assert " ".join(row.split()) == cells
    lifters = models("videopose3d").stdout
    assert max(map(len, lifters.splitlines())) <= 100
    assert "h36m17" in lifters and "12.75 (12.75)" in lifters


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "rtmpose-t-face",
            (
                "face106",
                "SimCC(",
                "256x256",
                "Apache-2.0",
                "Face6",
                "NME 1.67",
                "df79d9a5_20230529",
            ),
        ),
        ("martinez", ("h36m17", "frame='pixels'", "Human3.6M", "MPJPE 43.4", "martinez_h36m")),
        ("rtmdet-nano-person", ("BGR, mean 103.53", "person AP 40.3", "Objects365", "320x320")),
        ("motionbert-lite-243", ("none here", "units of the image", "address not known")),
    ],
)
def test_a_whole_name_prints_the_record(name, facts):
    result = models(name)
    assert result.exit_code == 0, result.output
    lines = [line.strip("│ ") for line in result.stdout.splitlines()]
    text = " ".join(part.strip() for line in lines for part in line.split("│"))
    for fact in facts:
        assert fact in text or fact in text.replace(" ", ""), fact


def test_an_unknown_name_names_the_nearest():
    result = models("rtmpos-s")
    assert result.exit_code == 2
    assert "Did you mean 'rtmpose-s'" in " ".join(result.output.split())


def test_names_are_whole_in_a_narrow_terminal_and_limits_are_marked():
    printed = models("MotionBERT", columns=80).stdout
    lines = printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("motionbert-lite-243 ") for line in lines)
    assert "no 3D" in printed and "the lifter converts, but cannot predict" in " ".join(
        printed.split()
    )
