"""Comparison of the code that a run began with and the code that it is to go on with."""

from pathlib import Path
from typing import Any

from jaxpose.config import classes_in, config_fields
from jaxpose.config.code_changes import changes_only_for
from jaxpose.config.recipe_source import FOLDER, RecipeSource, source_of, stored_recipe
from jaxpose.errors import InputError
from jaxpose.train.experiment import Experiment


def compare_code(
    directory: Path, stored: dict[str, Any], experiment: Experiment, recipe: RecipeSource | None
) -> list[str]:
    """Check that the code is that of the beginning; return remarks on harmless differences.

    The code of metrics and loggers may change, because it does not affect the training.

    Args:
      directory: the run directory.
      stored: the content of its `config.json`.
      experiment: the experiment to go on with.
      recipe: the source code of the experiment's classes; None if it has no own ones.

    Raises:
      InputError: the source of the experiment's classes changed, or is no longer stored.
    """
    if recipe is None or stored.get("recipe") == recipe.to_json():
        return []
    if not any(source_of(cls) for cls in classes_in(experiment)):
        return ["The recipe's file changed since the run began; the experiment is the same."]
    folder = directory / FOLDER
    source = stored_recipe(stored.get("recipe"), folder, directory / "config.json")
    old = source.definitions() if source else {}
    new = recipe.definitions()
    changed = [
        f"{file}: {name}"
        for file in sorted(old.keys() | new.keys())
        for name in sorted(old.get(file, {}).keys() | new.get(file, {}).keys())
        if old.get(file, {}).get(name) != new.get(file, {}).get(name)
    ]
    scored, others = _scoring_classes(experiment)
    harmless = changes_only_for(source, recipe, scored, others) if source and changed else []
    if harmless:
        return [
            f"The code of {', '.join(harmless)} changed since the run began. Only metrics or "
            "loggers use it, so the training goes on; earlier figures, also those that picked the "
            "best checkpoint so far, were computed with the old code."
        ]
    if changed:
        raise InputError(
            f"The recipe's code is not that of the run in {directory}. Changed since it began:"
            "\n  " + "\n  ".join(changed) + f"\nTo resume, restore it (a copy is in {folder}), or "
            f"train from that copy: `jaxpose train {folder / recipe.main} --workdir {directory}`. "
            "For the new code use another --workdir, or begin a new run with --overwrite."
        )
    return ["The recipe's file changed since the run began, but not its code; it is stored again."]


def _scoring_classes(experiment: Experiment) -> tuple[list[type], list[type]]:
    """Classes of the metrics and loggers of an experiment, and all other classes in it."""
    scored: list[type] = [*classes_in(experiment.loggers)]
    others: list[type] = [type(experiment)]
    for field in config_fields(experiment):
        if field.name not in ("evaluation", "more_evaluations", "loggers"):
            others += classes_in(getattr(experiment, field.name))
    for evaluation in (experiment.evaluation, *experiment.more_evaluations):
        others.append(type(evaluation))
        for field in config_fields(evaluation):
            of = scored if field.name == "metrics" else others
            of += classes_in(getattr(evaluation, field.name))
    return scored, others
