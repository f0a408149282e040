"""Plans, manifests, claims and workers; training itself is replaced where it is not the matter."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from jaxpose.cli.main import app
from jaxpose.config import override
from jaxpose.data.source import Records
from jaxpose.errors import InputError
from jaxpose.scaling import leases, shapes, worker
from jaxpose.scaling.manifest import FILE, folder, read_manifest, write_manifest
from jaxpose.scaling.plan import extend, plan
from jaxpose.scaling.worker import RESULT, Result, state_of
from jaxpose.train.loop import TrainResult
from jaxpose.train.recipe import load_recipe

TINY = str(Path(__file__).parents[1] / "tiny.py")


@pytest.fixture(scope="module")
def tiny():
    return override(load_recipe(TINY), ["optimizer.schedule=rsqrt"])


def planned(tiny, **options):
    sizes = shapes.grid(tiny, {"width": [16, 32]})
    return plan(tiny, "tiny", sizes, **({"samples": [96, 160], "max_epochs": 9} | options))


@pytest.fixture(scope="module")
def manifest(tiny):
    return planned(tiny)


@pytest.fixture(scope="module")
def trunked(tiny):
    return planned(tiny, cooldown=0.25)


def quiet() -> Console:
    return Console(file=StringIO())


def test_an_isoflop_plan_spends_the_same_on_every_size(tiny):
    budget = 4e8
    points = planned(tiny, samples=(), flops=[budget]).points
    assert len(points) == 2 and points[0].parameters < points[1].parameters
    for point in points:
        step = point.flops * tiny.batch_size
        assert point.steps == round(budget / step)
        assert point.compute == pytest.approx(budget, rel=0.5 / point.steps)
        assert point.epochs == pytest.approx(point.samples / tiny.train_data.count)


def test_a_point_is_the_recipe_with_its_size_budget_and_seed(tiny):
    manifest = planned(tiny, seeds=(3,))
    point = manifest.point("w16-n160-s3")
    experiment = manifest.experiment_of(point)
    assert (experiment.model.backbone.dim, experiment.model.backbone.heads) == (16, 1)
    assert (experiment.steps, experiment.seed, experiment.evaluation.every) == (20, 3, 20)


def test_runs_of_one_size_share_a_trunk_and_cool_down_from_it(trunked):
    names = [p.name for p in trunked.points if p.size == "w16"]
    assert names == ["w16-s0-trunk9", "w16-n96-s0", "w16-s0-trunk15", "w16-n160-s0"]
    after = {p.name: p.after for p in trunked.points}
    assert after["w16-n96-s0"] == "w16-s0-trunk9" == after["w16-s0-trunk15"]
    run, trunk = (trunked.experiment_of(trunked.point(n)) for n in (names[3], names[2]))
    assert (run.steps, run.optimizer.cooldown_steps) == (20, 5)
    assert (trunk.steps, trunk.optimizer.cooldown_steps) == (15, 0)


def test_stars_vary_one_axis_and_joint_scaling_all(tiny):
    axes = {"width": [16, 64], "depth": [1], "mlp": [64]}
    sizes = shapes.star(tiny, axes)
    assert [s.name for s in sizes] == ["centre", "w16", "w64", "d1", "m64"]
    wide = override(tiny, sizes[2].set).model.backbone
    assert (wide.dim, wide.depth, wide.mlp_hidden) == (64, 2, 128)
    (scaled,) = shapes.joint(tiny, [16.0])
    assert scaled.shape == {"width": 64.0, "depth": 7.0, "mlp": 672.0}


def test_patch_and_resolution_bring_head_and_codec_along(tiny):
    for axis, value, head, heatmap in (
        ("patch", 8, (16,), (16, 12)),
        ("resolution", 128, (16, 16), (32, 24)),
    ):
        (size,) = shapes.grid(tiny, {axis: [value]})
        sized = override(tiny, size.set)
        assert sized.model.head.deconv_channels == head
        assert sized.codec.heatmap_hw == heatmap
        assert sized.model.backbone.input_hw == sized.codec.input_hw
    (half,) = shapes.grid(tiny, {"data": [0.5]})
    assert override(tiny, half.set).train_data.count == 12
    prepared = replace(tiny, train_data=Records("data/coco", "train", part=0.5))
    (half,) = shapes.grid(prepared, {"data": [0.2]})
    assert override(prepared, half.set).train_data == Records("data/coco", "train", part=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": [16]}, "2 steps, but at least 10 are needed"),
        ({"samples": [960]}, "repeats its data 40.0 times, more than 9"),
        ({"samples": [-1.0]}, "Budgets must be positive"),
        ({"samples": [float("nan")]}, "Budgets must be positive"),
        ({"samples": (), "flops": [float("inf")]}, "Budgets must be positive"),
        ({"samples": [160, 160]}, "w16-n160-s0 and w16-n160-s0 would be the same run"),
        ({"samples": [160, 161]}, "w16-n160-s0 and w16-n161-s0 would be the same run"),
        (
            {"samples": [16_000_000, 16_000_016], "max_epochs": 1e6},
            "w16-n1.6e07-s0 and w16-n1.6e07",
        ),
        ({"seeds": (0, 0)}, "w16-n96-s0 and w16-n96-s0 would be the same run"),
        ({"seeds": (0, -1)}, "--seeds must be whole numbers from 0 on: 0, -1"),
        ({"max_epochs": float("nan")}, "--max-epochs must be above 0, and is nan"),
        ({"samples": ()}, "budgets of one kind"),
        ({"cooldown": 1.5}, "in \\(0, 1\\)"),
    ],
)
def test_impossible_budgets_are_refused(tiny, options, message):
    with pytest.raises(InputError, match=message):
        planned(tiny, **options)


@pytest.mark.parametrize("seeds", ["0.5", "nan"])
def test_seeds_are_whole_numbers(tmp_path, seeds):
    words = ["plan", TINY, str(tmp_path / "study"), "--width", "16", "--samples", "80"]
    result = CliRunner().invoke(app, ["scaling", *words, "--seeds", seeds], terminal_width=200)
    assert result.exit_code == 2 and "is not a list of whole numbers" in result.output
    assert not (tmp_path / "study").exists()


def test_a_trunk_needs_a_schedule_without_an_end(tiny):
    with pytest.raises(InputError, match="schedule=rsqrt"):
        planned(override(tiny, ["optimizer.schedule=cosine"]), cooldown=0.2)


@pytest.mark.parametrize(
    ("axes", "message"),
    [({"width": [24]}, "head dimension 16"), ({"patch": [10]}, "does not divide"),
     ({"height": [3]}, "no axis"), ({"data": [2.0]}, "fraction")],
)  # fmt: skip
def test_shapes_that_no_model_has_are_refused(tiny, axes, message):
    with pytest.raises(InputError, match=message):
        shapes.star(tiny, axes) if "height" in axes else shapes.grid(tiny, axes)


def test_factors_of_joint_scaling_are_positive_numbers(tiny):
    with pytest.raises(InputError, match="positive numbers"):
        shapes.joint(tiny, [float("nan")])


def test_a_study_grows_by_points_of_the_same_experiment_only(tiny, manifest):
    more = planned(tiny, samples=[96, 200], held_out=True)
    with pytest.raises(InputError, match="already has a point"):
        extend(manifest, more)
    new = planned(tiny, samples=[200], held_out=True)
    assert len(extend(manifest, new).points) == len(manifest.points) + 2
    other = replace(manifest, experiment={**manifest.experiment, "seed": 1})
    with pytest.raises(InputError, match="another experiment"):
        extend(manifest, other)


def test_a_manifest_edited_by_hand_is_refused(tmp_path, manifest):
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    file = tmp_path / FILE
    whole = file.read_text()
    record = json.loads(whole)
    record["points"][1]["steps"] += 1
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match="edited by hand: point 'w16-n160-s0'"):
        worker.work(tmp_path, quiet())
    del record["points"][1]
    file.write_text(json.dumps(record))
    with pytest.raises(InputError, match="one was removed"):
        read_manifest(tmp_path)
    file.write_text(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        read_manifest(tmp_path)
    assert not (tmp_path / "points").exists()


def finish(study, point, **metrics):
    where = folder(study, point)
    where.mkdir(parents=True, exist_ok=True)
    result = Result(metrics or {"AP": 0.5}, 0.1, 0.1, 1.0, "cpu")
    (where / RESULT).write_text(json.dumps(asdict(result)))


def test_a_point_waits_for_its_trunk(tmp_path, trunked):
    write_manifest(tmp_path, trunked)
    assert state_of(tmp_path, trunked, 60).free == ("w16-s0-trunk9", "w32-s0-trunk9")
    finish(tmp_path, trunked.points[0])
    assert "w16-n96-s0" in state_of(tmp_path, trunked, 60).free


def test_finished_points_lose_their_checkpoints_and_trunks_keep_them(tmp_path, trunked):
    write_manifest(tmp_path, trunked)
    for point in trunked.points:
        finish(tmp_path, point)
        (folder(tmp_path, point) / "checkpoints" / str(point.steps)).mkdir(parents=True)

    def left():
        return {p.name for p in trunked.points if (folder(tmp_path, p) / "checkpoints").exists()}

    worker.work(tmp_path, quiet(), keep=True)
    assert left() == {p.name for p in trunked.points}
    worker.work(tmp_path, quiet())
    assert left() == {p.name for p in trunked.points if p.trunk}
    assert len(worker.work(tmp_path, quiet()).done) == len(trunked.points)


@pytest.mark.parametrize("command", [["run"], ["plan", TINY]])
def test_a_study_in_a_bucket_is_refused(command):
    result = CliRunner().invoke(app, ["scaling", *command, "gs://mine/study"])
    assert result.exit_code == 2 and "locks" in result.output


def test_a_claim_holds_while_its_process_lives_and_touches_it(tmp_path):
    file = tmp_path / "claims" / "x.json"
    with leases.locked(tmp_path):
        claim = leases.take(file, patience=60)
        assert claim is not None and leases.take(file, patience=60) is None
        assert str(os.getpid()) in leases.holder(file, 60)
    claim.release(tmp_path)
    assert leases.holder(file, 60) is None

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    record = {"machine": leases._machine(), "pid": ended.pid, "token": "t", "host": "h"}
    file.write_text(json.dumps(record))
    assert leases.holder(file, 60) is None  # its process has ended
    file.write_text(json.dumps(record | {"machine": "elsewhere"}))
    assert leases.holder(file, 60) is not None  # nobody here can tell
    old = time.time() - 100
    os.utime(file, (old, old))
    assert leases.holder(file, 60) is None  # silent for too long


_ROBBED = """
import sys, time
from pathlib import Path
from jaxpose.scaling import leases
leases.Claim(Path(sys.argv[1]), patience=0.3)
print("held", flush=True)
time.sleep(30)
"""


def test_a_worker_whose_point_was_taken_over_ends_at_once(tmp_path):
    file = tmp_path / "point.json"
    process = subprocess.Popen(
        [sys.executable, "-c", _ROBBED, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout.readline() == b"held\n"
    file.write_text(json.dumps({"token": "another"}))
    _, said = process.communicate(timeout=20)
    assert process.returncode == leases.LOST_CLAIM and b"taken over" in said


def test_workers_share_the_points_and_a_failed_one_does_not_stop_them(
    tmp_path, manifest, monkeypatch
):
    write_manifest(tmp_path, manifest)
    trained = []

    def train(experiment, directory, console):
        trained.append(directory.name)
        if directory.name == "w16-n160-s0":
            raise InputError("The loss is nan at step 3.")
        if len(trained) == 1:
            # While this worker trains, a second one does all the rest.
            second = worker.work(tmp_path, quiet())
            assert set(second.held) == {"w16-n96-s0"} and len(second.done) == 2
        return TrainResult(experiment.steps, None, None, 0)

    monkeypatch.setattr(worker, "train", train)
    monkeypatch.setattr(worker, "_result", lambda *_: Result({"AP": 0.1}, 0.2, 0.2, 1.0, "cpu"))
    said = quiet()
    state = worker.work(tmp_path, said)
    assert sorted(trained) == sorted(p.name for p in manifest.points)
    assert len(state.done) == 3 and "nan" in state.failed["w16-n160-s0"]
    assert said.file.getvalue().count("held-out loss") == 1
    trained.clear()
    assert len(worker.work(tmp_path, quiet()).failed) == 1 and not trained
    worker.work(tmp_path, quiet(), retry=True)
    assert trained == ["w16-n160-s0"]


_DOOMED = """
import sys, time
from pathlib import Path
from rich.console import Console
from jaxpose.scaling import worker

def train(experiment, directory, console):
    (directory / "progress").write_text("5")
    print("training", flush=True)
    time.sleep(60)

worker.train = train
worker.work(Path(sys.argv[1]), Console(stderr=True))
"""


def test_the_point_of_a_killed_worker_is_taken_up_again_at_once(tmp_path, manifest, monkeypatch):
    write_manifest(tmp_path, replace(manifest, points=manifest.points[:1]))
    process = subprocess.Popen(
        [sys.executable, "-c", _DOOMED, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout.readline() == b"training\n"
    (held,) = worker.work(tmp_path, quiet()).held.values()
    assert str(process.pid) in held
    process.kill()
    process.wait()

    def train(experiment, directory, console):
        assert (directory / "progress").read_text() == "5"
        return TrainResult(experiment.steps, None, None, 0)

    monkeypatch.setattr(worker, "train", train)
    monkeypatch.setattr(worker, "_result", lambda *_: Result({"AP": 0.1}, 0.2, 0.2, 1.0, "cpu"))
    assert worker.work(tmp_path, quiet()).done == ("w16-n96-s0",)


def test_no_study_and_a_damaged_result_are_named(tmp_path, manifest):
    with pytest.raises(InputError, match="scaling plan"):
        worker.work(tmp_path / "none", quiet())
    finish(tmp_path, manifest.points[0])
    (folder(tmp_path, manifest.points[0]) / RESULT).write_text("{")
    with pytest.raises(InputError, match="Delete it"):
        worker.read_result(tmp_path, manifest.points[0])
