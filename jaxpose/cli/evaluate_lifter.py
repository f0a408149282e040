"""`jaxpose eval` of a lifter that is not a run: 3D errors on prepared motion."""

from typing import Any

from jaxpose.cli.evaluate_clips import evaluate_clips
from jaxpose.cli.evaluate_command import Eval
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.errors import InputError
from jaxpose.hub.load import Trained
from jaxpose.losses import MPJPE
from jaxpose.tasks.lifting.experiment import LiftingExperiment


def evaluate_lifter(options: Eval, trained: Trained) -> int:
    """Score a lifter on the motion file `options.data`, by subject and action.

    Writes `report.json` and `predictions.json` (poses) into `options.out`.

    Returns:
      The exit status, 0.

    Raises:
      InputError: annotations of images, or as `LiftingExperiment` and its task.
    """
    if options.annotations is not None or options.data is None:
        raise InputError(
            f"{options.model} lifts keypoints to 3D: give the file that `jaxpose prepare` wrote "
            "from motion as --data, and its --split."
        )
    estimator: Any = trained.estimator
    # The parts that only training reads have no effect here.
    motion = MotionDataset(options.data)
    experiment = LiftingExperiment(
        skeleton=estimator.skeleton,
        model=estimator.model,
        codec=estimator.codec,
        loss=MPJPE(),
        train_data=motion,
        eval_data=motion,
        standardise="none",
        steps=1,
        batch_size=1,
    )
    return evaluate_clips(experiment, options, trained)
