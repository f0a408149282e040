"""Recipes: Python files that build an experiment."""

import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jaxpose import deprecations
from jaxpose.config.recipe_source import PACKAGE, RecipeSource, read_recipe
from jaxpose.config.scripts import find_script
from jaxpose.errors import InputError, in_one_line, nearest, nearest_argument, place_of
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
    with deprecations.shown(), _explained(file):
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


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Explain an unknown field or a name that cannot be imported, with its place in the recipe."""
    try:
        yield
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        hint = nearest_argument(error, _arguments(error))
        raise InputError(f"{place_of(error) or file}: {error}.{hint}") from error
    except ImportError as error:
        if not place_of(error):
            raise
        module = sys.modules.get(error.name or "")
        name = re.search(r"cannot import name '(\w+)'", str(error))
        hint = nearest(name[1], vars(module)) if name and module else ""
        text = str(error).partition(" (")[0]
        raise InputError(f"{place_of(error)}: {text}.{hint}") from error
    except Exception as error:
        # An error that the recipe's own line raised; one from within a package keeps its traceback.
        last = traceback.extract_tb(error.__traceback__)[-1]
        here = place_of(error) == f"{last.filename}, line {last.lineno}"
        if isinstance(error, InputError) or not here:
            raise
        raise InputError(in_one_line(error)) from error


def _arguments(error: TypeError) -> list[str]:
    """Arguments of the class or function of a loaded module that the text of an error names."""
    name = str(error).partition("()")[0].removesuffix(".__init__")
    arguments: list[str] = []
    for module in list(sys.modules.values()):
        if module.__name__.startswith(("jaxpose", PACKAGE)):
            with suppress(KeyError, TypeError, ValueError):  # no such name, or no signature
                arguments += inspect.signature(vars(module)[name]).parameters
    return arguments
