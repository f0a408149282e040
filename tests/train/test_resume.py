"""Killed, interrupted and resumed runs end where an undisturbed one ends, bit for bit."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from jaxpose.config import override
from jaxpose.data.index import sample_indices
from jaxpose.errors import InputError
from jaxpose.train.device_batches import train_batches
from jaxpose.train.log import read_metrics
from jaxpose.train.loop import train
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe
from jaxpose.train.run_dir import load_run

TINY = Path(__file__).resolve().parents[1] / "tiny.py"
QUIET = Console(quiet=True)


class CtrlCAfterTwoSteps(Console):
    """Console that sends SIGINT when the line of step 2 is printed, at the same step each time."""

    def print(self, *objects, **options):
        if str(objects[0]).startswith("step 2/"):
            os.kill(os.getpid(), signal.SIGINT)
        super().print(*objects, **options)


@pytest.fixture(scope="module")
def tiny():
    return load_recipe(str(TINY))


def start(workdir: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "jaxpose", "train", str(TINY)]
    command += ["--workdir", str(workdir)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def kill_when(process: subprocess.Popen, moment) -> None:
    """SIGKILL as soon as `moment()` holds; fails if the process ends before."""
    deadline = time.monotonic() + 240
    while not moment():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, "the moment to kill never came"
        time.sleep(0.0005)
    process.kill()
    process.wait()


def unfinished_saves(workdir: Path) -> list[Path]:
    return [p for p in (workdir / "checkpoints").glob("*") if "tmp" in p.name]


def state_of(workdir: Path) -> dict[str, np.ndarray]:
    """Every array of the newest checkpoint: parameters, averages, statistics."""
    run = load_run(workdir, "last")
    leaves = jax.tree_util.tree_leaves_with_path(run.variables)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def assert_same_bits(a: Path, b: Path) -> None:
    first, second = state_of(a), state_of(b)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name


@pytest.mark.slow  # a slice of fifty_kills is the same and more
def test_killed_in_training_and_in_a_save_ends_bit_identical(tmp_path):
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    process = start(undisturbed)
    assert process.wait(240) == 0, process.stderr.read()

    # In training: some steps done, the run not finished.
    kill_when(start(disturbed), lambda: len(read_metrics(disturbed)) >= 3)
    steps = [record["step"] for record in read_metrics(disturbed)]
    assert len(steps) >= 3 and max(steps) < 12

    # In a save: a checkpoint begun and not yet renamed to its final name.
    torn = False
    for _ in range(4):
        known = {p.name for p in unfinished_saves(disturbed)}
        kill_when(
            start(disturbed),
            lambda known=known: any(p.name not in known for p in unfinished_saves(disturbed)),
        )
        torn = bool(unfinished_saves(disturbed))
        if torn:
            break
    assert torn, "no kill caught a save in the middle"

    process = start(disturbed)
    assert process.wait(240) == 0, process.stderr.read()
    assert not unfinished_saves(disturbed)
    assert_same_bits(undisturbed, disturbed)

    # Each step was recorded once, with the same loss.
    kept = [
        {r["step"]: r["loss"] for r in read_metrics(d) if r["kind"] == "train"}
        for d in (undisturbed, disturbed)
    ]
    assert kept[0] == kept[1] and sorted(kept[0]) == list(range(1, 13))


def test_ctrl_c_saves_then_ends_and_the_same_call_finishes(tiny, tmp_path):
    quick = override(tiny, ["steps=6", "evaluation.every=6", "checkpoint_every=100"])
    whole = train(quick, tmp_path / "whole", QUIET)
    assert whole.stopped_by is None and whole.step == 6 and whole.recompilations == 0

    cut = train(quick, tmp_path / "cut", CtrlCAfterTwoSteps(quiet=True))
    assert cut.stopped_by is signal.SIGINT and 2 <= cut.step < 6 and cut.report is None
    rest = train(quick, tmp_path / "cut", QUIET)
    assert rest.step == 6 and rest.report is not None
    assert_same_bits(tmp_path / "whole", tmp_path / "cut")
    assert rest.report.metrics == whole.report.metrics


def test_a_finished_run_is_not_trained_again(tiny, tmp_path):
    quick = override(tiny, ["steps=2", "evaluation.every=2"])
    train(quick, tmp_path, QUIET)
    before = state_of(tmp_path)
    assert train(quick, tmp_path, QUIET).report is None
    after = state_of(tmp_path)
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)


@pytest.mark.slow
def test_another_experiment_in_the_same_directory_is_refused(tiny, tmp_path):
    quick = override(tiny, ["steps=2", "evaluation.every=2"])
    train(quick, tmp_path, QUIET)
    with pytest.raises(InputError, match=r"optimizer\.learning_rate: 0\.001 -> 0\.5") as error:
        train(override(quick, ["optimizer.learning_rate=0.5"]), tmp_path, QUIET)
    assert "--workdir" in str(error.value)


@pytest.mark.parametrize("resident", [True, False])
def test_batches_from_a_later_step_continue_the_same_order(tiny, resident):
    experiment = override(tiny, [f"resident={resident}"])
    source, mesh = experiment.train_data.open(), make_mesh(experiment.mesh)
    from_start = train_batches(experiment, source, mesh, 0)
    for _ in range(4):
        next(from_start)
    later = train_batches(experiment, source, mesh, 4)
    for step in range(4, 7):
        a, b = next(from_start), next(later)
        indices = sample_indices(experiment.seed, step, experiment.batch_size, len(source))
        truth = source.samples(indices)
        for key in a:
            assert np.array_equal(a[key], b[key]), key
            assert np.array_equal(a[key], truth[key]), key
