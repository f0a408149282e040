"""Run directory of a training run: beginning, resuming and reading.

It contains `config.json` (experiment, versions, git revision, fingerprint of the data), `recipe/`
(source code of the recipe), `checkpoints/`, `metrics.jsonl`, TensorBoard's event files and
`report.json`. A run is rebuilt from these files, without the original recipe.
"""

import functools
import importlib.metadata
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp

import jaxpose
from jaxpose.config import classes_in, differences, from_json, to_json
from jaxpose.config.recipe_source import (
    FOLDER,
    RecipeSource,
    class_path,
    joined,
    source_of,
    stored_recipe,
)
from jaxpose.config.schema import SCHEMA, migrate, schema_of
from jaxpose.config.trust import classes_for, outside_paths, record_as_own
from jaxpose.errors import InputError, reason
from jaxpose.json_text import MAX_DEPTH, parse_json
from jaxpose.paths import as_path, atomic_write, check_reachable, in_bucket
from jaxpose.train import distributed
from jaxpose.train.checkpoint import Checkpoints
from jaxpose.train.code_on_resume import compare_code
from jaxpose.train.experiment import Experiment
from jaxpose.train.start_weights import Weights, abstract_trained, local_weights, merged, read_base

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
# Keys that may change on resume. They affect reporting, saving or the devices, not the results.
# The learning rate depends on `steps`; `Start.notes` reports that.
MAY_CHANGE = (
    *("steps", "log_every", "checkpoint_every"),
    *("evaluation.every", "evaluation.examples", "evaluation.batch_size"),
    *("mesh", "on_nonfinite", "more_evaluations", "loggers"),
    *("body", "loss.body"),  # the place of a body model's file, whose fingerprint must not change
)
# Files that `jaxpose train` and `jaxpose eval` write.
_WRITTEN = (
    *("config.json", "checkpoints", "metrics.jsonl", "report.json", "evaluations", "loggers.json"),
    *("predictions.png", "curves.png", "keypoint_errors.png", "worst.png"),
    *("train.csv", "eval.csv"),
)
_WRITTEN_TOO = (FOLDER, "eval", "events.out.*")


@dataclass(frozen=True)
class Run:
    """Trained model from a run directory, ready for evaluation or prediction."""

    directory: Path
    experiment: Experiment
    variables: dict[str, Any]
    step: int
    record: dict[str, Any]
    recipe: RecipeSource | None = None


@dataclass
class Start:
    """Start of a new run, or of a resumed one, before any file is written.

    Attributes:
      directory: the run directory.
      experiment: the experiment to train.
      record: the new content of `config.json`.
      recipe: the source code to store; None if there is none.
      before: the experiment at the beginning of the run; None for a new run, or if only classes of
        the recipe could rebuild it.
      changed: the keys that changed since then, as `key: old -> new`.
      remarks: lines to print on changes of the recipe's source code.
      differs: whether a stored `config.json` must be written again.
    """

    directory: Path
    experiment: Experiment
    record: dict[str, Any]
    recipe: RecipeSource | None
    resumes: bool = False
    before: Experiment | None = None
    changed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    differs: bool = True
    _made: bool = False
    _new_folder: bool = False

    def write(self, step: int = 0) -> None:
        """Write `config.json` and the recipe's source; called after all checks have passed.

        Of several processes, only the first writes.

        Args:
          step: the step from which the run continues.

        Raises:
          InputError: the directory cannot be written.
        """
        self._made = True
        record_as_own(self.record["experiment"], self.recipe, self.directory)
        if not distributed.is_first() or not self.differs:
            return
        if self.changed:
            past = {"step": step, "changed": list(self.changed)}
            self.record["changes"] = [*self.record.get("changes", []), past]
        with _writing(self.directory):
            if self.recipe is not None:
                self.recipe.write(self.directory)
            text = json.dumps(self.record, indent=1) + "\n"
            atomic_write(self.directory / "config.json", text)

    def make_folder(self) -> None:
        """Create the run directory, so that a path that cannot be written fails early.

        Raises:
          InputError: the directory cannot be written.
        """
        if distributed.is_first() and not self.directory.exists():
            with _writing(self.directory):
                self.directory.mkdir(parents=True)
            self._new_folder = True

    def notes(self, step: int) -> list[str]:
        """Lines to print on changes since the run began, and on their effect on its result.

        Args:
          step: the step from which the run continues.
        """
        lines = [*self.remarks]
        if self.changed:
            lines.append("Changed since the run began: " + "; ".join(self.changed) + ".")
        if step and self.before and self.before.steps != self.experiment.steps:
            lines.append(_on_length(self.before, self.experiment, step))
        return lines

    def abandon(self) -> None:
        """Remove the empty folders of a new run that failed to start."""
        if self._made or self.resumes or in_bucket(self.directory) or not distributed.is_first():
            return
        with suppress(OSError):
            (self.directory / "checkpoints").rmdir()
        with suppress(OSError):
            if self._new_folder:
                self.directory.rmdir()


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(
            f"Cannot write to the run directory {directory}: {reason(error)}."
        ) from error


def begin(
    directory: Path,
    experiment: Experiment,
    data: dict[str, str],
    recipe: RecipeSource | None = None,
    *,
    overwrite: bool = False,
) -> Start:
    """Check that a run can begin in `directory`, or that the run there has the same experiment.

    Writes no files; `Start.write` does.

    Args:
      directory: the run directory; it need not exist.
      experiment: the experiment to train.
      data: fingerprint of each dataset by its role.
      recipe: the source code of the recipe; that of classes in the experiment is added.
      overwrite: begin a new run, even if the directory has one.

    Raises:
      InputError: the run in the directory has another experiment, other data or other code (each
        difference is listed); the directory cannot be reached; a class cannot be found again.
    """
    sources = [recipe] if recipe else []
    for cls in classes_in(experiment):
        source = source_of(cls)
        if source is not None and source not in sources:
            sources.append(source)
    recipe = joined(sources)
    record = {
        "schema": SCHEMA,
        "experiment": to_json(experiment),
        "data": data,
        "recipe": recipe.to_json() if recipe else None,
        "versions": {"jaxpose": jaxpose.__version__}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "git_revision": git_revision(),
        "random_numbers": str(jax.random.key_impl(jax.random.key(0))),
    }
    check_reachable(directory)
    begun = not overwrite and (directory / "config.json").exists()
    distributed.barrier("checked for config.json")
    if not begun:
        return Start(directory, experiment, record, recipe)
    return _resumed(directory, record, experiment, recipe)


def _resumed(
    directory: Path, record: dict[str, Any], experiment: Experiment, recipe: RecipeSource | None
) -> Start:
    raw = _read(directory)
    stored = _migrated(raw, directory)
    # Classes of the given recipe: no code in the directory is run.
    classes = {class_path(cls): cls for cls in classes_in(experiment)}
    before: Experiment | None
    try:
        before = from_json(stored["experiment"], classes=classes.get)
        # Through the experiment: fields that an earlier version did not have get their defaults.
        old = to_json(before)
    except InputError:
        before, old = None, stored["experiment"]
    changed = list(differences(old, record["experiment"]))
    fixed = [line for line in changed if not _may_change(line.partition(":")[0])]
    if fixed:
        raise InputError(
            f"{directory} has a run of another experiment. Changed since it began:\n  "
            + "\n  ".join(fixed)
            + "\nUse another --workdir for the new experiment, undo the changes to resume, or "
            "begin a new run there with --overwrite."
        )
    if stored["data"] != record["data"]:
        lines = "\n  ".join(differences(stored["data"], record["data"]))
        raise InputError(
            f"The data differs from the data that {directory} was trained on (fingerprints differ):"
            f"\n  {lines}\nPrepare it again with the same settings, or use another --workdir."
        )
    generator = stored.get("random_numbers", "threefry2x32")
    if generator != record["random_numbers"]:
        raise InputError(
            f"{directory} was begun with random numbers by {generator!r}; these would be by "
            f"{record['random_numbers']!r}. Set JAX_DEFAULT_PRNG_IMPL={generator} to resume it."
        )
    remarks = compare_code(directory, stored, experiment, recipe)
    if recipe is None:
        recipe = _stored_recipe(directory, stored)
        record["recipe"] = stored.get("recipe")
    kept = {key: stored[key] for key in ("data", "versions", "git_revision") if key in stored}
    record = stored | record | kept
    return Start(
        directory,
        experiment,
        record,
        recipe,
        resumes=True,
        before=before,
        changed=tuple(changed),
        remarks=tuple(remarks),
        differs=record != raw,
    )


def _may_change(key: str) -> bool:
    return any(key == free or key.startswith(f"{free}.") for free in MAY_CHANGE)


def _on_length(before: Experiment, now: Experiment, step: int) -> str:
    """Describe the effect of another number of steps on the learning rates."""
    rates = [getattr(e.optimizer, "learning_rates", None) for e in (before, now)]
    if rates[0] is None or rates[1] is None:
        return f"The run is now {now.steps} steps long; it began with {before.steps}."
    old, new = rates[0](before.steps), rates[1](now.steps)
    past = jnp.arange(step)
    if bool((jax.vmap(old)(past) == jax.vmap(new)(past)).all()):
        return (
            "The learning rates of the steps so far do not depend on `steps`: the result is that "
            f"of a run that began with {now.steps} steps."
        )
    return (
        f"The learning rate now follows the schedule of {now.steps} steps: {float(new(step)):.3g} "
        f"in step {step + 1}. So far it followed that of {before.steps}, and was "
        f"{float(old(step - 1)):.3g} in step {step}. The result is not that of a run that began "
        f"with {now.steps} steps."
    )


def clear(directory: Path) -> None:
    """Remove the files that training and evaluation wrote into a run directory, and no others.

    Raises:
      InputError: a file cannot be removed.
    """
    if not distributed.is_first() or not directory.is_dir():
        return
    found = [directory / name for name in _WRITTEN]
    found += [path for pattern in _WRITTEN_TOO for path in directory.glob(pattern)]
    try:
        for path in found:
            if in_bucket(path):
                path.rmtree() if path.is_dir() else path.unlink(missing_ok=True)  # type: ignore
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{error.filename or directory} cannot be removed: {error}.") from error


def read_record(directory: Path) -> dict[str, Any]:
    """Read a run's `config.json`, converted to the current schema.

    Raises:
      InputError: the directory is not a run, or the file is damaged or has a newer schema.
    """
    return _migrated(_read(directory), directory)


def _read(directory: Path) -> dict[str, Any]:
    check_reachable(directory)
    file = directory / "config.json"
    if not file.is_file():
        if not directory.exists():
            raise InputError(f"{directory} does not exist.")
        raise InputError(
            f"{directory} is not a run directory: it has no config.json. "
            "`jaxpose train RECIPE --workdir DIR` makes one."
        )
    try:
        record: dict[str, Any] = parse_json(file.read_text(), MAX_DEPTH)
    except ValueError as error:
        raise InputError(f"{file} is damaged ({error}).") from error
    keys = record.keys() if isinstance(record, dict) else set()
    if str(record["format"] if "format" in keys else "").startswith("jaxpose"):
        if not (directory / "model.safetensors").is_file():
            raise InputError(f"{directory} is a release without its model.safetensors. Copy both.")
        raise InputError(
            f"{directory} is a release, not a run: it has no held-out data and no checkpoints to "
            "train further. Give the run directory, as in `jaxpose eval RUN`."
        )
    if not {"experiment", "data"} & keys:
        raise InputError(f"{file} is not the config.json of a run.")
    if absent := sorted({"experiment", "data"} - keys):
        raise InputError(f"{file} is damaged: it has no entry {absent[0]!r}.")
    return record


def _migrated(record: dict[str, Any], directory: Path) -> dict[str, Any]:
    schema = schema_of(record, directory / "config.json")
    return record | {"schema": SCHEMA, "experiment": migrate(record["experiment"], schema)}


def _stored_recipe(directory: Path, record: dict[str, Any]) -> RecipeSource | None:
    return stored_recipe(record.get("recipe"), directory / FOLDER, directory / "config.json")


def open_checkpoints(directory: Path, experiment: Experiment, read_only: bool) -> Checkpoints:
    """Open the checkpoints of a run directory."""
    evaluation = experiment.evaluation
    return Checkpoints(
        directory / "checkpoints",
        evaluation.best,
        read_only,
        lower_is_better=evaluation.lower_is_better,
    )


def load_run(
    directory: str | Path,
    which: Literal["best", "last"] = "best",
    *,
    trust_recipe: bool = False,
    weights: Weights = local_weights,
) -> Run:
    """Load the trained model of a run directory, with averaged parameters if the run kept them.

    Low-rank terms are added to the weights that they were trained for.

    Args:
      directory: a directory that `jaxpose train --workdir` wrote.
      which: "best" for the checkpoint with the best held-out score, "last" for the newest.
      trust_recipe: run the code of the recipe, or of a package, that the run needs even if it was
        not written on this machine by this user (see `config.trust`).
      weights: reads the weights that a run of low-rank terms began with.

    Raises:
      InputError: the directory is not a run or has no checkpoint yet; code must not or cannot be
        run; this version cannot rebuild the configuration; the weights that a run of low-rank terms
        began with are absent or others.
    """
    directory = as_path(directory)
    record, experiment, recipe = rebuild(directory, trust_recipe)
    if not (directory / "checkpoints").is_dir():
        raise InputError(f"{directory} has no checkpoint yet: train it first.")
    checkpoints = open_checkpoints(directory, experiment, read_only=True)
    step = checkpoints.best_step() if which == "best" else checkpoints.latest_step()
    if step is None:
        raise InputError(f"{directory} has no complete checkpoint yet: train it further.")
    device = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(  # type: ignore[no-untyped-call]
            x.shape, x.dtype, sharding=device
        ),
        abstract_trained(experiment),
    )
    variables = checkpoints.restore_variables(like, experiment.ema_decay is not None, step)
    position = checkpoints.position(step) if experiment.lora.rank else {}
    checkpoints.close()
    if experiment.lora.rank:
        variables = merged(experiment, read_base(experiment, weights, position), variables)
    return Run(directory, experiment, variables, step, record, recipe)


def rebuild(
    directory: Path, trust_recipe: bool = False
) -> tuple[dict[str, Any], Experiment, RecipeSource | None]:
    """Read a run's record, its experiment, and the recipe's source if it defines classes of it.

    Args:
      directory: the run directory.
      trust_recipe: see `load_run`.

    Raises:
      InputError: the directory is not a run; code must not or cannot be run; this version cannot
        rebuild the configuration.
    """
    raw = _read(directory)
    record = _migrated(raw, directory)

    @functools.cache  # read once: the checked source is the one that is run and returned
    def source() -> RecipeSource | None:
        return _stored_recipe(directory, record)

    # The experiment as in the file, because that is recorded as trusted.
    classes = classes_for(raw["experiment"], source, directory, trust_recipe)
    experiment = from_json(record["experiment"], classes=classes)
    return record, experiment, source() if outside_paths(record["experiment"]) else None


def git_revision() -> str | None:
    """Commit of the checkout this package runs from, with `+` if it has changes."""
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
