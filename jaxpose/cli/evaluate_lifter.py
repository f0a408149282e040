"""`jaxpose eval` of a lifter that is not a run: 3D errors on prepared motion."""

import json
from typing import Any

from jaxpose.cli.evaluate_command import Eval
from jaxpose.cli.evaluate_model import default_out
from jaxpose.cli.evaluate_run import counted, evaluated
from jaxpose.console import PlainConsole
from jaxpose.counts import print_counts
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.errors import InputError, reason
from jaxpose.hub.load import Trained
from jaxpose.losses import MPJPE
from jaxpose.paths import atomic_write
from jaxpose.tasks.lifting.experiment import LiftingExperiment
from jaxpose.train.results import write_result


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
