"""Variables before the first step, for tasks whose model is one network."""

from typing import Any

from jaxpose.convert import load_pretrained
from jaxpose.tasks.task import Variables, Weights


def from_init(experiment: Any, fresh: Variables, weights: Weights) -> Variables:
    """Replace fresh variables by those of the experiment's `init_from`, if it is set.

    Raises:
      InputError: an error of `convert.load_pretrained`.
    """
    if experiment.init_from is None:
        return fresh
    return load_pretrained(
        experiment.model,
        weights(experiment.init_from),
        variables=fresh,
        reset_head=experiment.reset_head,
    )
