"""The weights a run starts from: those of a published or an earlier model, or fresh ones."""

from typing import Any

import numpy as np

from jaxpose.config import AnyExperiment, Experiment
from jaxpose.convert import load_pretrained, load_state_dict
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.distill import Distilled
from jaxpose.places import in_bucket, on_disk, place

Variables = dict[str, Any]


def with_pretrained(experiment: AnyExperiment, variables: Variables) -> Variables:
    """`variables` with what `init_from`, `teacher_from` and `knowledge_from` name put in.

    Args:
      variables: freshly initialised variables of `experiment.model`.

    Raises:
      InputError: as `convert.load_pretrained`; a file without a knowledge token of this width.
    """
    model = experiment.model
    if isinstance(model, Distilled):
        assert isinstance(experiment, Experiment)
        variables = _distilled(experiment, model, variables)
    elif experiment.init_from is not None:
        variables = _started(model, experiment.init_from, variables, experiment.reset_head)
    if isinstance(experiment, Experiment) and experiment.knowledge_from is not None:
        backbone = variables["params"]["backbone"]
        backbone["knowledge_token"] = _token(experiment.knowledge_from, backbone)
    return variables


def _distilled(experiment: Experiment, model: Distilled, variables: Variables) -> Variables:
    assert experiment.teacher_from is not None  # checked by Experiment
    parts = {"teacher": load_pretrained(model.teacher, experiment.teacher_from)}
    if experiment.init_from is not None:
        fresh = {kind: tree.get("student", {}) for kind, tree in variables.items()}
        parts["student"] = _started(
            model.student, experiment.init_from, fresh, experiment.reset_head
        )
    return {
        kind: tree | {name: part[kind] for name, part in parts.items() if name in tree}
        for kind, tree in variables.items()
    }


def _started(model: Any, start: str, variables: Variables, reset_head: bool) -> Variables:
    """The weights at `start`; a knowledge token that they lack stays fresh."""
    if in_bucket(start):
        with on_disk(place(start)) as copy:
            return _started(model, str(copy), variables, reset_head)
    if not getattr(getattr(model, "backbone", None), "knowledge_token", 0):
        return load_pretrained(model, start, variables=variables, reset_head=reset_head)
    state_dict = load_state_dict(start)
    if _TOKEN in state_dict:
        return load_pretrained(model, state_dict, variables=variables, reset_head=reset_head)
    backbone = variables["params"]["backbone"]
    added = {name: leaf for name, leaf in backbone.items() if name.startswith("knowledge_")}
    rest = {name: leaf for name, leaf in backbone.items() if name not in added}
    plain = PoseModel(model.backbone.clone(knowledge_token=0), model.head)
    fresh = variables | {"params": variables["params"] | {"backbone": rest}}
    loaded = load_pretrained(plain, state_dict, variables=fresh, reset_head=reset_head)
    loaded["params"]["backbone"] |= added
    return loaded


_TOKEN = "params/backbone/knowledge_token"


def _token(path: str, backbone: dict[str, Any]) -> np.ndarray:
    state_dict = load_state_dict(path)
    if _TOKEN not in state_dict:
        raise InputError(
            f"{path} has no knowledge token. Train one first: the teacher with knowledge_token set "
            "and all else frozen, then `jaxpose convert` that run."
        )
    token, wanted = state_dict[_TOKEN], backbone["knowledge_token"].shape
    if token.shape != wanted:
        raise InputError(
            f"The knowledge token of {path} has {token.size} values and the model's {wanted[0]}: "
            f"set model.backbone.knowledge_token={token.size}."
        )
    return token
