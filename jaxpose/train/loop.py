"""The training loop: begin or resume, step, evaluate, save, stop cleanly."""

import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from rich.console import Console
from rich.progress import Progress

from jaxpose.config import to_json
from jaxpose.config.recipe_source import RecipeSource
from jaxpose.console import PlainConsole
from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError
from jaxpose.locks import only_writer
from jaxpose.metrics.report import Report
from jaxpose.models.lora import adapted
from jaxpose.train import distributed
from jaxpose.train import mesh as meshes
from jaxpose.train.check_parts import check_parts
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.experiment import Experiment
from jaxpose.train.init_state import (
    abstract_state,
    first_state,
    local_weights,
    run_key,
    with_base,
)
from jaxpose.train.log import RunLog
from jaxpose.train.nonfinite import PendingSteps
from jaxpose.train.results import draw_curves, write_result
from jaxpose.train.run_dir import (
    Start,
    begin,
    clear,
    open_checkpoints,
)
from jaxpose.train.shared_samples import parts_of_one_split, same_people
from jaxpose.train.signals import CompileCounter, StopRequest
from jaxpose.train.state import TrainState
from jaxpose.train.step import compile_step


@dataclass(frozen=True)
class TrainResult:
    """Result of a call of `train`.

    Attributes:
      step: number of finished steps.
      report: report of the last evaluation; None if the run stopped before one.
      stopped_by: the signal that ended it early, or None.
      recompilations: number of compilations after the first step; it should be 0.
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

    The initial state is the first of these that exists: the newest checkpoint of the directory, the
    weights at `experiment.init_from`, random initialisation.

    Args:
      weights: reads the weights that `init_from` and similar fields name: files and releases, or
        with `hub.weights` also published names, addresses and runs.
      recipe: the source code of the recipe, which the run stores; that of the experiment's classes
        is stored in any case.
      overwrite: begin a new run in place of the run in the directory.

    A start that fails leaves no files in the directory.

    Raises:
      InputError: wrong data, mesh, weights or directory; a full disk; a loss that is not finite.
        Checkpoints already written are kept.
    """
    mesh = meshes.make_mesh(experiment.mesh)
    meshes.check_batch(experiment.batch_size, mesh, "batch_size", experiment.accumulate)
    for name, view in experiment.evaluations().items():
        where = f"more_evaluations {name!r}: batch_size" if name else "evaluation.batch_size"
        meshes.check_batch(view.evaluation.batch_size, mesh, where)
    if not distributed.is_first():
        console = PlainConsole(quiet=True)
    check_parts(experiment)
    task = experiment.task()
    sources = {role: task.open(role) for role in ("train", "eval")}
    experiment = task.fit_to_data(sources["train"])
    for logger in experiment.loggers:
        logger.check()
    evaluations = _open_evaluations(experiment, sources["eval"], mesh)
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
    data = (getattr(experiment, role, None) for role in ("train_data", "eval_data"))
    if same_people(fingerprints) or parts_of_one_split(*data):
        console.print(
            "Training and evaluation share samples, so the score does not measure the model on new "
            "samples. Give eval_data another split.",
            style="yellow",
        )
    begun.make_folder()
    with contextlib.ExitStack() as leaving:
        # After the lock is released, whose file is in the folder.
        leaving.push(lambda kind, *_: begun.abandon() if kind else None)
        if distributed.is_first():
            leaving.enter_context(only_writer(directory))
        state: TrainState | None = None
        base: dict[str, Any] = {}
        if overwrite:
            # Before the old run is removed, so that an error here does not lose it.
            state, base = first_state(experiment, layout, weights)
            clear(directory)
            distributed.barrier("cleared the run directory")
        with contextlib.closing(open_checkpoints(directory, experiment, False)) as checkpoints:
            start = 0
            if checkpoints.latest_step() is not None:
                state, position = checkpoints.restore(shapes)
                state, base = with_base(state, position, experiment, layout, weights)
                start = int(position["next_step"])
            else:
                if begun.resumes:
                    console.print("No complete checkpoint yet: starting at step 0.")
                if state is None:
                    state, base = first_state(experiment, layout, weights)
            if start >= experiment.steps:
                console.print(
                    f"{directory} is already trained for {start} steps. Set a larger `steps` to "
                    "train it further.",
                )
                return TrainResult(start, None, None, 0)
            if start:
                console.print(f"Resuming {directory} at step {start}.")
            for note in begun.notes(start):
                console.print(note)
            source, kept = sources["train"], _Kept(checkpoints, base)
            return _run(experiment, begun, console, mesh, source, evaluations, kept, state, start)


class _Kept(NamedTuple):
    """Checkpoints of a run, and their record of a frozen base; `{}` for none."""

    checkpoints: Checkpoints
    base: dict[str, Any]


class _Evaluation(NamedTuple):
    """Evaluation that is ready to run."""

    every: int
    evaluator: Callable[..., Any]


def _open_evaluations(
    experiment: Experiment, held_out: Any, mesh: jax.sharding.Mesh
) -> dict[str, _Evaluation]:
    """Open the experiment's evaluations by name; InputError if a metric lacks data.

    Args:
      held_out: the opened `eval_data`.
    """
    ready = {}
    for name, view in experiment.evaluations().items():
        task, own = view.task(), getattr(view.evaluation, "data", None)
        source = held_out if own is None else task.open("eval")
        try:
            evaluator = task.evaluator(source, mesh, view.evaluation.flip_test)
        except InputError as error:
            raise InputError(f"more_evaluations {name!r}: {error}") if name else error from None
        ready[name] = _Evaluation(view.evaluation.every, evaluator)
    return ready


def _run(
    experiment: Experiment,
    begun: Start,
    console: Console,
    mesh: jax.sharding.Mesh,
    source: Any,
    evaluations: Mapping[str, _Evaluation],
    kept: _Kept,
    state: TrainState,
    start: int,
) -> TrainResult:
    task, directory = experiment.task(), begun.directory
    key = run_key(experiment, mesh)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        bar = progress.add_task("samples into memory", total=len(source))
        batches = task.batches(
            source,
            mesh,
            start,
            on_loaded=lambda samples: progress.update(bar, completed=samples),
        )
        batch = next(batches)
    clock = time.perf_counter()
    step_fn = compile_step(experiment, state, batch, key)
    console.print(f"Compiled the training step in {time.perf_counter() - clock:.1f} s.")
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
        experiment.loggers,
        to_json(experiment),
    )
    compiles, sync = CompileCounter(), distributed.StepSync(mesh)

    def note(step: int, values: Mapping[str, float]) -> None:
        if step % experiment.log_every == 0:
            log.scalars(step, values)

    pending = PendingSteps(experiment, source, note, log.say)

    def evaluate(step: int, due: Sequence[str]) -> Report | None:
        """Run the evaluations `due`; return the report of the main one if it is among them."""
        figures: dict[str, float] = {}
        found = None
        for name in due:
            with compiles.expected(), adapted(experiment.lora):
                result = evaluations[name].evaluator(state.variables())
            prefix = f"{name}/" if name else ""
            figures |= {f"{prefix}{key}": value for key, value in result.report.metrics.items()}
            if result.image is not None:
                log.image(step, f"{prefix}predictions", result.image)
            # Written before the checkpoint that marks this step as done.
            if distributed.is_first():
                folder = directory / "evaluations" / name if name else directory
                write_result(folder, result, details=step == experiment.steps)
            found = found if name else result.report
        log.metrics(step, figures)
        return found

    with StopRequest() as stop, log, compiles:
        for step in range(start + 1, experiment.steps + 1):
            sync.post(step, stop.signal)
            state, scalars = step_fn(state, batch, key)
            pending.push(step, scalars, batch)
            # The step runs on the device while the host checks earlier ones and reads the next
            # batch.
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
            due = [n for n, e in evaluations.items() if last or step % e.every == 0]
            scored = "" in due
            stopping = sync.poll()  # read once: a signal between two reads would skip the save
            save = scored or stopping or step % experiment.checkpoint_every == 0
            if save or due:
                with compiles.expected():
                    pending.check(state, key, left=0)
            if due:
                report = evaluate(step, due) or report
            if save:
                log.flush()
                position = {"next_step": step, "seed": experiment.seed, **kept.base}
                figures = report.metrics if scored and report else None
                with compiles.expected():  # Orbax slices replicated arrays with small programs
                    kept.checkpoints.save(state, position, figures)
            if save or due:
                log.restart_clock(step)
            if stopping and not last:
                stopped_by = signal.Signals(stopping)
                log.say(f"Stopping after step {step} ({stopped_by.name}): saving.")
                break
        kept.checkpoints.wait()
        if distributed.is_first():
            draw_curves(directory, experiment)
    console.print(f"Compilations after the first step: {compiles.unexpected}.")
    return TrainResult(step, report, stopped_by, compiles.unexpected)


__getattr__ = moved_names(__name__)
