"""Several processes: what each feeds, what they refuse, and a run that they carry on in turn."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import drawn
import jax
import numpy as np
import pytest
from motion_clips import clip

from jaxpose.config import to_json
from jaxpose.convert.release import Card, save_release
from jaxpose.data.motion import motion_of, write_motion
from jaxpose.errors import InputError
from jaxpose.skeletons import COCO17, HUMANEVA15
from jaxpose.train import distributed
from jaxpose.train.experiment import Mesh
from jaxpose.train.log import read_metrics
from jaxpose.train.mesh import make_mesh
from jaxpose.train.recipe import load_recipe
from jaxpose.train.run_dir import load_run

TESTS = Path(__file__).resolve().parents[1]


def start(
    workdir: Path, processes: int, *changes: tuple[str, ...], recipe: str = "tiny"
) -> list[subprocess.Popen]:
    """`jaxpose train` in `processes` processes on loopback, eight simulated devices in all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jaxpose", "train", str(TESTS / f"{recipe}.py")]
    command += ["--workdir", str(workdir)]
    command += ["--mesh", "data=4,fsdp=2", "--set", "mesh.fsdp_from=1"]
    # One process reduces in another order than two. See test_step for what Adam makes of that.
    command += ["--set", "optimizer.eps=1e-3", "--set", "optimizer.learning_rate=1e-2"]
    started = []
    for process in range(processes):
        own = list(command)
        if processes > 1:
            own += ["--coordinator", f"127.0.0.1:{port}", "--processes", str(processes)]
            own += ["--process", str(process)]
        for change in changes[process] if changes else ():
            own += ["--set", change]
        environment = os.environ | {
            "JAX_NUM_CPU_DEVICES": str(8 // processes),
            # Compiles five times as fast.
            "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false",
        }
        started.append(
            subprocess.Popen(
                own,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(processes: list[subprocess.Popen], code: int = 0) -> list[tuple[str, str]]:
    """Output and errors of processes that have to end with status `code`."""
    ends = [process.communicate(timeout=500) for process in processes]
    for process, (_, errors) in zip(processes, ends, strict=True):
        assert process.returncode == code, errors[-3000:]
    return ends


def signal_after(processes: list[subprocess.Popen], workdir: Path, step: int, number: int) -> None:
    """Send `number` to the last process (SIGKILL: to all) once `step` is logged."""
    deadline = time.monotonic() + 500
    while max((r["step"] for r in read_metrics(workdir)), default=0) < step:
        assert all(p.poll() is None for p in processes), processes[0].stderr.read()[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.001)
    for process in processes if number == signal.SIGKILL else processes[-1:]:
        process.send_signal(number)


def state_of(workdir: Path) -> dict[str, np.ndarray]:
    run = load_run(workdir, "last")
    leaves = jax.tree_util.tree_leaves_with_path(run.variables)
    return {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}


def assert_same(first: Path, second: Path) -> None:
    """Two runs of twelve steps have the same parameters and losses, to rounding."""
    expected, found = state_of(first), state_of(second)
    worst = 0.0
    for name, value in expected.items():
        distance = np.linalg.norm(value - found[name]) / max(np.linalg.norm(value), 1e-12)
        worst = max(worst, float(distance))
    print(f"largest relative difference of a parameter array: {worst:.2g}")
    assert worst <= 1e-5
    losses = [
        {r["step"]: r["loss"] for r in read_metrics(d) if r["kind"] == "train"}
        for d in (first, second)
    ]
    assert sorted(losses[0]) == sorted(losses[1]) == list(range(1, 13))
    np.testing.assert_allclose(
        [losses[0][step] for step in range(1, 13)],
        [losses[1][step] for step in range(1, 13)],
        rtol=1e-5,
    )


@pytest.mark.slow
def test_two_processes_killed_and_resumed_by_one_and_by_two_again(tmp_path):
    """Must show: the same parameters as those of an undisturbed run of two processes."""
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    (said, _), (silent, _) = finish(start(undisturbed, 2))
    assert "step 12/12" in said
    # Gloo reports its connections on stdout; else process 1 is silent.
    assert all(line.startswith("[Gloo]") for line in silent.splitlines())
    for processes, step in ((2, 3), (1, 7)):
        running = start(disturbed, processes)
        signal_after(running, disturbed, step, signal.SIGKILL)
        for process in running:
            process.communicate()
    (said, _), _ = finish(start(disturbed, 2))
    assert "Resuming" in said
    assert_same(undisturbed, disturbed)


@pytest.mark.slow
def test_streamed_data_and_given_weights_in_two_processes(tmp_path):
    model = load_recipe(str(TESTS / "tiny.py")).model
    card = Card("tiny", "drawn", "crops", COCO17.keypoints)
    weights = drawn.variables(model, (64, 48))
    save_release(tmp_path / "weights", weights, {"model": to_json(model)}, card)
    changes = ("resident=False", f"init_from={tmp_path / 'weights'}")
    finish(start(tmp_path / "one", 1, changes))
    finish(start(tmp_path / "two", 2, changes, changes))
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_lifter_in_two_processes(tmp_path):
    file = tmp_path / "motion.npz"
    clips = [clip(40, 0), clip(9, 1, subject="S2"), clip(20, 2, split="validate")]
    write_motion(file, motion_of(HUMANEVA15, clips))
    changes = (f"train_data.path={file}", f"eval_data.path={file}")
    finish(start(tmp_path / "one", 1, changes, recipe="tiny_lifter"))
    finish(start(tmp_path / "two", 2, changes, changes, recipe="tiny_lifter"))
    assert_same(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_sigterm_to_one_of_two_saves_and_ends_both(tmp_path):
    running = start(tmp_path, 2, ("steps=100000",), ("steps=100000",))
    signal_after(running, tmp_path, 3, signal.SIGTERM)
    (said, _), _ = finish(running)
    assert "SIGTERM" in said and "Saved at step" in said


@pytest.mark.slow
def test_processes_with_different_configurations_refuse_to_start(tmp_path):
    running = start(tmp_path, 2, ("seed=1",), ("seed=2",))
    for _, errors in finish(running, code=2):
        assert "Process 1 was started with another configuration" in errors
        assert "experiment.seed: 1 -> 2" in errors
    assert not (tmp_path / "config.json").exists()


def test_one_process_feeds_whole_batches():
    assert distributed.batch_shard(16, make_mesh(Mesh(data=2, fsdp=2, tensor=2))) == (0, 1)


def test_flags_that_lack_one_another_are_refused(monkeypatch):
    with pytest.raises(InputError, match="need --coordinator"):
        distributed.connect(processes=2, process=0)
    with pytest.raises(InputError, match="they are 2 and 2"):
        distributed.connect("127.0.0.1:1", 2, 2)
    monkeypatch.setenv("JAX_PROCESS_ID", "first")
    with pytest.raises(InputError, match="JAX_PROCESS_ID must be a number"):
        distributed.connect("127.0.0.1:1", 2)


def test_alone_in_no_cluster_nothing_is_started(monkeypatch):
    for name in ("SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "TPU_WORKER_HOSTNAMES"):
        monkeypatch.delenv(name, raising=False)
    distributed.connect()
    assert jax.process_count() == 1


def test_a_lost_step_stops_the_run(monkeypatch):
    sync = distributed.StepSync(make_mesh(Mesh()))
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    low, high = np.asarray([6, 0]), np.asarray([7, 0])
    sync._posted.extend([(low, low), (low, high)])
    assert sync.poll() is None
    sync._posted.append((high, high))
    with pytest.raises(InputError, match="at different steps: one is at 6, another at 7"):
        sync.poll()


def test_a_process_hears_its_own_signal_at_once():
    sync = distributed.StepSync(make_mesh(Mesh()))
    sync.post(1, None)
    assert sync.poll() is None
    sync.post(2, signal.SIGTERM)
    assert sync.poll() == signal.SIGTERM
