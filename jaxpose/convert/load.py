"""Checkpoints of other projects into the variables of a model."""

import functools
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.convert.formats import detect
from jaxpose.convert.keypoints import copy_keypoints, count_keypoints, keypoint_axes
from jaxpose.convert.positions import fit_positions
from jaxpose.convert.reading import load_state_dict
from jaxpose.convert.rules import Plan, apply, flatten, make_plan, nest
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel, abstract_variables
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.detection import DetectionModel
from jaxpose.models.vit import ViT

# By width (arXiv:2010.11929, table 1; arXiv:2012.12877, table 1).
_IMAGENET_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
_POSE_HEAD = r"(keypoint_)?head\.(deconv_layers|conv_layers|final_layer|mlp_head)"


def load_pretrained(
    model: PoseModel,
    checkpoint: str | Path | Mapping[str, np.ndarray],
    *,
    variables: Mapping | None = None,
    reset_head: bool = False,
    keypoints: Mapping[int, int] | None = None,
    checkpoint_hw: tuple[int, int] | None = None,
    ema: bool | None = None,
) -> dict:
    """`{"params": ..., "batch_stats": ...}` of `model` with the values of a checkpoint.

    Args:
      model: the model to fill.
      checkpoint: a file or release folder for `load_state_dict`, or its content.
      variables: where fresh values come from, for what `reset_head` and `keypoints` leave
        untouched; None initialises the head with key 0.
      reset_head: leave the head fresh and the checkpoint's head, if it has one, unused.
      keypoints: `{row of the model's keypoints: row of the checkpoint's}` (see
        `shared_keypoints`). The head is loaded as one of the checkpoint's own number of keypoints,
        then the outputs of these keypoints are copied; the others stay fresh.
      checkpoint_hw: as in `to_variables`.
      ema: as in `load_state_dict`.

    Raises:
      InputError: as `load_state_dict` and `to_variables`; if `keypoints` names a row that is not
        there, or both `reset_head` and `keypoints` are given.
    """
    if reset_head and keypoints is not None:
        raise InputError("reset_head leaves no outputs to copy: give it or keypoints, not both.")
    if isinstance(checkpoint, str | Path):
        checkpoint = load_state_dict(checkpoint, ema=ema)
    if not reset_head and keypoints is None:
        return to_variables(checkpoint, model, checkpoint_hw)
    if variables is None:
        variables = with_fresh_head(model)
    if keypoints is not None:
        return _with_keypoints(checkpoint, model, variables, keypoints, checkpoint_hw)
    source, checkpoint = recognise(checkpoint)
    kept: Mapping = {
        key: array for key, array in checkpoint.items() if not re.fullmatch(source.head, key)
    }
    kept = fit_backbone(_with_norm(kept), model, source, checkpoint_hw)
    _warn_of_heads(source, model)
    leaves = flatten(variables)
    backbone = {path: leaf for path, leaf in leaves.items() if path.split("/")[1] == "backbone"}
    loaded = apply(table(source, model, head=False), kept, backbone)
    return nest({path: loaded.get(path, leaf) for path, leaf in leaves.items()})


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
        groups all that were not, and its attribute `full` lists them, with shapes.
    """
    source, state_dict = recognise(state_dict)
    if source.only_backbone and not isinstance(model.head, ClassificationHead):
        raise InputError(
            f"{no_pose_head(source, state_dict)} Load them with reset_head=True; the head then "
            "starts fresh and has to be trained."
        )
    rules = table(source, model)
    fitted = fit_backbone(state_dict, model, source, checkpoint_hw)
    return nest(apply(rules, fitted, expected_leaves(model)))


def recognise(state_dict: Mapping[str, np.ndarray]) -> tuple[Format, dict[str, np.ndarray]]:
    """The format of the keys, and the arrays under the names that its tables know."""
    source = detect(state_dict)
    return source, source.renamed(state_dict)


def no_pose_head(source: Format, state_dict: Mapping[str, np.ndarray]) -> str:
    """Reason, for messages, that arrays of a format without pose heads make no pose model."""
    if any(re.match(_POSE_HEAD, key) for key in state_dict):
        return (
            f"This checkpoint has a class token, as {source.name} has, and a pose head. The ViTs "
            "of pose models have patches only, and without the token its outputs would be others: "
            "of these weights the backbone alone is of use."
        )
    return f"These are {source.name} weights: a backbone without a pose head."


def table(source: Format, model: PoseModel, head: bool = True) -> list[Rule]:
    """All rules from a format to a model, or those of its backbone alone.

    Raises:
      InputError: if there is no table for one of its parts.
    """
    rules = list(source.rules)
    if source.own:
        return rules
    parts = _parts(model) if head else (model.backbone,)
    return rules + [rule for part in parts for rule in _of_part(part, source)]


def has_table(source: Format, model: PoseModel) -> bool:
    """True if there are tables from a format to all parts of a model."""
    return source.own or all(type(part) in source.tables for part in _parts(model))


def _parts(model: PoseModel) -> tuple[nn.Module, ...]:
    neck = (model.neck,) if isinstance(model, DetectionModel) else ()
    return (model.backbone, *neck, model.head)


def fit_backbone(
    state_dict: Mapping[str, np.ndarray],
    model: PoseModel,
    source: Format,
    checkpoint_hw: tuple[int, int] | None,
) -> Mapping[str, np.ndarray]:
    """`state_dict` with position embeddings on the grid of a ViT model."""
    backbone = model.backbone
    embedding = state_dict.get(source.positions)
    if not isinstance(backbone, ViT) or embedding is None:
        return state_dict
    if "reg_token" in state_dict:
        raise InputError(
            "This ViT has register tokens (arXiv:2309.16588), without which its patches see "
            "something else, and the models here have none: take weights without registers."
        )
    if any(re.fullmatch(r"(backbone\.)?dist_token", key) for key in state_dict):
        if backbone.class_token:
            raise InputError(
                "This is a distilled DeiT, with a token for its teacher beside the class token: "
                "only its patches have a place here, in a ViT with class_token=False."
            )
        embedding = np.delete(embedding, 1, axis=-2)
    patch = backbone.patch
    grid = (checkpoint_hw[0] // patch, checkpoint_hw[1] // patch) if checkpoint_hw else None
    slot = "kept" if backbone.class_token else source.class_slot
    fitted = fit_positions(embedding, backbone.grid_hw, grid, slot, source.positions)
    return {**state_dict, source.positions: fitted}


def _with_norm(state_dict: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """The norm that timm's ViTs have after the mean over patches, taken for the one before it."""
    if "fc_norm.weight" not in state_dict or "norm.weight" in state_dict:
        return state_dict
    warnings.warn(
        "This ViT was trained to normalise the mean of its patches (fc_norm). Here the norm is "
        "that of every patch: a start for training, whose features are not quite those it had.",
        stacklevel=3,
    )
    return {re.sub(r"^fc_norm\.", "norm.", key): array for key, array in state_dict.items()}


def _warn_of_heads(source: Format, model: PoseModel) -> None:
    """Says so if ImageNet weights were trained with another number of attention heads.

    The arrays have the same shapes for any number, so nothing else would tell.
    """
    backbone = model.backbone
    if not isinstance(backbone, ViT) or source.class_slot != "dropped":
        return
    usual = _IMAGENET_HEADS.get(backbone.dim, backbone.heads)
    if usual != backbone.heads:
        warnings.warn(
            f"ViTs of width {backbone.dim} for ImageNet have {usual} attention heads, this model "
            f"has {backbone.heads}. The arrays fit either way, but features differ: build the "
            f"model with heads={usual} (of S, `--model vitpose-s-6heads`), unless the checkpoint "
            f"was trained with {backbone.heads}.",
            stacklevel=3,
        )


def plan_for(source: Format, state_dict: Mapping[str, np.ndarray], model: PoseModel) -> Plan:
    """Places in `model` of arrays under a table's names."""
    return make_plan(table(source, model), state_dict, expected_leaves(model))


def with_fresh_head(model: PoseModel) -> dict:
    """Variables whose head is initialised with key 0, and whose backbone has shapes alone.

    Compiles the head and nothing else: a backbone takes minutes where there are two cores.
    """
    abstract = abstract_variables(model, image_hw(model))
    images = jax.ShapeDtypeStruct((1, *image_hw(model), 3), jnp.float32)
    seen = jax.eval_shape(
        lambda variables, images: model.apply(
            variables, images, method=lambda whole, images: whole.backbone(images, False)
        ),
        abstract,
        images,
    )

    @jax.jit
    def init(key: jax.Array) -> dict:
        features = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), seen)
        head = model.init(key, features, method=lambda whole, features: whole.head(features, False))
        return dict(head)

    fresh = flatten(jax.device_get(init(jax.random.key(0))))
    return nest({path: fresh.get(path, leaf) for path, leaf in flatten(abstract).items()})


@functools.lru_cache(maxsize=32)
def expected_leaves(model: PoseModel) -> Mapping[str, jax.ShapeDtypeStruct]:
    """The leaves that `model` has, by path."""
    return flatten(abstract_variables(model, image_hw(model)))


def image_hw(model: PoseModel) -> tuple[int, int]:
    """An image size the model takes: parameter shapes of the others do not depend on it."""
    for module in (model.backbone, model.head):
        if hasattr(module, "input_hw"):
            return module.input_hw
    return 256, 256


def _of_part(module: nn.Module, source: Format) -> list[Rule]:
    if type(module) not in source.tables:
        kinds = ", ".join(kind.__name__ for kind in source.tables)
        raise InputError(
            f"The checkpoint's names are those of {source.name}, and there is no table from "
            f"{source.name} to {type(module).__name__}"
            + (f"; there is one to {kinds}." if kinds else ".")
        )
    return source.tables[type(module)](module)


def _with_keypoints(
    checkpoint: Mapping[str, np.ndarray],
    model: PoseModel,
    variables: Mapping,
    keypoints: Mapping[int, int],
    checkpoint_hw: tuple[int, int] | None,
) -> dict:
    source, state_dict = recognise(checkpoint)
    state_dict = dict(fit_backbone(state_dict, model, source, checkpoint_hw))
    axes = keypoint_axes(model, image_hw(model))
    plan = plan_for(source, state_dict, model)
    count = count_keypoints(axes, plan.shapes)
    if count is None:  # the head is of another kind, which the ordinary message explains
        return to_variables(checkpoint, model, checkpoint_hw)
    theirs = model.clone(head=model.head.clone(num_keypoints=count))
    loaded = flatten(to_variables(checkpoint, theirs, checkpoint_hw))
    fresh = flatten(variables)
    rows = keypoints, count, model.head.num_keypoints
    return nest(
        {
            path: copy_keypoints(leaf, fresh[path], axes[path], *rows) if path in axes else leaf
            for path, leaf in loaded.items()
        }
    )
