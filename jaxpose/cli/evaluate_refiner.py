"""`jaxpose eval` of a refiner of tracks that is not a run: errors on motion with faults."""

from typing import Any

from jaxpose.cli.evaluate_clips import evaluate_clips
from jaxpose.cli.evaluate_command import Eval
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.errors import InputError
from jaxpose.hub.load import Trained
from jaxpose.tasks.refining.experiment import RefiningExperiment


def evaluate_refiner(options: Eval, trained: Trained) -> int:
    """Score a refiner on the 2D keypoints of the motion file `options.data`, with made-up faults.

    Writes `report.json` and `predictions.json` (tracks) into `options.out`.

    Returns:
      The exit status, 0.

    Raises:
      InputError: annotations of images, or as `RefiningExperiment` and its task.
    """
    if options.annotations is not None or options.data is None:
        raise InputError(
            f"{options.model} refines tracks: give the file that `jaxpose prepare` wrote from "
            "motion as --data, and its --split."
        )
    estimator: Any = trained.estimator
    motion = MotionDataset(options.data)
    experiment = RefiningExperiment(
        skeleton=estimator.skeleton,
        model=estimator.model,
        codec=estimator.codec,
        train_data=motion,
        eval_data=motion,
        steps=1,
        batch_size=1,
    )
    return evaluate_clips(experiment, options, trained)
