"""Recipes: Python files that build an experiment."""

from jaxpose.config.scripts import find_script, load_script
from jaxpose.errors import InputError
from jaxpose.train.experiment import Experiment


def load_recipe(path: str) -> Experiment:
    """The experiment of a recipe: a path to a .py file, or the bare name of a shipped recipe.

    Raises:
      InputError: no such file or recipe, or the file has no `get_config`.
    """
    file = find_script(path, "configs")
    module = load_script(file)
    if not hasattr(module, "get_config"):
        raise InputError(
            f"{file} has no get_config(); a recipe defines one that returns an experiment, such as "
            "a TopDownExperiment."
        )
    experiment = module.get_config()
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"get_config() in {file} returned {type(experiment).__name__}, not an experiment."
        )
    return experiment
