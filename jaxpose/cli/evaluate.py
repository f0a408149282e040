"""`jaxpose eval`: score a run's model on held-out people."""

import json
import math

import jax
from rich.console import Console
from rich.progress import Progress

from jaxpose import viz
from jaxpose.cli.evaluate_command import Eval
from jaxpose.errors import InputError
from jaxpose.paths import write_via_local
from jaxpose.train.experiment import Mesh
from jaxpose.train.mesh import make_mesh, replicated
from jaxpose.train.run_dir import load_run


def evaluate(options: Eval) -> None:
    """Score a run on its own held-out data, or on the prepared dataset `options.data`.

    Writes `report.json`, `predictions.json` (COCO results for pictures, poses for lifters) and,
    for pictures, `predictions.png` into `out` (default: `eval` in the run).
    """
    run, data, checkpoint = options.run, options.data, options.checkpoint
    console = Console()
    trained = load_run(run, checkpoint)
    experiment = trained.experiment
    task = experiment.task()
    source = task.open_dataset(data, options.split) if data else task.open("eval")
    # Batches over the devices of this machine, whatever mesh the training had.
    devices = jax.devices()[: math.gcd(jax.device_count(), experiment.evaluation.batch_size)]
    mesh = make_mesh(Mesh(), devices)
    flip = experiment.evaluation.flip_test if options.flip_test is None else options.flip_test
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("samples", total=len(source))
        scored = task.evaluator(source, mesh, flip)(
            jax.device_put(trained.variables, replicated(mesh)),
            on_batch=lambda samples: progress.update(bar, completed=samples),
        )
    out = options.out or run / "eval"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(scored.report.to_json() + "\n")
        (out / "predictions.json").write_text(json.dumps(scored.predictions))
    except OSError as error:
        raise InputError(f"Cannot write to {out}: {error}.") from error
    if scored.picture is not None:
        with write_via_local(out / "predictions.png") as file:
            viz.save_image(file, scored.picture)
    console.print(f"Checkpoint of step {trained.step} ({checkpoint}).")
    console.print(scored.report.table())
    console.print(f"Written to {out}: {', '.join(sorted(p.name for p in out.iterdir()))}")
