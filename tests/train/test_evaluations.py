"""Several evaluations in one run: schedules, datasets, names, and the files they leave."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import from_json, to_json
from jaxpose.data.source import SyntheticPeople
from jaxpose.errors import InputError
from jaxpose.losses import OHKM, HeatmapMSE, WeightedSum
from jaxpose.media.image import read_image
from jaxpose.metrics import EPE, NME, PCK, CocoAP, Metric, PCKh
from jaxpose.metrics.report import Report
from jaxpose.tasks.lifting.experiment import LiftingEvaluation
from jaxpose.tasks.topdown.experiment import Evaluation
from jaxpose.train.evaluation import EvaluationBase
from jaxpose.train.log import read_metrics
from jaxpose.train.loop import train
from jaxpose.train.recipe import load_recipe
from jaxpose.train.run_dir import load_run

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
QUIET = Console(quiet=True)
OTHERS = SyntheticPeople(count=5, seed=9, canvas_hw=(96, 72))


@pytest.fixture(scope="module")
def experiment():
    return dataclasses.replace(
        load_recipe(str(TINY)),
        loss=WeightedSum((HeatmapMSE(), OHKM()), (1.0, 0.5)),
        steps=4,
        evaluation=Evaluation(metrics=(NME(), EPE()), best="EPE", every=2, batch_size=8),
        more_evaluations=(
            Evaluation(name="others", metrics=(PCK(),), every=3, data=OTHERS, batch_size=8),
            Evaluation(name="ap", every=100, flip_test=False, batch_size=8, examples=0),
        ),
    )


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "several"
    result = train(experiment, directory, QUIET)
    return directory, result


@pytest.mark.slow
def test_each_has_its_schedule_dataset_and_name(finished):
    directory, result = finished
    scores = {r["step"]: r for r in read_metrics(directory) if r["kind"] == "eval"}
    assert sorted(scores) == [2, 3, 4]
    assert list(scores[2]) == ["step", "kind", "EPE", "NME"]
    assert "others/PCK" in scores[3] and "EPE" not in scores[3] and "ap/AP" not in scores[3]
    assert {"EPE", "others/PCK", "ap/AP"} <= scores[4].keys()
    assert result.report.metrics == {"EPE": scores[4]["EPE"], "NME": scores[4]["NME"]}
    main, others, ap = (
        Report.from_json((directory / where / "report.json").read_text())
        for where in (".", "evaluations/others", "evaluations/ap")
    )
    assert (main.people, others.people, ap.people) == (10, 5, 10)
    assert main == result.report and not ap.flip_test
    assert others.metrics["PCK"] == scores[4]["others/PCK"]


def test_the_lowest_of_an_error_picks_the_best_checkpoint(finished):
    directory, _ = finished
    scores = {r["step"]: r["EPE"] for r in read_metrics(directory) if "EPE" in r}
    assert load_run(directory, "best").step == min(scores, key=scores.get)


def test_terms_of_the_loss_are_logged_and_add_up(finished):
    directory, _ = finished
    rows = [r for r in read_metrics(directory) if r["kind"] == "train"]
    assert [r["step"] for r in rows] == [1, 2, 3, 4]
    for row in rows:
        assert {"loss", "gradient_norm", "learning_rate"} <= row.keys()
        assert row["loss"] == pytest.approx(row["loss/HeatmapMSE"] + row["loss/OHKM"], rel=1e-6)


@pytest.mark.slow
def test_terms_are_means_over_parts_of_an_accumulated_batch(experiment, tmp_path):
    parts = dataclasses.replace(
        experiment, accumulate=2, batch_size=16, steps=1, more_evaluations=()
    )
    train(parts, tmp_path, QUIET)
    row = read_metrics(tmp_path)[0]
    assert 0 < row["loss/OHKM"] < row["loss"]
    assert row["loss"] == pytest.approx(row["loss/HeatmapMSE"] + row["loss/OHKM"], rel=1e-5)


def test_a_run_ends_with_images_of_its_curves_and_errors(finished):
    directory, _ = finished
    for name in ("curves", "keypoint_errors", "worst", "predictions"):
        assert read_image(directory / f"{name}.png").std() > 10, name
    assert (directory / "evaluations/others/worst.png").exists()
    assert {f.name for f in (directory / "evaluations/ap").iterdir()} == {
        *("report.json", "keypoint_errors.png"),
    }


def test_eval_repeats_every_evaluation(finished):
    directory, _ = finished
    result = CliRunner().invoke(app, ["eval", str(directory), "--checkpoint", "last"])
    assert result.exit_code == 0, result.output
    for title in ("Evaluation 'others':", "Evaluation 'ap':"):
        assert title in result.output
    for name, before in (("", ""), ("others", "evaluations/others"), ("ap", "evaluations/ap")):
        again = Report.from_json((directory / "eval" / name / "report.json").read_text())
        first = Report.from_json((directory / before / "report.json").read_text())
        assert again.metrics == pytest.approx(first.metrics, abs=1e-6), name
    rows = json.loads((directory / "eval/others/predictions.json").read_text())
    assert len(rows) == 5 and (directory / "eval/worst.png").exists()


@pytest.mark.slow
def test_other_evaluations_may_change_on_resume_and_change_no_bit(experiment, finished, tmp_path):
    alone = dataclasses.replace(experiment, more_evaluations=(), steps=4)
    train(dataclasses.replace(alone, checkpoint_every=2, loggers=()), tmp_path, QUIET)
    ours, theirs = load_run(tmp_path, "last"), load_run(finished[0], "last")
    for name in ("params", "batch_stats"):
        for a, b in zip(*(_leaves(run.variables[name]) for run in (ours, theirs)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert train(alone, finished[0], QUIET).step == 4  # no difference that is refused


def _leaves(tree):
    import jax

    return jax.tree.leaves(tree)


def test_an_evaluation_fills_in_its_best_figure():
    assert (Evaluation().best, Evaluation().lower_is_better) == ("AP", False)
    assert Evaluation(metrics=(EPE(), CocoAP())).lower_is_better
    assert Evaluation(metrics=(EPE(), CocoAP()), best="AR").best == "AR"
    lifting = LiftingEvaluation(best="P-MPJPE")
    assert lifting.lower_is_better and LiftingEvaluation().best == "MPJPE"
    assert from_json(json.loads(json.dumps(to_json(Evaluation(best="AR"))))).best == "AR"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"best": "APP"},
            r"'APP', but none of its metrics \(CocoAP\) reports it. Did you mean 'AP",
        ),
        ({"metrics": ()}, "at least one metric"),
        ({"every": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"metrics": (EPE(), EPE())}, "Two EPE report 'EPE'"),
    ],
)
def test_an_evaluation_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Evaluation(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"more_evaluations": (Evaluation(),)}, "needs a name"),
        ({"more_evaluations": (Evaluation(name="a/b"),)}, "needs a name of letters"),
        ({"more_evaluations": (Evaluation(name="a"), Evaluation(name="a"))}, "the same name: a"),
        ({"evaluation": Evaluation(name="main")}, "the main evaluation must have no name"),
    ],
)
def test_names_are_checked(experiment, changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(experiment, **changes)


def test_an_evaluation_that_cannot_be_fed_stops_the_run_before_it_begins(experiment, tmp_path):
    heads = Evaluation(name="heads", metrics=(PCKh(),), batch_size=8)
    wrong = dataclasses.replace(experiment, more_evaluations=(heads,))
    with pytest.raises(InputError, match="more_evaluations 'heads': PCKh needs head_boxes"):
        train(wrong, tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()
    assert isinstance(heads, EvaluationBase)


@dataclasses.dataclass(frozen=True)
class Slip(Metric):
    """A metric with a slip of the pen."""

    @property
    def figures(self):
        return {"error": "lower"}

    def __call__(self, estimates):
        return {"error": estimates.distance.mean()}


def test_a_metric_that_fails_stops_the_run_before_it_begins(experiment, tmp_path):
    metrics = (EPE(), Slip())
    for changes, words in (
        ({"evaluation": Evaluation(metrics=metrics, batch_size=8)}, "^Slip fails"),
        (
            {"more_evaluations": (Evaluation(name="mine", metrics=metrics, batch_size=8),)},
            "^more_evaluations 'mine': Slip fails",
        ),
    ):
        with pytest.raises(InputError, match=rf"{words} .*test_evaluations\.py, line \d+"):
            train(dataclasses.replace(experiment, **changes), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()
