"""Option `--max-megapixels` of the commands that read images."""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

R = TypeVar("R")

_Limit = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Refuse images and frames with more megapixels than this before they are decoded. "
        "Default: 128.",
        show_default=False,
    ),
]


def limits_images(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--max-megapixels` to a command."""
    signature = inspect.signature(command)
    option = inspect.Parameter(
        "max_megapixels", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Limit
    )

    @functools.wraps(command)
    def limited(*args: Any, max_megapixels: float | None = None, **kwargs: Any) -> R:
        from jaxpose.media.image import LIMIT_VARIABLE

        if max_megapixels is not None:
            os.environ[LIMIT_VARIABLE] = str(max_megapixels)
        return command(*args, **kwargs)

    parameters = [*signature.parameters.values(), option]
    limited.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    limited.__annotations__ = {**command.__annotations__, "max_megapixels": _Limit}
    return limited
