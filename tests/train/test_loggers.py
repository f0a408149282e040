"""Loggers: what each is given, what is kept when a run is resumed, what is said when one fails."""

import csv
import dataclasses
import io
import json
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from jaxpose.config import from_json, to_json
from jaxpose.errors import InputError
from jaxpose.train.log import RunLog, read_metrics
from jaxpose.train.loggers import CSV, Logger, LogLost, MLflow, TensorBoard, WandB
from jaxpose.train.loop import train
from jaxpose.train.recipe import load_recipe
from jaxpose.train.run_dir import load_run

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
IMAGE = np.zeros((4, 6, 3), np.uint8)


@dataclass(frozen=True)
class Kept(Logger):
    """Keeps what it is given in `rows`; fails where told to."""

    fault: type[Exception] | None = None

    def open(self, directory, start_step, config):
        return KeptLog(self.fault, start_step, config)


class KeptLog:
    opened: list["KeptLog"] = []

    def __init__(self, fault, start_step, config):
        self.fault, self.start_step, self.config = fault, start_step, config
        self.rows, self.images, self.closed = [], [], False
        self.opened.append(self)

    def scalars(self, step, values):
        if self.fault is not None:
            raise self.fault("no route to host")
        self.rows.append((step, dict(values)))

    def image(self, step, name, rgb):
        self.images.append((step, name, rgb.shape))

    def close(self):
        self.closed = True


@pytest.fixture
def opened():
    KeptLog.opened.clear()
    return KeptLog.opened


def run_log(directory, *loggers, start=0, writes=True, console=None):
    console = console or Console(file=io.StringIO(), width=200)
    return RunLog(directory, 9, start, 8, console, writes, "images", loggers, {"seed": 0})


def test_a_logger_of_ones_own_gets_everything(tmp_path, opened):
    with run_log(tmp_path, Kept(), start=2) as log:
        log.scalars(3, {"loss": np.float32(0.5), "loss/L1": 0.25})
        log.metrics(3, {"AP": 0.75})
        log.image(3, "predictions", IMAGE)
        assert not opened[0].closed
    (kept,) = opened
    assert kept.start_step == 2 and kept.config == {"seed": 0} and kept.closed
    assert kept.rows == [
        (3, {"train/loss": 0.5, "train/loss/L1": 0.25}),
        (3, {"eval/AP": 0.75}),
    ]
    assert kept.images == [(3, "predictions", (4, 6, 3))]
    assert read_metrics(tmp_path)[0] == {"step": 3, "kind": "train", "loss": 0.5, "loss/L1": 0.25}


def test_the_progress_line_says_what_could_not_be_measured(tmp_path):
    console = Console(record=True, width=200, file=io.StringIO())
    log = RunLog(tmp_path, 9, 0, 8, console)
    with log:
        log.metrics(3, {"AP": 0.75, "APL": -1.0})
    assert "step 3: AP 0.750  APL nothing to measure" in console.export_text()


def test_of_several_processes_one_opens_loggers(tmp_path, opened):
    with run_log(tmp_path, Kept(), writes=False) as log:
        log.scalars(1, {"loss": 1.0})
        log.image(1, "predictions", IMAGE)
    assert opened == [] and list(tmp_path.iterdir()) == []


def test_a_lost_server_is_said_once_and_the_run_goes_on(tmp_path, opened):
    console = Console(file=io.StringIO(), width=200)
    with run_log(tmp_path, Kept(LogLost), Kept(), console=console) as log:
        for step in (1, 2, 3):
            log.scalars(step, {"loss": 1.0})
    said = console.file.getvalue()
    assert said.count("A logger lost figures") == 1 and "no route to host" in said
    assert len(opened[1].rows) == len(read_metrics(tmp_path)) == 3


def test_a_full_disk_ends_the_run(tmp_path, opened):
    with (
        run_log(tmp_path, Kept(OSError)) as log,
        pytest.raises(InputError, match="Cannot write to"),
    ):
        log.scalars(1, {"loss": 1.0})


def test_event_files_hold_scalars_and_images(tmp_path):
    with run_log(tmp_path, TensorBoard()) as log:
        log.scalars(1, {"loss": 1.0})
        log.image(1, "predictions", IMAGE)
    (file,) = tmp_path.glob("events.out.tfevents*")
    content = file.read_bytes()
    assert b"train/loss" in content and b"predictions" in content


def rows(file):
    """The rows of a table, without the speed."""
    found = csv.DictReader(file.read_text().splitlines())
    return [{k: v for k, v in row.items() if k != "images_per_second"} for row in found]


def test_tables_grow_by_rows_and_columns_and_are_cut_on_resume(tmp_path):
    with run_log(tmp_path, CSV()) as log:
        log.scalars(1, {"loss": 3.0})
        log.scalars(2, {"loss": 2.0, "loss/L1": 1.0})
        log.metrics(2, {"AP": 0.5, "crowd/AP": 0.25})
        log.scalars(3, {"loss": 1.0, "loss/L1": 0.5})
    assert rows(tmp_path / "train.csv") == [
        {"step": "1", "loss": "3.0", "loss/L1": ""},
        {"step": "2", "loss": "2.0", "loss/L1": "1.0"},
        {"step": "3", "loss": "1.0", "loss/L1": "0.5"},
    ]
    assert rows(tmp_path / "eval.csv") == [{"step": "2", "AP": "0.5", "crowd/AP": "0.25"}]
    with (tmp_path / "train.csv").open("a") as file:
        file.write("4,0.")  # killed while it wrote
    with run_log(tmp_path, CSV(), start=2) as log:
        log.scalars(3, {"loss": 7.0, "loss/L1": 6.0})
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == ["1", "2", "3"]
    assert rows(tmp_path / "train.csv")[2]["loss"] == "7.0"


class FakeWandB(types.ModuleType):
    """The calls of wandb that are made."""

    def __init__(self):
        super().__init__("wandb")
        self.calls, self.fail = [], False

    def init(self, **options):
        self.calls.append(("init", options))
        return types.SimpleNamespace(
            id=options["id"] or "abc", log=self.log, finish=lambda: self.calls.append("finish")
        )

    def log(self, values, step):
        if self.fail:
            raise ConnectionError("no route to host")
        self.calls.append((step, values))

    def Image(self, rgb):
        return "image", rgb.shape


def test_wandb_goes_on_as_the_same_run(tmp_path, monkeypatch):
    fake = FakeWandB()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    logger = WandB(project="pose", tags=("a", "b"))
    logger.check()
    for start, identity in ((0, None), (1, "abc")):
        fake.calls.clear()
        with run_log(tmp_path, logger, start=start) as log:
            log.scalars(start + 1, {"loss": 1.0})
            log.image(start + 1, "predictions", IMAGE)
        (_, options), *rest = fake.calls
        assert options["id"] == identity and options["resume"] == "allow"
        assert options["project"] == "pose" and options["tags"] == ["a", "b"]
        assert options["config"] == {"seed": 0} and options["name"] == tmp_path.name
        assert rest == [
            (start + 1, {"train/loss": 1.0}),
            (start + 1, {"predictions": ("image", (4, 6, 3))}),
            "finish",
        ]
    fake.fail = True
    writer = logger.open(tmp_path, 0, {})
    with pytest.raises(LogLost, match="W&B: no route to host"):
        writer.scalars(1, {"train/loss": 1.0})


class FakeMLflow(types.ModuleType):
    """The calls of mlflow that are made."""

    def __init__(self):
        super().__init__("mlflow")
        self.calls, self.status, self.known = [], [], None
        self.entities = types.SimpleNamespace(
            Metric=lambda key, value, timestamp, step: (key, value, step)
        )
        self.MlflowClient = lambda tracking_uri: self

    def get_experiment_by_name(self, name):
        return self.known and types.SimpleNamespace(experiment_id=self.known)

    def create_experiment(self, name):
        self.known = "7"
        return "7"

    def create_run(self, experiment, run_name):
        self.calls.append(("create_run", experiment, run_name))
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))

    def log_dict(self, run, values, file):
        self.calls.append((run, file, values))

    def log_batch(self, run, metrics):
        self.calls.append((run, metrics))

    def log_image(self, run, rgb, file):
        self.calls.append((run, file, rgb.shape))

    def update_run(self, run, status):
        self.status.append((run, status))

    def set_terminated(self, run):
        self.status.append((run, "done"))


def test_mlflow_goes_on_as_the_same_run(tmp_path, monkeypatch):
    fake = FakeMLflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    logger = MLflow(tracking_uri="file:store")
    logger.check()
    with run_log(tmp_path, logger) as log:
        log.metrics(2, {"PCK@0.1/knee": 0.5})
        log.image(2, "crowd/predictions", IMAGE)
    assert fake.calls == [
        ("create_run", "7", tmp_path.name),
        ("r1", "config.json", {"seed": 0}),
        ("r1", [("eval/PCK_0.1.knee", 0.5, 2)]),
        ("r1", "crowd/predictions/step_0000002.png", (4, 6, 3)),
    ]
    with run_log(tmp_path, logger, start=2) as log:
        log.metrics(3, {"AP": 0.5})
    assert fake.status == [("r1", "done"), ("r1", "RUNNING"), ("r1", "done")]
    assert fake.calls[-1] == ("r1", [("eval/AP", 0.5, 3)])
    monkeypatch.setattr(fake, "log_batch", lambda *_, **__: 1 / 0)
    with pytest.raises(LogLost, match="MLflow: division by zero"):
        logger.open(tmp_path, 3, {}).scalars(4, {"train/loss": 1.0})


@pytest.mark.parametrize(
    ("logger", "words"),
    [(WandB("pose"), r"jaxpose\[wandb\]"), (MLflow(), r"jaxpose\[mlflow\]")],
)
def test_a_package_that_is_missing_is_named_before_training(tmp_path, monkeypatch, logger, words):
    monkeypatch.setitem(sys.modules, words[9:-2], None)
    experiment = dataclasses.replace(load_recipe(str(TINY)), loggers=(logger,))
    with pytest.raises(InputError, match=f"pip install .{words}"):
        train(experiment, tmp_path / "run", Console(quiet=True))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_loggers_are_part_of_a_config_and_may_change_on_resume(tmp_path):
    tiny = dataclasses.replace(load_recipe(str(TINY)), steps=2, checkpoint_every=1)
    assert tiny.loggers == (TensorBoard(),)
    several = dataclasses.replace(tiny, loggers=(CSV(), WandB("pose", tags=("a",)), MLflow()))
    assert from_json(json.loads(json.dumps(to_json(several)))) == several
    quiet = Console(quiet=True)
    train(dataclasses.replace(tiny, loggers=(CSV(),)), tmp_path, quiet)
    assert not list(tmp_path.glob("events*"))
    assert [row["step"] for row in rows(tmp_path / "train.csv")] == ["1", "2"]
    assert load_run(tmp_path).experiment.loggers == (CSV(),)
    assert train(dataclasses.replace(tiny, loggers=()), tmp_path, quiet).step == 2


def test_figures_that_are_not_finite_are_null_and_read_back_as_nan(tmp_path):
    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    shown = io.StringIO()
    for start in (0, 3):  # the second resumes, which writes the file again
        with run_log(tmp_path, start=start, console=Console(file=shown, width=200)) as log:
            if not start:
                log.scalars(1, {"loss": float("nan")})
                log.metrics(2, {"EPE": float("inf"), "NME": 0.5})
    text = (tmp_path / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=no_constant) for line in text.splitlines()]
    assert lines[0]["loss"] is None
    assert lines[1] == {"step": 2, "kind": "eval", "EPE": None, "NME": 0.5}
    train_row, eval_row = read_metrics(tmp_path)
    assert np.isnan(train_row["loss"]) and np.isnan(eval_row["EPE"]) and eval_row["NME"] == 0.5
    assert "Not a finite number after step 2: EPE." in shown.getvalue()
