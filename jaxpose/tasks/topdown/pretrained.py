"""Initial weights of a run: those of a published or an earlier model, or random ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxpose.convert import load_pretrained
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.distillation import DistillationModel
from jaxpose.tasks.task import Variables, Weights

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment


def with_pretrained(
    experiment: "TopDownExperiment", variables: Variables, weights: Weights
) -> Variables:
    """Replace `variables` by the weights of `init_from`, `teacher_from` and `knowledge_from`.

    Args:
      variables: randomly initialised variables of `experiment.model`.
      weights: reads the weights with a given name.

    Raises:
      InputError: an error of `convert.load_pretrained`; a file has no knowledge token of this
        width.
    """
    model = experiment.model
    if isinstance(model, DistillationModel):
        variables = _distilled(experiment, model, variables, weights)
    elif experiment.init_from is not None:
        start = weights(experiment.init_from)
        variables = _started(model, start, variables, experiment)
    if experiment.knowledge_from is not None:
        backbone = variables["params"]["backbone"]
        token = _token(experiment.knowledge_from, weights, backbone)
        backbone["knowledge_token"] = token
    return variables


def _distilled(
    experiment: "TopDownExperiment",
    model: DistillationModel,
    variables: Variables,
    weights: Weights,
) -> Variables:
    assert experiment.teacher_from is not None  # checked by TopDownExperiment
    parts = {"teacher": load_pretrained(model.teacher, weights(experiment.teacher_from))}
    if experiment.init_from is not None:
        fresh = {kind: tree.get("student", {}) for kind, tree in variables.items()}
        start = weights(experiment.init_from)
        parts["student"] = _started(model.student, start, fresh, experiment)
    return {
        kind: tree | {name: part[kind] for name, part in parts.items() if name in tree}
        for kind, tree in variables.items()
    }


def _started(
    model: Any,
    state_dict: Mapping[str, np.ndarray],
    variables: Variables,
    experiment: "TopDownExperiment",
) -> Variables:
    """Load the variables of a state dict; a knowledge token that it lacks is not replaced."""
    rows = experiment.init_keypoints
    options: Any = {
        "reset_head": experiment.reset_head,
        "keypoints": rows and {row: start for row, start in enumerate(rows) if start >= 0},
    }
    width = getattr(getattr(model, "backbone", None), "knowledge_token", 0)
    if not width or _TOKEN in state_dict:
        return load_pretrained(model, state_dict, variables=variables, **options)
    backbone = variables["params"]["backbone"]
    added = {name: leaf for name, leaf in backbone.items() if name.startswith("knowledge_")}
    rest = {name: leaf for name, leaf in backbone.items() if name not in added}
    plain = PoseModel(model.backbone.clone(knowledge_token=0), model.head)
    fresh = variables | {"params": variables["params"] | {"backbone": rest}}
    loaded = load_pretrained(plain, state_dict, variables=fresh, **options)
    loaded["params"]["backbone"] |= added
    return loaded


_TOKEN = "params/backbone/knowledge_token"


def _token(path: str, weights: Weights, backbone: dict[str, Any]) -> np.ndarray:
    state_dict = weights(path)
    if _TOKEN not in state_dict:
        raise InputError(
            f"{path} has no knowledge token. Train one first: train the teacher with "
            "knowledge_token set and all other parameters frozen, then `jaxpose convert` that run."
        )
    token, wanted = state_dict[_TOKEN], backbone["knowledge_token"].shape
    if token.shape != wanted:
        raise InputError(
            f"The knowledge token of {path} has {token.size} values, the model's has {wanted[0]}: "
            f"set model.backbone.knowledge_token={token.size}."
        )
    return token
