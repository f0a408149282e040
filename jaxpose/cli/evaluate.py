"""`jaxpose eval`: score a run's model on held-out people."""

import json
from pathlib import Path
from typing import Literal

import jax
from rich.console import Console
from rich.progress import Progress

from jaxpose import viz
from jaxpose.config import Records
from jaxpose.errors import InputError
from jaxpose.train.evaluate import estimate_all, make_estimate
from jaxpose.train.mesh import check_batch, make_mesh, replicated
from jaxpose.train.run import load_run
from jaxpose.train.score import score


def evaluate(
    run: Path,
    checkpoint: Literal["best", "last"] = "best",
    data: str | None = None,
    split: str = "val",
    flip_test: bool | None = None,
    out: Path | None = None,
) -> None:
    """Score `run` on its own held-out data, or on the prepared dataset `data`.

    Writes `report.json`, `predictions.json` (COCO results) and `predictions.png` into `out`
    (default: `run/eval`).
    """
    console = Console()
    trained = load_run(run, checkpoint)
    experiment = trained.experiment
    held_out = Records(path=data, split=split) if data else experiment.eval_data
    source = held_out.open()
    if source.skeleton.keypoints != experiment.skeleton.keypoints:
        raise InputError(
            f"The data has the keypoints of {source.skeleton.name!r}, the model those of "
            f"{experiment.skeleton.name!r}."
        )
    mesh = make_mesh(experiment.mesh)
    check_batch(experiment.evaluation.batch_size, mesh, "evaluation.batch_size")
    flip = experiment.evaluation.flip_test if flip_test is None else flip_test
    with Progress(console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("people", total=len(source))
        estimates = estimate_all(
            make_estimate(experiment, mesh, flip),
            jax.device_put(trained.variables, replicated(mesh)),
            source,
            experiment,
            mesh,
            on_batch=lambda people: progress.update(task, completed=people),
        )
    report = score(estimates, experiment, flip, source)
    out = out or run / "eval"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(report.to_json() + "\n")
        (out / "predictions.json").write_text(json.dumps(estimates.coco_results()))
    except OSError as error:
        raise InputError(f"Cannot write to {out}: {error}.") from error
    if estimates.pictures:
        viz.save_image(out / "predictions.png", viz.contact_sheet(estimates.pictures, columns=4))
    console.print(f"Checkpoint of step {trained.step} ({checkpoint}).")
    console.print(report.table())
    console.print(f"Written to {out}: report.json, predictions.json, predictions.png")
