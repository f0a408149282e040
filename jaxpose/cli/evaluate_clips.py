"""`jaxpose eval` of a model of keypoints over time that is not a run: scores on prepared clips."""

import json

from jaxpose.cli.evaluate_command import Eval
from jaxpose.cli.evaluate_model import default_out
from jaxpose.cli.evaluate_run import counted, evaluated
from jaxpose.console import PlainConsole
from jaxpose.counts import print_counts
from jaxpose.errors import InputError, reason
from jaxpose.hub.load import Trained
from jaxpose.paths import atomic_write
from jaxpose.train.experiment import Experiment
from jaxpose.train.results import write_result


def evaluate_clips(experiment: Experiment, options: Eval, trained: Trained) -> int:
    """Score a model on the file `options.data` by the evaluation of an experiment.

    Writes `report.json` and `predictions.json` into `options.out`.

    Returns:
      The exit status, 0.

    Raises:
      InputError: as the experiment's task, or the results cannot be written.
    """
    assert options.data is not None
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
