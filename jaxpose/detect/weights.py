"""Identification of a published detector by its weights."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxpose.convert.formats import detect
from jaxpose.convert.load import expected_leaves, has_table, plan_for, recognise
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.rules import assemble, mismatch, nest
from jaxpose.errors import InputError, nearest
from jaxpose.models.detection import DetectionModel, RTMDetHead
from jaxpose.models.published.catalogue import DETECTORS
from jaxpose.models.published.record import PublishedDetector

_NECK = "params/neck/"
_CLASSES = "params/head/class_0/kernel"
# Leaves of the heads of pose models with a neck: one-stage models, and RTMW.
_KEYPOINTS = ("params/head/visible_0/kernel", "params/head/coarse_tokens/kernel")
# Models whose size differs by at least this logarithm of the ratio are not tried.
_FAR = math.log(2)


class Recognised(NamedTuple):
    """Published detector with its weights."""

    entry: PublishedDetector
    model: DetectionModel
    variables: dict


def is_detector(state_dict: Mapping[str, np.ndarray]) -> bool:
    """True if the names of arrays are a detector's: it has a neck, and no head for keypoints.

    Args:
      state_dict: `{key: array}` in PyTorch's layouts, such as `[out, in, h, w]`, or in ours.

    Raises:
      InputError: the names belong to no known format.
    """
    source = detect(state_dict)
    return source.purpose == "detection" or (
        source.own
        and not any(key in state_dict for key in _KEYPOINTS)
        and any(key.startswith(_NECK) for key in state_dict)
    )


def recognise_detector(state_dict: Mapping[str, np.ndarray], name: str | None = None) -> Recognised:
    """Finds the published detector that uses every array of `state_dict`, and fills it with them.

    The number of classes is read from the shape of the head, and so is whether batch norms are
    folded.

    Args:
      state_dict: `{key: array}` in PyTorch's layouts, such as `[out, in, h, w]`, or in ours (see
        `jaxpose.convert.load_state_dict`).
      name: the one detector to try; None tries all.

    Raises:
      InputError: no detector fits; the message lists the differences from the nearest one.
    """
    source, state_dict = recognise(state_dict)
    known = ", ".join(entry.name for entry in DETECTORS)
    if name is not None and not any(entry.name == name for entry in DETECTORS):
        near = nearest(name, [entry.name for entry in DETECTORS])
        raise InputError(f"There is no detector {name!r}.{near} Known: {known}.")
    tried = [entry for entry in DETECTORS if name in (None, entry.name)]
    entries = [entry for entry in tried if has_table(source, entry.model())]
    if not entries:
        raise InputError(
            f"These are {source.name} weights, not weights of a detector. Known detectors: {known}."
        )
    millions = max(sum(array.size for array in state_dict.values()) / 1e6, 1e-6)
    distances = {e.name: abs(math.log((e.parameters or millions) / millions)) for e in entries}
    entries.sort(key=lambda entry: distances[entry.name])
    # If none fits, the nearest of each family gives the most useful error.
    close = {type(entry.model().head): entry.name for entry in reversed(entries)}.values()
    entries = [e for e in entries if distances[e.name] < _FAR or e.name in close]
    misfits: list[tuple[int, str, Mismatch]] = []
    for entry in entries:
        model = entry.model()
        plan = plan_for(source, state_dict, model)
        count = plan.shapes.get(_CLASSES, (entry.num_classes,))[-1]
        for variant in _variants(entry, count):
            if variant != model:
                plan = plan_for(source, state_dict, variant)
            if plan.fits:
                variables = nest(assemble(plan, expected_leaves(variant)))
                return Recognised(_named(entry, count), variant, variables)
            misfits.append((plan.faults, entry.name, mismatch(plan)))
    _, name, closest = min(misfits, key=lambda misfit: misfit[0])
    # The last line is advice on pose models and is dropped.
    what_differs = str(closest).rpartition("\n")[0]
    raise InputError(
        f"No published detector fits; {name} is the nearest. {what_differs}\n"
        f"Known detectors: {known}."
    )


def _variants(entry: PublishedDetector, num_classes: int) -> list[DetectionModel]:
    """Variants of the model: as published, and with the head's shared convolutions separated."""
    model = entry.make(num_classes)
    head = model.head
    if isinstance(head, RTMDetHead) and head.shared:
        return [model, model.clone(head=head.clone(shared=False))]
    return [model]


def _named(entry: PublishedDetector, num_classes: int) -> PublishedDetector:
    """Published entry of the same model with `num_classes` classes, or `entry` if there is none."""
    if entry.num_classes == num_classes:
        return entry
    model = entry.make(num_classes)
    same = (e for e in DETECTORS if e.num_classes == num_classes and e.make(num_classes) == model)
    return next(same, entry)
