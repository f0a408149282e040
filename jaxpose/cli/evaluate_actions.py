"""`jaxpose eval` of a classifier of actions that is not a run: accuracy on prepared clips."""

from typing import Any

from jaxpose.cli.evaluate_clips import evaluate_clips
from jaxpose.cli.evaluate_command import Eval
from jaxpose.data.action_dataset import ActionDataset
from jaxpose.errors import InputError
from jaxpose.hub.load import Trained
from jaxpose.tasks.actions.experiment import ActionExperiment


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
    return evaluate_clips(experiment, options, trained)


def _names(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of classes; none for those of a converted checkpoint, which are only numbers."""
    return () if classes == tuple(str(i) for i in range(len(classes))) else classes
