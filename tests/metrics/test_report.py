"""A report says what its numbers depend on."""

import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from jaxpose.errors import InputError
from jaxpose.metrics.report import Report

REPORT = Report(
    metrics={"AP": 0.5, "AP50": 0.75, "APM": -1.0},
    boxes="ground truth",
    flip_test=True,
    decode="Heatmap udp, dark",
    sigmas=(0.025, 0.107),
    people=1234,
    notes={"split": "val"},
)


def rendered(report: Report) -> str:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(report.table())
    return capture.get()


def test_the_table_shows_metrics_and_conditions():
    text = rendered(REPORT)
    parts = ("AP50", "0.7500", "nothing to measure", "ground truth", "yes", "Heatmap udp, dark")
    for part in parts:
        assert part in text
    assert "2 values, 0.025 to 0.107" in text
    assert "1,234" in text
    assert "val" in text


@pytest.mark.parametrize(
    ("sigmas", "words"),
    [((0.05, 0.05), "uniform 0.05"), (None, "not used"), ("coco17", "coco17")],
)
def test_sigmas_in_words(sigmas, words):
    report = Report({"AP": 1.0}, "full photo", False, "argmax", sigmas, 1)
    assert report.conditions()["sigmas"] == words
    assert report.conditions()["flip test"] == "no"


def test_json_round_trip():
    assert Report.from_json(REPORT.to_json()) == REPORT


def test_other_json_is_refused():
    with pytest.raises(InputError, match="not a report"):
        Report.from_json('{"AP": 1}')


def test_figures_that_are_not_finite_are_null_in_json():
    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    values = {"AP": float("nan"), "EPE": float("inf"), "NME": 0.5}
    report = replace(REPORT, metrics=values, by_action={"EPE": {"S1": {"Walk": float("nan")}}})
    text = report.to_json()
    assert json.loads(text, parse_constant=no_constant)["metrics"] == {
        name: None if name != "NME" else 0.5 for name in values
    }
    found = Report.from_json(text)
    assert np.isnan([found.metrics["AP"], found.metrics["EPE"]]).all()
    assert found.metrics["NME"] == 0.5 and np.isnan(found.by_action["EPE"]["S1"]["Walk"])
    assert "nan" in rendered(found)
