"""Check that the parts of an experiment fit together, with sentences on the user's own classes."""

import traceback
from typing import Any

from jaxpose.config import classes_in
from jaxpose.errors import InputError, in_one_line, place_of
from jaxpose.train.experiment import Experiment


def check_parts(experiment: Experiment) -> None:
    """Run the task's `check`, and turn an error in a class from outside jaxpose into a sentence.

    Raises:
      InputError: parts do not fit together, or a class from outside jaxpose fails.
    """
    task = experiment.task()
    try:
        task.check()
    except InputError:
        raise
    except Exception as error:
        own = [cls for cls in (*classes_in(experiment), type(task)) if _is_own(cls)]
        if not own:
            raise
        raise InputError(
            f"{_culprit(error, own)} does not work in this experiment: {in_one_line(error)}."
        ) from error


def _is_own(cls: type) -> bool:
    return cls.__module__.partition(".")[0] != "jaxpose"


def _culprit(error: Exception, own: list[type]) -> str:
    """Name of the class whose code failed, or that lacks something, or of all candidates."""
    place, found = place_of(error), ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if place == f"{frame.f_code.co_filename}, line {line}":
            found = _owner(frame.f_locals, frame.f_code.co_qualname)
    if found:
        return found
    lacking = type(getattr(error, "obj", None))
    if lacking in own:
        return lacking.__name__
    named = [cls.__name__ for cls in own if cls.__name__ in str(error)]
    return named[0] if named else " or ".join(dict.fromkeys(cls.__name__ for cls in own))


def _owner(local: dict[str, Any], function: str) -> str:
    return type(local["self"]).__name__ if "self" in local else function
