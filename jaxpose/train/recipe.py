"""Recipes: Python files that build an experiment."""

from jaxpose import deprecations
from jaxpose.config.recipe_source import RecipeSource, read_recipe
from jaxpose.config.scripts import find_script
from jaxpose.errors import InputError
from jaxpose.train.experiment import Experiment


def load_recipe(path: str) -> Experiment:
    """The experiment of a recipe: a path to a .py file, or the bare name of a shipped recipe.

    Raises:
      InputError: no such file or recipe, or the file has no `get_config`.
    """
    return open_recipe(path)[0]


def open_recipe(path: str) -> tuple[Experiment, RecipeSource]:
    """The experiment of a recipe, and the source that a run keeps of it.

    Files beside the recipe can be imported by their name, see `config.recipe_source`.

    Raises:
      InputError: as `load_recipe`.
    """
    file = find_script(path, "configs")
    if file.suffix != ".py":
        raise InputError(f"{file} is not a Python file.")
    source = read_recipe(file)
    with deprecations.shown():
        module = source.module()
        if not hasattr(module, "get_config"):
            raise InputError(
                f"{file} has no get_config(); a recipe defines one that returns an experiment, "
                "such as a TopDownExperiment."
            )
        experiment = module.get_config()
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"get_config() in {file} returned {type(experiment).__name__}, not an experiment."
        )
    return experiment, source
