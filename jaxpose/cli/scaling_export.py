"""`jaxpose scaling export`: a study's finished points as a table or in experiment trackers."""

from jaxpose.cli.scaling import Export
from jaxpose.console import PlainConsole
from jaxpose.errors import InputError
from jaxpose.scaling.manifest import read_manifest
from jaxpose.scaling.study_table import rows, send, write_csv
from jaxpose.train.loggers import Logger, LogLost, MLflow, WandB


def export(options: Export) -> None:
    """Write or send the finished points of a study.

    Raises:
      InputError: nothing is done yet, no target was named, or a tracker cannot be reached.
    """
    if options.csv is None and not options.wandb and not options.mlflow:
        raise InputError("Name a target: --csv FILE, --wandb PROJECT or --mlflow EXPERIMENT.")
    manifest = read_manifest(options.study)
    table = rows(options.study, manifest)
    if not table:
        raise InputError(f"No point of {options.study} is done yet.")
    console = PlainConsole()
    if options.csv is not None:
        write_csv(table, options.csv)
        console.print(f"{len(table)} points in {options.csv}.")
    loggers: list[Logger] = []
    loggers += [WandB(project=options.wandb)] if options.wandb else []
    loggers += [MLflow(experiment=options.mlflow)] if options.mlflow else []
    for logger in loggers:
        try:
            send(table, options.study, manifest, logger)
        except LogLost as error:
            raise InputError(f"{error}. Try again: points already sent are not doubled.") from error
        console.print(f"{len(table)} points sent to {type(logger).__name__}.")
