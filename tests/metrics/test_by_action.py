"""Tables of joint errors by subject and action."""

import io

import numpy as np
import pytest
from rich.console import Console

from jaxpose.metrics.by_action import errors_by_action, mean_over_cells
from jaxpose.metrics.report import Report


def test_each_cell_has_its_own_frames_and_means_are_over_cells():
    rng = np.random.default_rng(0)
    truth = rng.normal(scale=300, size=(6, 5, 3))
    off = np.array([10.0, 10, 40, 20, 20, 20])  # mm along x, frame by frame
    predicted = truth + off[:, None, None] * np.array([1.0, 0, 0])
    known = np.ones((6, 5))
    known[5] = 0
    subjects = ["S1", "S1", "S1", "S2", "S2", "S3"]
    actions = ["Jog", "Jog", "Box", "Jog", "Jog", "Box"]
    table = errors_by_action(predicted, truth, known, subjects, actions)
    assert table["MPJPE"] == {
        "S1": {"Box": pytest.approx(40), "Jog": pytest.approx(10)},
        "S2": {"Jog": pytest.approx(20)},
        "S3": {"Box": -1.0},
    }
    # A shift is a similarity.
    assert table["P-MPJPE"]["S1"]["Box"] == pytest.approx(0, abs=1e-4)
    # Over cells, not frames; what could not be measured is left out.
    assert mean_over_cells(table)["MPJPE"] == pytest.approx(70 / 3)
    assert mean_over_cells({"MPJPE": {"S1": {"Box": -1.0}}}) == {"MPJPE": -1.0}


def test_the_report_shows_subjects_across_and_actions_down():
    cells = {"S1": {"Box": 40.0, "Jog": 10.0}, "S2": {"Jog": 20.0, "Box": -1.0}, "S3": {"Jog": 3.0}}
    report = Report(
        {"MPJPE": 12.0}, "none", True, "lifting", None, 9, {"unit": "mm"}, {"MPJPE": cells}
    )
    assert Report.from_json(report.to_json()) == report
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(report.table())
    lines = [line.replace("│", " ").split() for line in console.export_text().splitlines()]
    assert ["Box", "40.0", "none", "40.0"] in lines
    assert ["Jog", "10.0", "20.0", "3.0", "11.0"] in lines
    assert ["mean", "25.0", "20.0", "3.0", "16.0"] in lines
    assert ["9", "poses"] in lines
