"""The training loop: begin or resume, step, evaluate, save, stop cleanly."""

import math
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import Progress

from jaxpose import viz
from jaxpose.config import AnyExperiment
from jaxpose.errors import InputError
from jaxpose.metrics.report import Report
from jaxpose.models.build import init_variables
from jaxpose.train import mesh as meshes
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.log import RunLog
from jaxpose.train.optimizer import build
from jaxpose.train.pretrained import with_pretrained
from jaxpose.train.run import begin, open_checkpoints
from jaxpose.train.state import TrainState, new_state
from jaxpose.train.step import compile_step
from jaxpose.train.task import task_of
from jaxpose.train.watch import CompileCounter, StopRequest


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended.

    Attributes:
      step: finished steps.
      report: the last evaluation; None when the run stopped before one.
      stopped_by: the signal that ended it early, or None.
      recompilations: compilations after the first step, which should be none.
    """

    step: int
    report: Report | None
    stopped_by: signal.Signals | None
    recompilations: int


def train(experiment: AnyExperiment, directory: Path, console: Console) -> Outcome:
    """Train `experiment` in the run directory `directory`, from its last checkpoint if it has one.

    Where the state comes from, first that applies: the newest checkpoint of the directory, the
    weights at `experiment.init_from`, fresh initialisation.

    Raises:
      InputError: wrong data, mesh, weights or directory; a disk that is full; a loss that is not
        finite. Checkpoints already written stay as they are.
    """
    mesh = meshes.make_mesh(experiment.mesh)
    meshes.check_batch(experiment.batch_size, mesh, "batch_size")
    meshes.check_batch(experiment.evaluation.batch_size, mesh, "evaluation.batch_size")
    task = task_of(experiment)
    task.check()
    sources = {role: task.open(role) for role in ("train", "eval")}
    experiment = task.fitted(sources["train"])
    begin(directory, experiment, {role: s.fingerprint() for role, s in sources.items()})
    checkpoints = open_checkpoints(directory, experiment, read_only=False)
    state, start = _initial_state(experiment, checkpoints, mesh)
    if start >= experiment.steps:
        console.print(f"{directory} is already trained for {start} steps.")
        checkpoints.close()
        return Outcome(start, None, None, 0)
    if start:
        console.print(f"Resuming {directory} at step {start}.")
    try:
        return _run(experiment, directory, console, mesh, sources, checkpoints, state, start)
    finally:
        checkpoints.close()


def _initial_state(
    experiment: AnyExperiment, checkpoints: Checkpoints, mesh: jax.sharding.Mesh
) -> tuple[TrainState, int]:
    init_key = jax.random.fold_in(jax.random.key(experiment.seed), 0x1417)
    tx = build(experiment.optimizer, experiment.steps)
    variables = init_variables(experiment.model, init_key, experiment.input_hw)
    resuming = checkpoints.latest_step() is not None
    if not resuming:
        variables = with_pretrained(experiment, variables)
    state = jax.device_put(new_state(experiment, variables, tx), meshes.replicated(mesh))
    if not resuming:
        return state, 0
    state, position = checkpoints.restore(state)
    return state, int(position["next_step"])


def _run(
    experiment: AnyExperiment,
    directory: Path,
    console: Console,
    mesh: jax.sharding.Mesh,
    sources: Mapping[str, Any],
    checkpoints: Checkpoints,
    state: TrainState,
    start: int,
) -> Outcome:
    task = task_of(experiment)
    key = jax.device_put(jax.random.key(experiment.seed), meshes.replicated(mesh))
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("samples into memory", total=len(sources["train"]))
        batches = task.batches(
            sources["train"],
            mesh,
            start,
            on_loaded=lambda samples: progress.update(bar, completed=samples),
        )
        batch = next(batches)
    begun = time.perf_counter()
    step_fn = compile_step(experiment, state, batch, key)
    console.print(f"Compiled the training step in {time.perf_counter() - begun:.1f} s.")
    scorer = task.scorer(sources["eval"], mesh, experiment.evaluation.flip_test)
    report, stopped_by, pending = None, None, None
    log = RunLog(directory, experiment.steps, start, experiment.batch_size, console)
    compiles = CompileCounter()

    def evaluate(step: int) -> Report:
        with compiles.expected():
            scored = scorer(state.variables())
        log.metrics(step, scored.report.metrics)
        if scored.picture is not None:
            log.picture(step, "predictions", scored.picture)
            viz.save_image(directory / "predictions.png", scored.picture)
        return scored.report

    with StopRequest() as stop, log, compiles:
        for step in range(start + 1, experiment.steps + 1):
            state, scalars = step_fn(state, batch, key)
            # The step runs on the device while the host logs the one before and fetches the next.
            if pending is not None:
                _log_finite(log, *pending)
            pending = (step, scalars) if step % experiment.log_every == 0 else None
            last = step == experiment.steps
            if not last:
                batch = next(batches)
            log.advance(step)
            if step == start + 1:
                jax.block_until_ready(scalars)
                log.restart_clock(step)
                compiles.start()
            scored = last or step % experiment.evaluation.every == 0
            stopping = stop.signal  # read once: a signal between two reads would skip the save
            save = scored or stopping or step % experiment.checkpoint_every == 0
            if save:
                _log_finite(log, step, scalars)
                pending = None
            if scored:
                report = evaluate(step)
            if save:
                position = {"next_step": step, "seed": experiment.seed}
                with compiles.expected():  # Orbax slices replicated arrays with small programs
                    checkpoints.save(state, position, report.metrics if scored and report else None)
                log.restart_clock(step)
            if stopping and not last:
                stopped_by = signal.Signals(stopping)
                log.say(f"Stopping after step {step} ({stopped_by.name}): saving.")
                break
        checkpoints.wait()
    console.print(f"Compilations after the first step: {compiles.unexpected}.")
    return Outcome(step, report, stopped_by, compiles.unexpected)


def _log_finite(log: RunLog, step: int, scalars: Mapping[str, jax.Array]) -> None:
    values = jax.device_get(dict(scalars))
    if not math.isfinite(values["loss"]) or not math.isfinite(values["gradient_norm"]):
        raise InputError(
            f"The loss is {values['loss']} at step {step} and the gradient's norm "
            f"{values['gradient_norm']}; the run ends here and its checkpoints are kept. Lower "
            "optimizer.learning_rate, lengthen optimizer.warmup_steps, or set optimizer.clip_norm; "
            "`jaxpose data check` finds annotations that cause this."
        )
    log.scalars(step, values)
