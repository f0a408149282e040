"""Worker: takes points of a study one after the other and trains them."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import Signals

import jax
from rich.console import Console

from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.paths import atomic_write
from jaxpose.scaling.held_out import held_out_loss
from jaxpose.scaling.leases import Claim, holder, locked, take
from jaxpose.scaling.manifest import Manifest, Point, folder, read_manifest
from jaxpose.train.log import read_metrics
from jaxpose.train.loop import train
from jaxpose.train.run_dir import load_run

RESULT, FAILURE = "result.json", "failure.json"
PATIENCE = 120.0
"""Seconds without a touch of its claim after which a worker counts as dead."""


@dataclass(frozen=True)
class Result:
    """Result of a finished point.

    Attributes:
      metrics: metrics of the last evaluation, by name.
      loss: on held-out data; None where the experiment's loss needs training outputs.
      training_loss: mean of the last tenth of the run.
      seconds: total time of this worker.
      device: the device that trained the point.
    """

    metrics: dict[str, float]
    loss: float | None
    training_loss: float | None
    seconds: float
    device: str


@dataclass(frozen=True)
class State:
    """Progress of a study, by names of points.

    Attributes:
      free: points that no worker has begun or holds, and whose trunk is done.
      held: holder of each point that is being trained.
      waiting: points whose trunk is not done.
    """

    done: tuple[str, ...]
    failed: dict[str, str]
    free: tuple[str, ...]
    held: dict[str, str]
    waiting: tuple[str, ...]


def state_of(study: Path, manifest: Manifest, patience: float) -> State:
    """Reads the progress of a study; call it under the study's lock."""
    done, free, waiting = [], [], []
    failed: dict[str, str] = {}
    held: dict[str, str] = {}
    for point in manifest.points:
        where = folder(study, point)
        if (where / RESULT).exists():
            done.append(point.name)
        elif (where / FAILURE).exists():
            failed[point.name] = json.loads((where / FAILURE).read_text())["reason"]
        elif who := holder(_claim_file(study, point), patience):
            held[point.name] = who
        elif point.after is None or point.after in done:
            free.append(point.name)
        else:
            waiting.append(point.name)
    return State(tuple(done), failed, tuple(free), held, tuple(waiting))


def work(
    study: Path,
    console: Console,
    *,
    patience: float = PATIENCE,
    limit: int | None = None,
    retry: bool = False,
    keep: bool = False,
    pause: Callable[[float], None] = time.sleep,
) -> State:
    """Trains points until none is left for this worker.

    Any number of workers may do this at once, on machines that share the study's folder. A point
    whose worker was killed is taken by another worker and resumes from its last checkpoint.

    Args:
      study: the study's folder.
      console: prints each point that begins and ends.
      patience: see `leases`.
      limit: number of points after which this worker ends.
      retry: try failed points again.
      keep: keep the checkpoints of finished points; if not, only those are kept that other points
        continue from.

    Returns:
      The study's state when the worker ended.

    Raises:
      InputError: no study, or a manifest that was edited by hand; nothing is trained then.
    """
    if retry:
        _forget_failures(study)
    trained = 0
    while True:
        with locked_study(study):
            manifest = read_manifest(study)
            state = state_of(study, manifest, patience)
            if not keep:
                _drop_checkpoints(study, manifest, state)
            claim = None
            if state.free and trained != limit:
                point = manifest.point(state.free[0])
                claim = take(_claim_file(study, point), patience)
        if claim is None:
            if state.free or not (state.waiting and state.held):
                return state
            pause(min(5.0, patience / 4))  # another worker trains the trunk of a point here
            continue
        stopped = _attempt(study, manifest, point, claim, console)
        trained += 1
        if stopped is not None:
            console.print(
                f"{point.name}: stopped by {stopped.name}; it resumes with the next worker.",
            )
            with locked_study(study):
                return state_of(study, manifest, patience)


def locked_study(study: Path):
    """Lock of the study.

    Raises:
      InputError: there is no such study.
    """
    if not study.is_dir():
        raise InputError(f"There is no study at {study}; `jaxpose scaling plan` makes one.")
    return locked(study)


def read_result(study: Path, point: Point) -> Result | None:
    """Reads the result of a point, None while it is not done.

    Raises:
      InputError: the file is damaged.
    """
    file = folder(study, point) / RESULT
    if not file.exists():
        return None
    try:
        return Result(**json.loads(file.read_text()))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{file} is damaged ({error}). Delete it: `jaxpose scaling run` then writes it again, "
            "from the point's checkpoint if that was kept."
        ) from error


def _claim_file(study: Path, point: Point) -> Path:
    return study / "claims" / f"{point.name}.json"


def _forget_failures(study: Path) -> None:
    with locked_study(study):
        for point in read_manifest(study).points:
            (folder(study, point) / FAILURE).unlink(missing_ok=True)


def _drop_checkpoints(study: Path, manifest: Manifest, state: State) -> None:
    """Deletes checkpoints of scored runs, except those of trunks, which other points read."""
    for name in state.done:
        if not manifest.point(name).trunk:
            shutil.rmtree(folder(study, manifest.point(name)) / "checkpoints", ignore_errors=True)


def _attempt(
    study: Path, manifest: Manifest, point: Point, claim: Claim, console: Console
) -> Signals | None:
    """Trains a point and writes its result or its error; returns the signal that stopped it."""
    where = folder(study, point)
    console.print(
        f"{point.name}: {point.parameters:,} parameters, {point.steps:,} steps, "
        f"{point.compute:.2g} FLOPs",
    )
    try:
        return _train(study, manifest, point, console)
    except InputError as error:
        # A point that fails, such as a diverging one, is a result too; the other points continue.
        where.mkdir(parents=True, exist_ok=True)
        atomic_write(where / FAILURE, json.dumps({"reason": str(error)}) + "\n")
        console.print(f"{point.name}: failed: {error}")
        return None
    finally:
        claim.release(study)
        jax.clear_caches()  # the next point has other shapes


def _train(study: Path, manifest: Manifest, point: Point, console: Console) -> Signals | None:
    where, begun = folder(study, point), time.perf_counter()
    where.mkdir(parents=True, exist_ok=True)
    if point.after is not None:
        _go_on_from(study, manifest.point(point.after), where)
    with (where / "log.txt").open("a") as log:
        outcome = train(manifest.experiment_of(point), where, PlainConsole(file=log, width=100))
    if outcome.stopped_by is not None:
        return outcome.stopped_by
    result = _result(where, point, time.perf_counter() - begun)
    atomic_write(where / RESULT, json.dumps(asdict(result), indent=1) + "\n")
    score = result.metrics.get(manifest.metric)
    loss = "" if result.loss is None else f"held-out loss {result.loss:.4g}, "
    console.print(
        f"{point.name}: {loss}{manifest.metric} {score:.4f}, {result.seconds:.0f} s"
        if score is not None
        else f"{point.name}: {loss}{result.seconds:.0f} s",
    )
    return None


def _go_on_from(study: Path, parent: Point, where: Path) -> None:
    """Copies the last checkpoint of `parent` to this run's directory, if it has none.

    Batches and rates are functions of the step alone up to there, so that the run is the same as
    one trained from the start.
    """
    if (where / "checkpoints").exists():
        return
    source = folder(study, parent) / "checkpoints" / str(parent.steps)
    partial = where / "checkpoints.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial / source.name)
    partial.rename(where / "checkpoints")


def _result(where: Path, point: Point, seconds: float) -> Result:
    records = read_metrics(where)
    scores = [r for r in records if r["kind"] == "eval" and r["step"] == point.steps]
    tail = [r["loss"] for r in records if r["kind"] == "train" and r["step"] > 0.9 * point.steps]
    metrics = {k: v for k, v in scores[-1].items() if k not in ("step", "kind")} if scores else {}
    return Result(
        metrics=metrics,
        loss=held_out_loss(load_run(where, "last")),
        training_loss=sum(tail) / len(tail) if tail else None,
        seconds=seconds,
        device=jax.devices()[0].device_kind,
    )
