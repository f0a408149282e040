"""The training loop: begin or resume, step, evaluate, save, stop cleanly."""

import contextlib
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.progress import Progress

from jaxpose import viz
from jaxpose.config import to_json
from jaxpose.config.recipe_source import RecipeSource
from jaxpose.deprecations import moved_names
from jaxpose.metrics.report import Report
from jaxpose.paths import atomic_write, write_via_local
from jaxpose.train import distributed
from jaxpose.train import mesh as meshes
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.experiment import Experiment
from jaxpose.train.init_state import abstract_state, first_state, local_weights, run_key
from jaxpose.train.log import RunLog
from jaxpose.train.nonfinite import PendingSteps
from jaxpose.train.run_dir import Start, begin, clear, open_checkpoints, same_people
from jaxpose.train.signals import CompileCounter, StopRequest
from jaxpose.train.state import TrainState
from jaxpose.train.step import compile_step


@dataclass(frozen=True)
class TrainResult:
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


def train(
    experiment: Experiment,
    directory: Path,
    console: Console,
    weights: Callable[[str], Mapping[str, np.ndarray]] = local_weights,
    *,
    recipe: RecipeSource | None = None,
    overwrite: bool = False,
) -> TrainResult:
    """Train `experiment` in the run directory `directory`, from its last checkpoint if it has one.

    Where the state comes from, first that applies: the newest checkpoint of the directory, the
    weights at `experiment.init_from`, fresh initialisation.

    Args:
      weights: reads what `init_from` and the like name: files and releases, or with `hub.weights`
        names, addresses and runs too.
      recipe: the source of the recipe, for the run to keep; sources of the experiment's classes
        are kept in any case.
      overwrite: begin afresh, in place of what the directory holds.

    A start that fails leaves nothing in the directory.

    Raises:
      InputError: wrong data, mesh, weights or directory; a disk that is full; a loss that is not
        finite. Checkpoints already written stay as they are.
    """
    mesh = meshes.make_mesh(experiment.mesh)
    meshes.check_batch(experiment.batch_size, mesh, "batch_size", experiment.accumulate)
    meshes.check_batch(experiment.evaluation.batch_size, mesh, "evaluation.batch_size")
    if not distributed.is_first():
        console = Console(quiet=True)
    task = experiment.task()
    task.check()
    sources = {role: task.open(role) for role in ("train", "eval")}
    experiment = task.fit_to_data(sources["train"])
    fingerprints = {role: source.fingerprint() for role, source in sources.items()}
    distributed.require_same(
        {
            "experiment": to_json(experiment),
            "data": fingerprints,
            "recipe": recipe.to_json() if recipe else None,
        }
    )
    shapes, layout = abstract_state(experiment, mesh)
    begun = begin(directory, experiment, fingerprints, recipe, overwrite=overwrite)
    if same_people(fingerprints):
        console.print(
            "Training and evaluation use the same samples, or some of them: the score will not say "
            "how the model does on others. Give eval_data another split.",
            style="yellow",
        )
    begun.make_folder()
    try:
        state = None
        if overwrite:
            state = first_state(experiment, layout, weights)  # fails before the old run is gone
            clear(directory)
            distributed.barrier("cleared the run directory")
        with contextlib.closing(open_checkpoints(directory, experiment, False)) as checkpoints:
            start = 0
            if checkpoints.latest_step() is not None:
                state, position = checkpoints.restore(shapes)
                start = int(position["next_step"])
            elif state is None:
                state = first_state(experiment, layout, weights)
            if start >= experiment.steps:
                console.print(
                    f"{directory} is already trained for {start} steps. A larger `steps` trains it "
                    "further."
                )
                return TrainResult(start, None, None, 0)
            if start:
                console.print(f"Resuming {directory} at step {start}.")
            for note in begun.notes(start):
                console.print(note, highlight=False)
            return _run(experiment, begun, console, mesh, sources, checkpoints, state, start)
    except BaseException:
        begun.abandon()
        raise


def _run(
    experiment: Experiment,
    begun: Start,
    console: Console,
    mesh: jax.sharding.Mesh,
    sources: Mapping[str, Any],
    checkpoints: Checkpoints,
    state: TrainState,
    start: int,
) -> TrainResult:
    task, directory = experiment.task(), begun.directory
    key = run_key(experiment, mesh)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("samples into memory", total=len(sources["train"]))
        batches = task.batches(
            sources["train"],
            mesh,
            start,
            on_loaded=lambda samples: progress.update(bar, completed=samples),
        )
        batch = next(batches)
    clock = time.perf_counter()
    step_fn = compile_step(experiment, state, batch, key)
    console.print(f"Compiled the training step in {time.perf_counter() - clock:.1f} s.")
    evaluator = task.evaluator(sources["eval"], mesh, experiment.evaluation.flip_test)
    report, stopped_by = None, None
    begun.write(start)
    log = RunLog(
        directory,
        experiment.steps,
        start,
        experiment.batch_size,
        console,
        distributed.is_first(),
        task.unit,
    )
    compiles, sync = CompileCounter(), distributed.StepSync(mesh)

    def note(step: int, values: Mapping[str, float]) -> None:
        if step % experiment.log_every == 0:
            log.scalars(step, values)

    pending = PendingSteps(experiment, sources["train"], note, log.say)

    def evaluate(step: int) -> Report:
        with compiles.expected():
            scored = evaluator(state.variables())
        log.metrics(step, scored.report.metrics)
        if scored.picture is not None:
            log.picture(step, "predictions", scored.picture)
        # Before the checkpoint that says that this step is done.
        if distributed.is_first():
            atomic_write(directory / "report.json", scored.report.to_json() + "\n")
            if scored.picture is not None:
                with write_via_local(directory / "predictions.png") as file:
                    viz.save_image(file, scored.picture)
        return scored.report

    with StopRequest() as stop, log, compiles:
        for step in range(start + 1, experiment.steps + 1):
            sync.post(step, stop.signal)
            state, scalars = step_fn(state, batch, key)
            pending.push(step, scalars, batch)
            # The step runs on the device while the host looks at earlier ones and fetches the next.
            with compiles.expected():
                pending.check(state, key)
            last = step == experiment.steps
            if not last:
                batch = next(batches)
            log.advance(step)
            if step == start + 1:
                jax.block_until_ready(scalars)
                log.restart_clock(step)
                compiles.start()
            scored = last or step % experiment.evaluation.every == 0
            stopping = sync.poll()  # once: a signal between two reads would skip the save
            save = scored or stopping or step % experiment.checkpoint_every == 0
            if save:
                with compiles.expected():
                    pending.check(state, key, left=0)
            if scored:
                report = evaluate(step)
            if save:
                log.flush()
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
    return TrainResult(step, report, stopped_by, compiles.unexpected)


__getattr__ = moved_names(__name__)
