"""Identification of a published classifier of actions by its weights."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxpose.convert.formats import detect
from jaxpose.convert.load import expected_leaves, has_table, plan_for, recognise
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.rules import assemble, mismatch, nest
from jaxpose.errors import InputError, nearest
from jaxpose.models.actions.action_model import ActionModel, VolumeModel
from jaxpose.models.published.catalogue import ACTION_MODELS
from jaxpose.models.published.record import PublishedAction

_CLASSES = "params/head/linear/bias"


class RecognisedAction(NamedTuple):
    """Published classifier of actions with its weights."""

    entry: PublishedAction
    model: ActionModel | VolumeModel
    variables: dict


def is_action_model(state_dict: Mapping[str, np.ndarray]) -> bool:
    """True if the names of arrays are those of a classifier of actions of another project.

    Raises:
      InputError: the names belong to no known format.
    """
    return detect(state_dict).purpose == "actions"


def recognise_action(
    state_dict: Mapping[str, np.ndarray], name: str | None = None
) -> RecognisedAction:
    """Find the published classifier that uses every array, and fill it with them.

    The number of classes is read from the shape of the head.

    Args:
      state_dict: `{key: array}` in PyTorch's layouts (see `jaxpose.convert.load_state_dict`).
      name: the one model to try; None tries all.

    Raises:
      InputError: no such name; or no model fits, and the message lists the differences from the
        nearest one.
    """
    source, state_dict = recognise(state_dict)
    known = [entry.name for entry in ACTION_MODELS]
    if name is not None and name not in known:
        raise InputError(
            f"{name} is no classifier of actions, and these are weights of one "
            f"({source.name}).{nearest(name, known)} Known: {', '.join(known)}."
        )
    misfits: list[tuple[int, str, Mismatch]] = []
    for entry in ACTION_MODELS:
        if name not in (None, entry.name) or not has_table(source, entry.model()):
            continue
        model = entry.model()
        plan = plan_for(source, state_dict, model)
        classes = plan.shapes.get(_CLASSES, (entry.num_classes,))[0]
        if classes != entry.num_classes:
            model = entry.make(classes)
            plan = plan_for(source, state_dict, model)
        if plan.fits:
            variables = nest(assemble(plan, expected_leaves(model)))
            return RecognisedAction(entry, model, variables)
        misfits.append((plan.faults, entry.name, mismatch(plan)))
    if not misfits:
        raise InputError(
            f"The checkpoint's names are those of {source.name}, and {name} has no table for them."
        )
    _, closest, difference = min(misfits, key=lambda misfit: misfit[0])
    raise difference.about(f"No known classifier of actions fits; the nearest is {closest}. ")
