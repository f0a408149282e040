"""A run directory: what it holds, how it is begun, resumed and read.

`config.json` (experiment, versions, git revision, the data's fingerprint), `checkpoints/`,
`metrics.jsonl`, TensorBoard's event files and `report.json`. Everything is rebuilt from there
without the recipe.
"""

import importlib.metadata
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax

import jaxpose
from jaxpose.config import differences, from_json, to_json
from jaxpose.errors import InputError
from jaxpose.models.build import abstract_variables
from jaxpose.paths import as_path, atomic_write, check_reachable
from jaxpose.train import distributed
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.experiment import Experiment

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
# Keys that may change on resume: they steer reporting, or where the numbers are computed.
MAY_CHANGE = (
    *("log_every", "evaluation.every", "evaluation.examples", "evaluation.batch_size"),
    *("mesh.", "on_nonfinite", "more_evaluations", "loggers"),
)


@dataclass(frozen=True)
class Run:
    """A trained model read from a run directory, ready to evaluate or predict with."""

    directory: Path
    experiment: Experiment
    variables: dict[str, Any]
    step: int
    record: dict[str, Any]


def begin(directory: Path, experiment: Experiment, data: dict[str, str]) -> dict[str, Any]:
    """Write `config.json` of a new run, or check that a begun one is the same experiment.

    Of several processes the first writes.

    Args:
      directory: the run directory; made if absent.
      experiment: what is to be trained.
      data: fingerprint of each data set by its role.

    Raises:
      InputError: the directory holds another experiment or was trained on other data (each
        difference is listed), or cannot be written.
    """
    record = {
        "experiment": to_json(experiment),
        "data": data,
        "versions": {"jaxpose": jaxpose.__version__}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "git_revision": git_revision(),
    }
    file = directory / "config.json"
    check_reachable(directory)
    begun = file.exists()
    distributed.barrier("looked for config.json")
    if begun:
        stored = read_record(directory)
        changed = [
            line
            # Through the experiment: what an earlier version did not know has its default.
            for line in differences(to_json(from_json(stored["experiment"])), record["experiment"])
            if not line.startswith(MAY_CHANGE)
        ]
        if changed:
            raise InputError(
                f"{directory} holds a run of another experiment. Changed since it began:\n  "
                + "\n  ".join(changed)
                + "\nUse another --workdir for the new experiment, or undo the changes to resume."
            )
        if stored["data"] != data:
            lines = "\n  ".join(differences(stored["data"], data))
            raise InputError(
                f"The data is not what {directory} was trained on (fingerprints differ):\n  {lines}"
                "\nPrepare it again as it was, or use another --workdir."
            )
        return stored
    if not distributed.is_first():
        return record
    try:
        directory.mkdir(parents=True, exist_ok=True)
        atomic_write(file, json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"Cannot write to the run directory {directory}: {error}.") from error
    return record


def read_record(directory: Path) -> dict[str, Any]:
    """The content of a run's `config.json`.

    Raises:
      InputError: the directory is not a run, or the file is damaged.
    """
    check_reachable(directory)
    file = directory / "config.json"
    if not file.is_file():
        raise InputError(
            f"{directory} is not a run directory: it has no config.json. "
            "`jaxpose train RECIPE --workdir DIR` makes one."
        )
    try:
        record = json.loads(file.read_text())
        record["experiment"], record["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file} is damaged ({error}).") from error
    return record


def open_checkpoints(directory: Path, experiment: Experiment, read_only: bool) -> Checkpoints:
    """The checkpoints of a run directory."""
    evaluation = experiment.evaluation
    return Checkpoints(
        directory / "checkpoints",
        evaluation.best,
        read_only,
        lower_is_better=evaluation.lower_is_better,
    )


def load_run(directory: str | Path, which: Literal["best", "last"] = "best") -> Run:
    """The trained model of a run directory (the averaged parameters where the run kept them).

    Args:
      directory: what `jaxpose train --workdir` wrote.
      which: the checkpoint with the best held-out score, or the newest.

    Raises:
      InputError: not a run, no checkpoint yet, or a configuration this version cannot rebuild.
    """
    directory = as_path(directory)
    record = read_record(directory)
    experiment = from_json(record["experiment"])
    if not (directory / "checkpoints").is_dir():
        raise InputError(f"{directory} has no checkpoint yet: train it first.")
    checkpoints = open_checkpoints(directory, experiment, read_only=True)
    step = checkpoints.best_step() if which == "best" else checkpoints.latest_step()
    if step is None:
        raise InputError(f"{directory} has no whole checkpoint yet: train it further.")
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device),
        abstract_variables(experiment.model, experiment.input_hw),
    )
    variables = checkpoints.restore_variables(like, experiment.ema_decay is not None, step)
    checkpoints.close()
    return Run(directory, experiment, variables, step, record)


def git_revision() -> str | None:
    """The commit of the checkout this package runs from, with `+` if it has changes."""
    root = Path(jaxpose.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
