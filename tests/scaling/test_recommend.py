"""`jaxpose scaling recommend` and `export` on made-up studies of a known law."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.cli.scaling import Recommend
from jaxpose.cli.scaling_recommend import compute_of
from jaxpose.errors import InputError
from jaxpose.scaling import study_table
from jaxpose.scaling.manifest import folder, read_manifest
from jaxpose.scaling.study_shapes import forward_price, nearest_shape
from jaxpose.train.loggers import Logger
from tests.scaling.made_up import BUDGETS, SIZES, law, point, write_study

WIDTHS = dict(zip(SIZES, (16, 32, 64, 128), strict=True))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    points = [
        point(
            n,
            c,
            shape={"width": WIDTHS[n]},
            set=(f"model.backbone.dim={WIDTHS[n]}", f"model.backbone.heads={WIDTHS[n] // 16}"),
        )
        for n in SIZES
        for c in BUDGETS[:4]
    ]
    return write_study(tmp_path_factory.mktemp("made") / "study", points)


def run(*arguments):
    return CliRunner().invoke(app, ["scaling", *map(str, arguments)], terminal_width=200)


@pytest.fixture(scope="module")
def report(study):
    limit = float(forward_price(read_manifest(study))(60_000.0)) / 1e9
    result = run("recommend", study, "--flops", 1e13, "--json", "--resamples", 50, "--serve", limit)
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_limit_in_use_that_is_no_size_is_refused(study):
    result = run("recommend", study, "--flops", 1e13, "--serve", "1,nan")
    assert result.exit_code == 2 and "--serve must be positive, and is nan" in result.output


def test_the_best_size_is_that_of_the_true_law(study, report):
    sizes = np.geomspace(1e4, 1e8, 2000)
    true = sizes[np.argmin(law(sizes, 1e13 / (30 * sizes)))]
    low, high = (run["parameters"] for run in report["alternatives"])
    assert low < true < high and low < report["best"]["parameters"] < high
    best = report["best"]
    assert best["samples"] * report["shape"]["forward_flops"] < 1e13
    value = law(best["parameters"], best["samples"])
    assert best["loss"]["low"] < value < best["loss"]["high"]
    assert best["score"]["low"] < 20 * value < best["score"]["high"]
    assert best["epochs"] == pytest.approx(best["samples"] / 1e9)


def test_the_shape_lies_on_the_line_of_the_study(study, report):
    shape = nearest_shape(read_manifest(study), report["best"]["parameters"])
    assert shape.cost.trainable == report["best"]["parameters"]
    assert shape.size.name == report["shape"]["size"] and shape.size.name.startswith("w")
    assert report["shape"]["bytes_per_device"] > 4 * 4 * shape.cost.trainable
    assert report["shape"]["steps"] == pytest.approx(report["best"]["samples"] / 8, rel=0.01)


def test_more_runs_narrow_the_interval_and_larger_ones_narrow_it_more(report):
    rows = report["surer"]
    largest = BUDGETS[3]
    assert [row["compute"] / largest for row in rows] == pytest.approx([1, 3, 2], rel=0.01)
    assert all(row["parameters"] < report["best"]["parameters"] * 1.1 for row in rows)
    assert all(0.3 < row["width"] <= 1 for row in rows)
    assert rows[1]["width"] <= rows[0]["width"]


def test_a_serving_budget_limits_the_size(report):
    (row,) = report["serving"]
    assert row["parameters"] == pytest.approx(60_000, rel=0.02)
    assert row["parameters"] < report["best"]["parameters"]
    assert row["loss"]["value"] > report["best"]["loss"]["value"]
    assert row["samples"] > report["best"]["samples"]


def test_a_budget_beyond_the_study_is_qualified(study):
    # `test_forecasts` has the refusal.
    result = run("recommend", study, "--flops", 4e13, "--resamples", 50, "--anyway")
    text = " ".join(result.output.split())
    assert result.exit_code == 0 and "the interval is a guess" in text
    assert "No run was repeated with another seed" in text


def test_one_budget_is_refused_with_the_reason(tmp_path):
    one = write_study(tmp_path / "s", [point(n, 1e12) for n in (*SIZES, 10**6, 2 * 10**6, 10**7)])
    result = run("recommend", one, "--flops", 1e13)
    assert result.exit_code == 2 and "one budget" in " ".join(result.output.split())


def test_chip_hours_are_flops_at_an_mfu(study):
    options = Recommend(study, chip_hours="v5e:100", mfu=0.5)
    assert compute_of(options) == pytest.approx(100 * 3600 * 197e12 * 0.5)
    for wrong in ({}, {"flops": 1.0, "chip_hours": "v5e:1"}, {"chip_hours": "v5e"}, {"flops": -1}):
        with pytest.raises(InputError):
            compute_of(Recommend(study, **wrong))


def test_a_study_is_exported_as_a_table(study, tmp_path):
    result = run("export", study, "--csv", tmp_path / "runs.csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "runs.csv").open()))
    points = read_manifest(study).points
    assert [row["name"] for row in rows] == [p.name for p in points]
    assert float(rows[3]["compute"]) == points[3].compute
    assert float(rows[3]["shape/width"]) == 16 and 0 < float(rows[3]["AP"]) < 1
    assert run("export", study).exit_code == 2


def test_a_tracker_gets_one_run_of_each_point(study):
    sent = {}

    class Tracker(Logger):
        def open(self, directory, start_step, config):
            self.place = directory
            assert len(config["overrides"]) == 2 and "model" in config
            return self

        def scalars(self, step, values):
            sent[self.place] = (step, values)

        def close(self):
            pass

    manifest = read_manifest(study)
    study_table.send(study_table.rows(study, manifest), study, manifest, Tracker())
    for p in manifest.points:
        step, values = sent[folder(study, p)]
        assert step == p.steps and values["study/parameters"] == p.parameters
        assert values["study/loss"] > 0 and "study/AP" in values
