"""Words that several commands take."""

import enum
from typing import Annotated

import typer


class Checkpoint(enum.StrEnum):
    """Which checkpoint of a run: the one with the best held-out score, or the newest."""

    BEST = "best"
    LAST = "last"


TrustRecipe = Annotated[
    bool,
    typer.Option(
        "--trust-recipe",
        help="Run the Python code that a model from elsewhere brings with it, or needs from an "
        "installed package. Only for models whose author you trust; those that you trained on this "
        "machine need no flag.",
    ),
]
