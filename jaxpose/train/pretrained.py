"""The weights a run starts from: those of a published or an earlier model, or fresh ones."""

from typing import Any

from jaxpose.config import AnyExperiment, Experiment
from jaxpose.convert import load_pretrained
from jaxpose.models.distill import Distilled


def with_pretrained(experiment: AnyExperiment, variables: dict[str, Any]) -> dict[str, Any]:
    """`variables` with what `init_from` and `teacher_from` name put in.

    Args:
      variables: freshly initialised variables of `experiment.model`.

    Raises:
      InputError: as `convert.load_pretrained`.
    """
    model, start = experiment.model, experiment.init_from
    if not isinstance(model, Distilled):
        if start is None:
            return variables
        return load_pretrained(model, start, variables=variables, reset_head=experiment.reset_head)
    assert isinstance(experiment, Experiment) and experiment.teacher_from is not None
    parts = {"teacher": load_pretrained(model.teacher, experiment.teacher_from)}
    if start is not None:
        fresh = {kind: tree.get("student", {}) for kind, tree in variables.items()}
        parts["student"] = load_pretrained(
            model.student, start, variables=fresh, reset_head=experiment.reset_head
        )
    return {
        kind: tree | {name: part[kind] for name, part in parts.items() if name in tree}
        for kind, tree in variables.items()
    }
