"""Checkpoints of other projects into the variables of a model."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import flax.linen as nn
import numpy as np

from jaxpose.convert.formats import Format, detect
from jaxpose.convert.positions import infer_grid, resize_position_embedding
from jaxpose.convert.reading import load_state_dict
from jaxpose.convert.rules import Rule, apply, flatten, nest
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel, abstract_variables
from jaxpose.models.vit import ViT


def to_variables(
    state_dict: Mapping[str, np.ndarray],
    model: PoseModel,
    checkpoint_hw: tuple[int, int] | None = None,
) -> dict:
    """`{"params": ..., "batch_stats": ...}` of `model` from another project's arrays.

    The table follows from the keys' format and from the kinds of the model's backbone and head.

    Args:
      state_dict: `{key: array}` in PyTorch's layouts (see `load_state_dict`).
      model: the model to fill.
      checkpoint_hw: image size in pixels the checkpoint was trained at. Needed only where a ViT's
        position embeddings must be resized and their grid is neither square nor of the model's
        aspect.

    Raises:
      InputError: unless every key and every leaf of the model is used exactly once; the message
        lists all that were not, with shapes.
    """
    expected = flatten(abstract_variables(model, _image_hw(model)))
    source = detect(state_dict)
    state_dict = _fit_positions(state_dict, model, source, checkpoint_hw)
    rules = _table(source.backbones, model.backbone, source) + _table(
        source.heads, model.head, source
    )
    return nest(apply(rules, state_dict, expected))


def init_from(
    checkpoint: str | Path | Mapping[str, np.ndarray],
    model: PoseModel,
    variables: Mapping,
    *,
    reset_head: bool = False,
    checkpoint_hw: tuple[int, int] | None = None,
) -> dict:
    """Start from a checkpoint: `variables` with its values put in.

    Args:
      checkpoint: a file for `load_state_dict`, or its content.
      model, checkpoint_hw: as in `to_variables`.
      variables: freshly initialised variables of `model`.
      reset_head: leave the head as it is in `variables` and the checkpoint's head unused, for
        another set of keypoints. Otherwise the head is loaded, too.

    Raises:
      InputError: as `load_state_dict` and `to_variables`.
    """
    if isinstance(checkpoint, str | Path):
        checkpoint = load_state_dict(checkpoint)
    if not reset_head:
        return to_variables(checkpoint, model, checkpoint_hw)
    source = detect(checkpoint)
    kept: Mapping = {
        key: array for key, array in checkpoint.items() if not re.fullmatch(source.head, key)
    }
    kept = _fit_positions(kept, model, source, checkpoint_hw)
    leaves = flatten(variables)
    backbone = {path: leaf for path, leaf in leaves.items() if path.split("/")[1] == "backbone"}
    loaded = apply(_table(source.backbones, model.backbone, source), kept, backbone)
    return nest({path: loaded.get(path, leaf) for path, leaf in leaves.items()})


def _table(
    tables: Mapping[type[nn.Module], Callable[..., list[Rule]]], module: nn.Module, source: Format
) -> list[Rule]:
    if type(module) not in tables:
        raise InputError(
            f"There is no table from {source.name} to {type(module).__name__}; there is one to "
            f"{', '.join(kind.__name__ for kind in tables)}."
        )
    return tables[type(module)](module)


def _image_hw(model: PoseModel) -> tuple[int, int]:
    """An image size the model takes: parameter shapes of the others do not depend on it."""
    for module in (model.backbone, model.head):
        if hasattr(module, "input_hw"):
            return module.input_hw
    return 256, 192


def _fit_positions(
    state_dict: Mapping[str, np.ndarray],
    model: PoseModel,
    source: Format,
    checkpoint_hw: tuple[int, int] | None,
) -> Mapping[str, np.ndarray]:
    """`state_dict` with position embeddings on the grid of a ViT model."""
    backbone = model.backbone
    embedding = state_dict.get(source.positions)
    if not isinstance(backbone, ViT) or embedding is None or embedding.ndim != 3:
        return state_dict
    target = backbone.grid_hw
    count = embedding.shape[1]
    if checkpoint_hw:
        grid = checkpoint_hw[0] // backbone.patch, checkpoint_hw[1] // backbone.patch
    elif count == target[0] * target[1]:
        grid = target
    else:
        inferred = infer_grid(count, target)
        if inferred is None:
            raise InputError(
                f"{source.positions} has {count} positions, the model {target[0]} x {target[1]}, "
                f"and the grid of the former cannot be told from their number. Give the image "
                f"size the checkpoint was trained at as checkpoint_hw."
            )
        grid = inferred
    resized = resize_position_embedding(embedding[0], grid, target)
    return {**state_dict, source.positions: resized[None]}
