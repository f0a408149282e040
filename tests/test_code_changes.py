"""Changes of a recipe's code: those that only some classes use, and those that reach others."""

from pathlib import Path

import pytest

from jaxpose.config.code_changes import changes_only_for
from jaxpose.config.recipe_source import RecipeSource

RECIPE = '''"""A recipe."""
import math
from parts import length as size, spread

SCALE = 2.0
LIMIT = 3


def halved(value):
    return value / SCALE


class Median:
    """A metric."""

    def __call__(self, estimates):
        return halved(estimates) + spread(estimates) + math.floor(LIMIT)


class Squared:
    """A loss."""

    def __call__(self, outputs):
        return size(outputs) * SCALE


def get_config():
    return Median, Squared
'''
PARTS = """def length(x):
    return x


def spread(x):
    return 2 * x
"""


class Median:
    pass


class Squared:
    pass


def changed(old: str, new: str, file: str = "mine.py") -> list[str]:
    """Change the text of a file; the names that only the metric uses."""
    files = {"mine.py": RECIPE, "parts.py": PARTS}
    assert old in files[file]
    edited = files | {file: files[file].replace(old, new)}
    sources = [
        RecipeSource("mine.py", {name: text.encode() for name, text in f.items()}, Path("x"))
        for f in (files, edited)
    ]
    return changes_only_for(*sources, [Median], [Squared])


@pytest.mark.parametrize(
    ("old", "new", "file", "names"),
    [
        ("halved(estimates) +", "1 +", "mine.py", ["Median"]),
        ("return value / SCALE", "return value", "mine.py", ["halved"]),
        ("LIMIT = 3", "LIMIT = 4", "mine.py", ["LIMIT"]),
        ("2 * x", "3 * x", "parts.py", ["spread"]),
        ("import math", "import numpy as math", "mine.py", ["math"]),
        ("math.floor(LIMIT)", "new()\n\n\ndef new():\n    return 1", "mine.py", ["Median", "new"]),
    ],
)
def test_what_only_the_metric_uses_may_change(old, new, file, names):
    assert changed(old, new, file) == names


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        ("* SCALE", "* 3", "mine.py"),  # the loss
        ("SCALE = 2.0", "SCALE = 3.0", "mine.py"),  # a constant of both
        ("return x\n", "return -x\n", "parts.py"),  # a function under another name
        ("SCALE = 2.0", "SCALE = 2.0\nprint(SCALE)", "mine.py"),  # a statement
        ("LIMIT = 3", "LIMIT, other = 4, 5", "mine.py"),
        ("LIMIT = 3", "LIMIT = 3\nunused = 4", "mine.py"),
        ("import math", "from math import *", "mine.py"),
        ("import math", "import math\nSquared.__call__ = Median", "mine.py"),
        ("size(outputs)", "getattr(self, 'Median')", "mine.py"),
        ("size(outputs)", "self.experiment.evaluation", "mine.py"),
    ],
)
def test_what_can_reach_the_loss_may_not(old, new, file):
    assert changed(old, new, file) == []


def test_a_loss_that_could_reach_the_metrics_keeps_all_code_fixed():
    whole = RECIPE.replace("size(outputs)", "self.evaluation")
    sources = [
        RecipeSource("mine.py", {"mine.py": text.encode(), "parts.py": PARTS.encode()}, Path("x"))
        for text in (whole, whole.replace("LIMIT = 3", "LIMIT = 4"))
    ]
    assert changes_only_for(*sources, [Median], [Squared]) == []
