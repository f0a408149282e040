"""`jaxpose eval` of a classifier of actions that is not a run: accuracy on prepared clips."""

import json
from typing import Any

from jaxpose.cli.evaluate_command import Eval
from jaxpose.cli.evaluate_model import default_out
from jaxpose.cli.evaluate_run import counted, evaluated
from jaxpose.console import PlainConsole
from jaxpose.counts import print_counts
from jaxpose.data.action_dataset import ActionDataset
from jaxpose.errors import InputError, reason
from jaxpose.hub.load import Trained
from jaxpose.paths import atomic_write
from jaxpose.tasks.actions.experiment import ActionExperiment
from jaxpose.train.results import write_result


def evaluate_actions(options: Eval, trained: Trained) -> int:
    """Score a classifier of actions on the file `options.data`.

    Writes `report.json` and `predictions.json` (scores of classes) into `options.out`.

    Returns:
      The exit status, 0.

    Raises:
      InputError: annotations of images, or as `ActionExperiment` and its task.
    """
    if options.annotations is not None or options.data is None:
        raise InputError(
            f"{options.model} classifies actions: give the file that `jaxpose prepare actions` "
            "wrote as --data, and its --split."
        )
    estimator: Any = trained.estimator
    data = ActionDataset(options.data)
    experiment = ActionExperiment(
        skeleton=estimator.skeleton,
        model=estimator.model,
        codec=estimator.codec,
        classes=_names(estimator.classes),
        train_data=data,
        eval_data=data,
        steps=1,
        batch_size=1,
    )
    console = PlainConsole()
    source = experiment.task().open_dataset(options.data, options.split or "val")
    scored = evaluated(experiment, source, trained.variables, options.flip_test, console)
    out = options.out or default_out(options, trained)
    try:
        write_result(out, scored, details=True)
        atomic_write(out / "predictions.json", json.dumps(scored.predictions))
    except OSError as error:
        raise InputError(f"Cannot write to {out}: {reason(error)}.") from error
    console.print(scored.report.table())
    names = ", ".join(sorted(path.name for path in out.iterdir()))
    console.print(f"Written to {out}: {names}")
    return print_counts([counted(scored)], console)


def _names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes; none for those of a converted checkpoint, which are only numbers."""
    return () if classes == tuple(str(i) for i in range(len(classes))) else classes
