"""Loggers that receive the figures of a run, besides its `metrics.jsonl`.

An experiment lists them: `loggers=(TensorBoard(), WandB(project="pose"))`. A custom logger is one
frozen dataclass whose `open` returns a `LogWriter`. A resumed run may have other loggers.
"""

import csv
import importlib
import io
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxpose.errors import InputError
from jaxpose.paths import atomic_write, in_bucket
from jaxpose.train.event_files import EventFile


class LogWriter(Protocol):
    """Open log of one run."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Record values after `step` steps; names begin with `train/` or `eval/`.

        Raises:
          OSError: the disk is full or cannot be written; the run ends.
          LogLost: a server cannot be reached; the run continues.
        """
        ...

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        """Record a uint8 RGB image `[H, W, 3]`; raises as `scalars`."""
        ...

    def close(self) -> None:
        """Write all remaining records."""
        ...


class LogLost(Exception):
    """Error of a logger whose server did not receive the figures."""


class Logger:
    """Base of all loggers: a frozen dataclass in a config that opens the log of a run."""

    def check(self) -> None:
        """Check before training that the packages of the logger are installed.

        Raises:
          InputError: a package is missing; the message has the command that installs it.
        """

    def open(self, directory: Path, start_step: int, config: Mapping[str, Any]) -> LogWriter:
        """Open the log of the run in `directory`.

        Args:
          start_step: number of finished steps. After a killed process the log may have records of
            later steps; those steps are computed and recorded again.
          config: the experiment as JSON types.
        """
        raise TypeError(f"{type(self).__name__} is not a logger: it does not define `open`.")


@dataclass(frozen=True)
class TensorBoard(Logger):
    """Event files in the run directory: `tensorboard --logdir DIR`."""

    def open(self, directory: Path, start_step: int, config: Mapping[str, Any]) -> LogWriter:
        return EventFile(directory, start_step)


@dataclass(frozen=True)
class CSV(Logger):
    """`train.csv` and `eval.csv` in the run directory: one row per step, one column per figure."""

    def open(self, directory: Path, start_step: int, config: Mapping[str, Any]) -> LogWriter:
        return _CSV(directory, start_step)


class _CSV:
    def __init__(self, directory: Path, start_step: int) -> None:
        self._directory, self._start = directory, start_step
        self._tables: dict[str, list[dict[str, Any]]] = {}
        self._names: dict[str, list[str]] = {}

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            kind, _, figure = name.partition("/")
            rows.setdefault(kind, {"step": step})[figure] = value
        for kind, row in rows.items():
            self._add(kind, row)

    def _add(self, kind: str, row: dict[str, Any]) -> None:
        file = self._directory / f"{kind}.csv"
        known = kind in self._tables
        if not known:
            self._tables[kind] = _rows_until(file, self._start)
            old = self._tables[kind]
            self._names[kind] = list(old[0]) if old else ["step"]
        table, names = self._tables[kind], self._names[kind]
        new = [name for name in row if name not in names]
        table.append(row)
        names += new
        if known and not new and not in_bucket(file):
            with file.open("a", newline="") as target:
                csv.DictWriter(target, names, lineterminator="\n").writerow(row)
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
        atomic_write(file, text.getvalue())

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        """Ignore images, which a table cannot hold."""

    def close(self) -> None:
        """Do nothing: each row is already written."""


def _rows_until(file: Path, step: int) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    # A row cut short by a kill has no value in its last columns; its step is computed again.
    return [row for row in rows if (row.get("step") or "").isdigit() and int(row["step"]) <= step]


@dataclass(frozen=True)
class WandB(Logger):
    """Weights & Biases, through its Python package (`pip install "jaxpose[wandb]"`).

    A resumed run continues the same W&B run. W&B's environment variables apply, such as
    `WANDB_MODE=offline`.
    """

    project: str
    name: str | None = None
    entity: str | None = None
    tags: tuple[str, ...] = ()

    def check(self) -> None:
        _package("wandb", "wandb", "W&B")

    def open(self, directory: Path, start_step: int, config: Mapping[str, Any]) -> LogWriter:
        return _WandB(self, directory, config)


class _WandB:
    def __init__(self, logger: WandB, directory: Path, config: Mapping[str, Any]) -> None:
        self._wandb = _package("wandb", "wandb", "W&B")
        stored = _Stored(directory, "wandb")
        place = {} if in_bucket(directory) else {"dir": str(directory)}
        try:
            self._run = self._wandb.init(
                project=logger.project,
                entity=logger.entity,
                name=logger.name or directory.name,
                tags=list(logger.tags),
                config=dict(config),
                id=stored.get("run"),
                resume="allow",
                **place,
            )
        except Exception as error:
            raise InputError(f"W&B cannot start: {_first_line(error)}.") from error
        stored.set("run", self._run.id)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        self._send({**values}, step)

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        self._send({name: self._wandb.Image(rgb)}, step)

    def _send(self, values: dict[str, Any], step: int) -> None:
        try:
            # W&B drops records of steps that it already has; a resumed run computes some again.
            self._run.log(values, step=step)
        except Exception as error:
            raise LogLost(f"W&B: {_first_line(error)}") from error

    def close(self) -> None:
        self._run.finish()


@dataclass(frozen=True)
class MLflow(Logger):
    """MLflow, through its Python package (`pip install "jaxpose[mlflow]"`).

    A resumed run continues the same MLflow run.

    Attributes:
      experiment: name of the MLflow experiment; created if absent.
      tracking_uri: a server or a store; None for `MLFLOW_TRACKING_URI` or MLflow's default.
    """

    experiment: str = "jaxpose"
    tracking_uri: str | None = None
    name: str | None = None

    def check(self) -> None:
        _package("mlflow", "mlflow", "MLflow")

    def open(self, directory: Path, start_step: int, config: Mapping[str, Any]) -> LogWriter:
        return _MLflow(self, directory, config)


class _MLflow:
    def __init__(self, logger: MLflow, directory: Path, config: Mapping[str, Any]) -> None:
        mlflow = _package("mlflow", "mlflow", "MLflow")
        self._metric = mlflow.entities.Metric
        stored = _Stored(directory, "mlflow")
        try:
            self._client = mlflow.MlflowClient(tracking_uri=logger.tracking_uri)
            self._run = stored.get("run")
            if self._run is None:
                found = self._client.get_experiment_by_name(logger.experiment)
                experiment = (
                    self._client.create_experiment(logger.experiment)
                    if found is None
                    else found.experiment_id
                )
                run = self._client.create_run(experiment, run_name=logger.name or directory.name)
                self._run = run.info.run_id
                self._client.log_dict(self._run, dict(config), "config.json")
            else:
                self._client.update_run(self._run, status="RUNNING")
        except Exception as error:
            raise InputError(f"MLflow cannot start: {_first_line(error)}.") from error
        stored.set("run", self._run)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        rows = [
            self._metric(_mlflow_name(name), value, int(time.time() * 1000), step)
            for name, value in values.items()
        ]
        self._try(lambda: self._client.log_batch(self._run, metrics=rows))

    def image(self, step: int, name: str, rgb: np.ndarray) -> None:
        file = f"{name}/step_{step:07d}.png"
        self._try(lambda: self._client.log_image(self._run, rgb, file))

    def _try(self, send: Any) -> None:
        try:
            send()
        except Exception as error:
            raise LogLost(f"MLflow: {_first_line(error)}") from error

    def close(self) -> None:
        self._try(lambda: self._client.set_terminated(self._run))


class _Stored:
    """Ids of the run on logging servers, stored in `loggers.json` of the run directory."""

    def __init__(self, directory: Path, logger: str) -> None:
        self._file, self._logger = directory / "loggers.json", logger

    def _all(self) -> dict[str, dict[str, str]]:
        try:
            return json.loads(self._file.read_text()) if self._file.exists() else {}
        except ValueError:
            return {}

    def get(self, name: str) -> str | None:
        return self._all().get(self._logger, {}).get(name)

    def set(self, name: str, value: str) -> None:
        everything = self._all()
        everything.setdefault(self._logger, {})[name] = value
        atomic_write(self._file, json.dumps(everything) + "\n")


def open_all(
    loggers: Sequence[Logger], directory: Path, start_step: int, config: Mapping[str, Any]
) -> list[LogWriter]:
    """Open the logs of a run."""
    return [logger.open(directory, start_step, config) for logger in loggers]


def _package(name: str, extra: str, title: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f'The {title} logger needs the package {name}: pip install "jaxpose[{extra}]", or '
            "remove it from `loggers`."
        ) from error


def _mlflow_name(name: str) -> str:
    """Convert a figure's name to one that MLflow accepts: `train/loss/L1` to `train/loss.L1`.

    MLflow's names may contain only letters, digits and `_-. :/`. Its file store makes folders of
    the parts between slashes, so a name must not be the folder of another name.
    """
    kind, slash, rest = name.partition("/")
    known = "".join(c if c.isalnum() or c in "_-. :/" else "_" for c in rest)
    return kind + slash + known.replace("/", ".")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
