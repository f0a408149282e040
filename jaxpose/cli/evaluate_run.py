"""`jaxpose eval` of a run: its evaluations on its own held-out data or on a prepared dataset."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.progress import Progress

from jaxpose.cli.evaluate_command import Eval
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts, summed
from jaxpose.errors import InputError, reason
from jaxpose.hub.load import weights
from jaxpose.paths import as_path, atomic_write
from jaxpose.tasks.task import EvalResult
from jaxpose.train.experiment import Experiment, Mesh
from jaxpose.train.mesh import make_mesh, replicated
from jaxpose.train.results import write_result
from jaxpose.train.run_dir import load_run
from jaxpose.train.shared_samples import parts_of_one_split, same_people


def evaluate_run(options: Eval) -> int:
    """Score a run on its own held-out data, or on the prepared dataset `options.data`.

    Writes `report.json`, `predictions.json` (COCO results for images, poses for lifters) and, for
    images, `predictions.png`, `keypoint_errors.png` and `worst.png` into `out` (default: `eval` in
    the run). Each of the experiment's `more_evaluations` has a table too, and a folder there; with
    `data` there is the main evaluation alone.

    Returns:
      The exit status, 0.
    """
    console, run, data = PlainConsole(), as_path(options.model), options.data
    if data is not None and not data.endswith(".npz") and _is_file(data):
        raise InputError(
            f"--data takes the folder of a prepared dataset, not a file such as {data}; "
            "`jaxpose prepare` makes one. A COCO file goes to --annotations, with its images' "
            "folder as --data."
        )
    if data is None and options.split is not None:
        raise InputError(
            "--split names a split of --data, which is absent. Without --data the run's own "
            "held-out data is used; give both, or leave --split out."
        )
    trained = load_run(run, options.checkpoint, trust_recipe=options.trust_recipe, weights=weights)
    views = _with_body(trained.experiment, options).evaluations()
    if data:
        views = {"": views[""]}
    console.print(f"Checkpoint of step {trained.step} ({options.checkpoint}).")
    out = options.out or run / "eval"
    counts = []
    for name, experiment in views.items():
        task = experiment.task()
        source = task.open_dataset(data, options.split or "val") if data else task.open("eval")
        seen = {"train": trained.record["data"]["train"], "eval": source.fingerprint()}
        sets = (getattr(experiment, role, None) for role in ("train_data", "eval_data"))
        if same_people(seen) or (not data and parts_of_one_split(*sets)):
            console.print(
                "The model was trained on samples of this data, so the score does not measure it "
                "on new samples.",
                style="yellow",
            )
        scored = evaluated(experiment, source, trained.variables, options.flip_test, console)
        counts.append(counted(scored))
        folder = out / name if name else out
        try:
            write_result(folder, scored, details=True)
            atomic_write(folder / "predictions.json", json.dumps(scored.predictions))
        except OSError as error:
            raise InputError(f"Cannot write to {folder}: {reason(error)}.") from error
        if name:
            console.print(f"Evaluation {name!r}:")
        console.print(scored.report.table())
    names = ", ".join(sorted(p.name for p in out.iterdir()))
    console.print(f"Written to {out}: {names}")
    return print_counts(summed(counts), console)


def _with_body(experiment: Any, options: Eval) -> Experiment:
    """The experiment with the body model's file of `--body`, if that is given.

    Raises:
      InputError: the run has no body model of a file.
    """
    kept: Experiment = experiment
    if options.body is None:
        return kept
    if getattr(experiment, "body", None) is None:
        raise InputError(
            f"--body is for runs that were trained with a body model's file, and {options.model} "
            "was not: leave it out."
        )
    return dataclasses.replace(experiment, body=str(options.body))


def _is_file(data: str) -> bool:
    return Path(data).is_file() or data.endswith(".py")


def counted(scored: EvalResult) -> Counts:
    """Counts of the people or poses of an evaluation, none of which is left out."""
    report = scored.report
    return Counts("poses" if report.by_action else report.unit, report.people)


def evaluated(
    experiment: Experiment,
    source: Any,
    variables: Any,
    flip_test: bool | None,
    console: Console,
) -> EvalResult:
    """The main evaluation of `experiment` on `source`, with batches over this machine's devices."""
    devices = jax.devices()[: math.gcd(jax.device_count(), experiment.evaluation.batch_size)]
    mesh = make_mesh(Mesh(), devices)
    flip = experiment.evaluation.flip_test if flip_test is None else flip_test
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("samples", total=len(source))
        return experiment.task().evaluator(source, mesh, flip)(
            jax.device_put(variables, replicated(mesh)),
            on_batch=lambda samples: progress.update(bar, completed=samples),
        )
