"""Search for the published model of a checkpoint by its arrays."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import flax.linen as nn
import numpy as np

from jaxpose.convert.load import (
    LIFTER_ADVICE,
    expected_leaves,
    fit_backbone,
    has_table,
    no_pose_head,
    plan_for,
    recognise,
    table,
)
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.positions import read_positions
from jaxpose.convert.rules import Plan, mismatch
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.published.large_vit import sapiens2_record
from jaxpose.models.published.record import Keypointed, PublishedLifter, PublishedPose
from jaxpose.models.vit import ViT

# Image sizes of published pose models, for heads whose shapes depend on the size.
_SIZES = ((256, 192), (384, 288), (256, 256), (384, 384), (512, 512), (224, 224), (288, 384))
# Classes of ImageNet-1k and of the two editions of ImageNet-21k. Without these numbers, a linear
# layer of so many outputs could be mistaken for one of coordinates.
_IMAGENET = (1000, 21841, 21843)
# Image size of models that take no images.
_NO_IMAGE = (0, 0)
# Number of models that are compared array by array before the search ends.
_TRIES = 6


@dataclass(frozen=True)
class Identified:
    """Published model that takes every array of a checkpoint.

    Attributes:
      entry: record of the model.
      model: the model for the checkpoint's keypoints and images.
      num_keypoints: number of keypoints of the checkpoint.
      input_hw: height and width of its images; None for a lifter.
      size_read: True if the size was given or inferred from the arrays, False if it is only the
        published one.
    """

    entry: Keypointed
    model: PoseModel
    num_keypoints: int
    input_hw: tuple[int, int] | None
    size_read: bool = False


def identify(
    state_dict: Mapping[str, np.ndarray],
    entries: Sequence[Keypointed],
    num_keypoints: int | None = None,
    input_hw: tuple[int, int] | None = None,
) -> list[Identified]:
    """Find the entries that fit a checkpoint, with its keypoints and its image size.

    The number of keypoints is inferred from the head, the image size from a position embedding or
    from a head whose shapes depend on it. Several entries fit if they are then the same model; the
    one that was published with these keypoints and this size is first.

    Args:
      state_dict: arrays from `load_state_dict`.
      entries: records to try.
      num_keypoints: accept only heads of this many keypoints; None accepts any.
      input_hw: image size that the checkpoint was trained at, in pixels; None accepts any.

    Raises:
      InputError: no entry fits (the message has the faults of the nearest), or the checkpoint has
        no pose head.
    """
    source, state_dict = recognise(state_dict)
    if source.only_backbone:
        raise InputError(
            f"{no_pose_head(source, state_dict)} Any model with that backbone can start from it: "
            "name one, and initialise its head (--model NAME --reset-head)."
        )
    classifier = state_dict.get("head.fc.weight")
    if classifier is not None and len(classifier) in _IMAGENET:
        raise InputError(
            f"These weights have a classifier of {len(classifier)} classes, as for ImageNet: a "
            "backbone without a pose head. Any model with that backbone can start from it: name "
            "one, and initialise its head (--model NAME --reset-head)."
        )
    if source.infer is not None and len(entries) > 1:
        # The arrays state the shape of every size.
        entries = [sapiens2_record(state_dict, source.infer(state_dict, input_hw))]
    found: list[Identified] = []
    rejected: set[nn.Module] = set()
    misfits: list[tuple[int, str, Mismatch]] = []
    for entry in _likely(source, state_dict, entries):
        if found:
            more = _same(entry, found[0])
            if not more and num_keypoints is None and _unlike_published(found[0])[0]:
                more = _other_head(source, state_dict, entry, found[0])
            found += more
            continue
        backbone = entry.model().backbone
        if backbone in rejected or len(misfits) == _TRIES:
            continue
        fit, plan = _fit(source, state_dict, entry, num_keypoints, input_hw)
        if plan.fits:
            found.append(fit)
            continue
        misfits.append((plan.faults, entry.name, mismatch(plan, own=source.own)))
        if _backbone_differs(plan):
            rejected.add(backbone)
    if found:
        return sorted(found, key=_unlike_published)
    if not misfits:
        kinds = ", ".join(entry.name for entry in entries[:8])
        raise InputError(
            f"The checkpoint's names are those of {source.name}, and no model has a table for "
            f"them; tried {kinds}{' and others' if len(entries) > 8 else ''}."
        )
    _, name, nearest = min(misfits, key=lambda misfit: misfit[0])
    if any(entry.name == name and isinstance(entry, PublishedLifter) for entry in entries):
        nearest = nearest.advised(LIFTER_ADVICE)
    raise nearest.about(f"No known model fits; the nearest is {name}. " if len(entries) > 1 else "")


def _likely(
    source: Format, state_dict: Mapping[str, np.ndarray], entries: Sequence[Keypointed]
) -> list[Keypointed]:
    """Entries with a table, sorted by the number of unmatched keys, then by the models' sizes."""
    learnt = [
        array.size
        for key, array in state_dict.items()
        if not re.search(r"running_(mean|var)|num_batches_tracked|batch_stats/", key)
    ]
    millions = max(sum(learnt) / 1e6, 1e-6)
    known: dict[tuple[type, type], int] = {}
    order: list[tuple[int, float, int, Keypointed]] = []
    for entry in entries:
        model = entry.model()
        if not has_table(source, model):
            continue
        kinds = type(model.backbone), type(model.head)
        if kinds not in known:
            known[kinds] = _unknown_keys(table(source, model), state_dict)
        far = abs(math.log((entry.parameters or _millions(model) or 2 * millions) / millions))
        order.append((known[kinds], far, len(order), entry))
    return [entry for *_, entry in sorted(order, key=lambda place: place[:3])]


def _millions(model: PoseModel) -> float | None:
    """Approximate number of parameters of a ViT, those of its matrices; None for other models."""
    vit = model.backbone
    if not isinstance(vit, ViT):
        return None
    hidden = vit.mlp_hidden or 4 * vit.dim
    outputs = 2 * vit.dim + (vit.experts - 1) * vit.part_features if vit.experts else 2 * vit.dim
    return vit.depth * (4 * vit.dim**2 + hidden * outputs) / 1e6


def _unknown_keys(rules: Sequence[Rule], state_dict: Mapping[str, np.ndarray]) -> int:
    patterns = [re.compile(rule.pattern) for rule in rules]
    return sum(not any(p.fullmatch(key) for p in patterns) for key in state_dict)


def _same(entry: Keypointed, fit: Identified) -> list[Identified]:
    """Return the entry if its model has the same arrays for the checkpoint's keypoints and size."""
    size = fit.input_hw if fit.size_read else entry.input_hw
    model = entry.variant(fit.num_keypoints, size or _NO_IMAGE)
    twins = {entry.name, entry.same_arrays_as} & {fit.entry.name, fit.entry.same_arrays_as} - {""}
    if model != fit.model and not twins:
        return []
    return [replace(fit, entry=entry, model=model, input_hw=size)]


def _other_head(
    source: Format, state_dict: Mapping[str, np.ndarray], entry: Keypointed, fit: Identified
) -> list[Identified]:
    """Return the entry if another head on the backbone has these arrays, for its own keypoints.

    Heatmaps and tags of 17 keypoints have the same arrays as heatmaps of 34.
    """
    model = entry.model()
    if model.backbone != fit.model.backbone or type(model.head) is type(fit.model.head):
        return []
    other, plan = _try(source, state_dict, entry, entry.num_keypoints, entry.input_hw)
    return [other] if plan.fits else []


def _unlike_published(fit: Identified) -> tuple[bool, bool]:
    entry = fit.entry
    return entry.num_keypoints != fit.num_keypoints, entry.input_hw != fit.input_hw


def _fit(
    source: Format,
    state_dict: Mapping[str, np.ndarray],
    entry: Keypointed,
    num_keypoints: int | None,
    input_hw: tuple[int, int] | None,
) -> tuple[Identified, Plan]:
    """Try the entry with the checkpoint's keypoints and size, if they can be inferred."""
    count, size = num_keypoints or entry.num_keypoints, input_hw or entry.input_hw
    read = input_hw is not None
    if input_hw is None and size is not None:
        found = _size_of_positions(source, state_dict, entry.variant(count, size))
        size, read = found or size, found is not None
    fit, plan = _try(source, state_dict, entry, count, size)
    # A head for other keypoints changes the backbone of a lifter, too.
    if plan.fits or (isinstance(entry, PublishedPose) and _backbone_differs(plan)):
        return replace(fit, size_read=read or _read_by_head(fit)), plan
    if num_keypoints is None:
        count = _count_keypoints(fit, plan) or count
        if count != fit.num_keypoints:
            fit, plan = _try(source, state_dict, entry, count, size)
    if _read_by_head(fit) and not (input_hw is not None or plan.unknown or plan.missing):
        for other in _SIZES:
            if plan.fits:
                break
            fit, plan = _try(source, state_dict, entry, count, other)
    return replace(fit, size_read=read or _read_by_head(fit)), plan


def _read_by_head(fit: Identified) -> bool:
    """True if shapes of the head depend on the size of the images."""
    return hasattr(fit.model.head, "input_hw")


def _count_keypoints(fit: Identified, plan: Plan) -> int | None:
    """Number of keypoints that the arrays of a plan are for; None if they do not agree."""
    counts = set()
    count = fit.num_keypoints
    more = expected_leaves(fit.entry.variant(count + 1, fit.input_hw or _NO_IMAGE))
    for path, shape in plan.wanted.items():
        for axis, (size, grown) in enumerate(zip(shape, more[path].shape, strict=True)):
            if grown != size and len(plan.shapes.get(path, ())) > axis:
                counts.add(count + (plan.shapes[path][axis] - size) / (grown - size))
    found = counts.pop() if len(counts) == 1 else 0.5
    return int(found) if found == int(found) and found > 0 else None


def _try(
    source: Format,
    state_dict: Mapping[str, np.ndarray],
    entry: Keypointed,
    count: int,
    size: tuple[int, int] | None,
) -> tuple[Identified, Plan]:
    model = entry.variant(count, size or _NO_IMAGE)
    plan = plan_for(source, fit_backbone(state_dict, model, source, size), model)
    return Identified(entry, model, count, size), plan


def _size_of_positions(
    source: Format, state_dict: Mapping[str, np.ndarray], model: PoseModel
) -> tuple[int, int] | None:
    """Image size of the position embeddings, in pixels; None if there are none."""
    backbone, embedding = model.backbone, state_dict.get(source.positions)
    if not isinstance(backbone, ViT) or embedding is None:
        return None
    _, grid = read_positions(embedding, backbone.grid_hw, None, source.class_slot, source.positions)
    return grid[0] * backbone.patch, grid[1] * backbone.patch


def _backbone_differs(plan: Plan) -> bool:
    """True if the model does not fit with any head."""
    wrong = [entry.name for entry in plan.missing]
    wrong += [path for path, shape in plan.shapes.items() if shape != plan.wanted[path]]
    return any(path.split("/")[1] == "backbone" for path in wrong)
