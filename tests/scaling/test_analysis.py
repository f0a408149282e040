"""What `jaxpose scaling fit` says of a study and what it refuses to say, on made-up results."""

import json
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import to_json
from jaxpose.media.image import read_image
from jaxpose.scaling.analysis import analyse, extrapolations, summary
from jaxpose.scaling.manifest import Manifest, folder, read_manifest, write_manifest
from jaxpose.scaling.observations import observe
from jaxpose.scaling.one_axis_sweep import arms, shape_law
from jaxpose.scaling.worker import RESULT, Result
from jaxpose.train.recipe import load_recipe
from tests.scaling.made_up import (
    BUDGETS,
    SIZES,
    TINY,
    law,
    point,
    samples_of_held_out,
    whole_sweep,
    write_study,
)


def analysed(path, quantity="loss", **options):
    points, held_out = observe(path, read_manifest(path), quantity)
    return analyse(quantity, quantity, points, held_out, resamples=60, **options)


def run(*arguments):
    return CliRunner().invoke(app, ["scaling", *map(str, arguments)], terminal_width=200)


def test_a_study_gives_its_law_its_frontier_and_its_test(tmp_path):
    study = write_study(tmp_path / "study", whole_sweep())
    result = run("fit", study, "--resamples", 60)
    assert result.exit_code == 0, result.output
    assert "best size: as compute^0." in result.output
    assert "n1000000-f8e+13, held out: predicted" in result.output
    found = json.loads((study / "fit.json").read_text())
    for quantity, scale in (("loss", 1), ("score", 20)):
        fitted = found[quantity]["laws"]["joint"]
        low, high = fitted["intervals"]["a"]
        assert low < 0.5 < high
        tested = found[quantity]["extrapolation"][0]
        assert abs(tested["error"]) < 0.03
        assert tested["low"] < scale * law(1_000_000, samples_of_held_out()) < tested["high"]
    assert "compute" in found["loss"]["laws"]
    low, high = found["loss"]["frontier"]["exponents"]["size"]["interval"]
    assert low < 0.5 < high

    result = run("plot", study, "--resamples", 60)
    assert result.exit_code == 0, result.output
    for name in ("loss", "loss_laws", "score"):
        picture = read_image(study / "plots" / f"{name}.png")
        assert picture.shape[0] > 300 and picture.std() > 10


def test_the_largest_budget_is_foretold_from_the_others(tmp_path):
    rows = extrapolations(analysed(write_study(tmp_path / "s", whole_sweep())))
    left = [row for row in rows if "left_out" in row]
    assert len(left) == len(SIZES) and len(rows) == len(SIZES) + 1
    assert max(abs(row["error"]) for row in rows) < 0.03


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([point(n, 1e12) for n in SIZES], "too few points: 4 for the 5 parameters"),
        (whole_sweep(people=1e4), "epochs repeat too often"),
        (
            [point(round(1e5 * x), c) for x in (1, 1.2, 1.5) for c in BUDGETS],
            "too narrow: parameters range over a factor of 1.5",
        ),
    ],
    ids=["few", "repeated", "narrow"],
)
def test_points_that_carry_no_law_are_refused_with_the_reason(tmp_path, points, reason):
    study = write_study(tmp_path / "s", points)
    analysis = analysed(study)
    assert analysis.joint is None
    assert any(reason in r for r in analysis.refused["joint"])
    if len(points) > 5:
        assert analysed(study, anyway=True).joint is not None
    if not analysis.laws and analysis.forecaster is None:
        result = run("fit", study, "--resamples", 60)
        assert result.exit_code == 2 and reason in " ".join(result.output.split())
        assert not (study / "fit.json").exists()


def test_nothing_is_said_of_best_sizes_off_the_centre(tmp_path):
    large = [point(n, c) for n in (400_000, 800_000, 1_600_000, 3_200_000) for c in BUDGETS[:4]]
    analysis = analysed(write_study(tmp_path / "s", large))
    assert analysis.joint is not None  # the law holds, but its minimum was never seen
    assert "off-centre" in analysis.refused["frontier"][0]
    assert "best smaller" in analysis.refused["frontier"][0]
    assert "frontier" not in summary(analysis)


def test_a_score_at_its_worst_value_is_not_fitted(tmp_path):
    study = write_study(tmp_path / "s", whole_sweep(), score=lambda loss: max(0, 0.1 - 20 * loss))
    assert "still near its worst value" in analysed(study, "score").refused["joint"][0]
    assert analysed(study).joint is not None


def test_no_point_done_is_said(tmp_path):
    experiment = to_json(load_recipe(TINY))
    write_manifest(tmp_path, Manifest("made up", experiment, "AP", tuple(whole_sweep())))
    result = run("fit", tmp_path)
    assert result.exit_code == 2 and "No point" in result.output


def test_a_star_tells_how_a_dimension_grows(tmp_path):
    shapes = [{"width": w, "depth": d} for w, d in _STAR]
    points = [point(1000 + i, c, shape=s) for i, s in enumerate(shapes) for c in BUDGETS]
    study = write_study(tmp_path / "s", points)
    a, b, c = 0.6, 0.5, 0.4
    for p in points:
        w, t = p.shape["width"], p.compute / 1e11
        off = 0.05 * (p.shape["depth"] != 8)
        loss = 0.1 + 5 * w**-a + (0.02 * w**b + 0.3) * t**-c + off
        (folder(study, p) / RESULT).write_text(
            json.dumps(asdict(Result({"AP": 0.5}, loss, None, 1.0, "cpu")))
        )
    manifest = read_manifest(study)
    measured, _ = observe(study, manifest, "loss")
    wide, deep = arms(manifest, measured)
    assert (wide.axis, len(wide.points), deep.axis, len(deep.points)) == ("width", 25, "depth", 15)
    found = shape_law(wide, resamples=50)
    assert found["exponent"] == pytest.approx(c / (a + b), rel=0.03)
    assert not found["not_said"]


_STAR = [(128, 8), (32, 8), (64, 8), (256, 8), (512, 8), (128, 4), (128, 16)]
