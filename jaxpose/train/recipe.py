"""Recipes: Python files that build an experiment."""

from jaxpose import deprecations
from jaxpose.config.recipe_source import RecipeSource, read_recipe
from jaxpose.config.scripts import find_script
from jaxpose.errors import InputError
from jaxpose.train.experiment import Experiment


def load_recipe(path: str) -> Experiment:
    """Read the experiment of a recipe: a path to a .py file, or the name of a shipped recipe.

    Raises:
      InputError: the file or recipe does not exist, or the file has no `get_config`.
    """
    return open_recipe(path)[0]


def open_recipe(path: str) -> tuple[Experiment, RecipeSource]:
    """Read the experiment of a recipe, and the recipe's source code, which a run stores.

    The recipe can import files in its folder by their name; see `config.recipe_source`.

    Raises:
      InputError: an error of `load_recipe`.
    """
    file = find_script(path, "configs")
    if file.suffix != ".py":
        raise InputError(f"{file} is not a Python file.")
    source = read_recipe(file)
    with deprecations.shown():
        module = source.module()
        if not hasattr(module, "get_config"):
            raise InputError(
                f"{file} has no get_config(); a recipe must define it and return an experiment, "
                "such as a TopDownExperiment."
            )
        experiment = module.get_config()
    if not isinstance(experiment, Experiment):
        raise InputError(
            f"get_config() in {file} returned {type(experiment).__name__}, not an experiment."
        )
    return experiment, source
