"""Conversion of other projects' checkpoints to the variables of a model."""

import functools
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.convert.formats import detect
from jaxpose.convert.keypoints import copy_keypoints, count_keypoints, keypoint_axes
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.positions import fit_positions
from jaxpose.convert.reading import load_state_dict
from jaxpose.convert.rules import Plan, apply, flatten, make_plan, nest
from jaxpose.convert.vit_arrays import check_vit, fit_sam, fit_stages, fit_vit, warn_of_facts
from jaxpose.convert.window_positions import fit_windows
from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel, abstract_variables
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.detection import DetectionModel
from jaxpose.models.feature_pyramid import FeaturePyramid, FixedStatistics
from jaxpose.models.hiera import Hiera
from jaxpose.models.hrformer import HRFormer
from jaxpose.models.lifting.lifter import Lifter
from jaxpose.models.published.large_vit_tables import terms_of
from jaxpose.models.pvt import PVT
from jaxpose.models.sam import SAMViT
from jaxpose.models.swin import Swin
from jaxpose.models.vit import ViT

LIFTER_ADVICE = (
    "Build the lifter that the checkpoint was trained as (frames, channels, number of keypoints), "
    "and check that the file is whole; `jaxpose convert` finds the published ones."
)
"""Advice for arrays that do not fit a lifter, which has no head to reset."""
# Part of a model with a `FeaturePyramid` that the weights of its trunk alone fill.
_TRUNK = "backbone/trunk/"
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
    """Fill `{"params": ..., "batch_stats": ...}` of `model` with the values of a checkpoint.

    Args:
      model: the model to fill.
      checkpoint: a file or release folder for `load_state_dict`, or its content.
      variables: initial values of the arrays that `reset_head` and `keypoints` do not load; None
        initialises the head with key 0.
      reset_head: keep the initial head, and do not use the checkpoint's head and neck, if it has
        them. Weights of a plain backbone fill the trunk of a `FeaturePyramid`, and the rest of the
        pyramid keeps its initial values, too.
      keypoints: `{row of the model's keypoints: row of the checkpoint's}` (see
        `shared_keypoints`). A head with the checkpoint's number of keypoints is loaded, then the
        outputs of these keypoints are copied; the others keep their initial values.
      checkpoint_hw: as in `to_variables`.
      ema: as in `load_state_dict`.

    Raises:
      InputError: as for `load_state_dict` and `to_variables`; `keypoints` contains a row that does
        not exist; both `reset_head` and `keypoints` are given.
    """
    if reset_head and keypoints is not None:
        raise InputError("reset_head keeps no outputs to copy: give it or keypoints, not both.")
    if isinstance(checkpoint, str | Path):
        checkpoint = load_state_dict(checkpoint, ema=ema)
    if not reset_head and keypoints is None:
        try:
            return to_variables(checkpoint, model, checkpoint_hw)
        except Mismatch as error:
            if isinstance(model, Lifter):
                error.advised(LIFTER_ADVICE)
            raise
    if variables is None:
        variables = with_fresh_head(model)
    if keypoints is not None:
        return _with_keypoints(checkpoint, model, variables, keypoints, checkpoint_hw)
    source, checkpoint = recognise(checkpoint)
    kept: Mapping = {
        key: array for key, array in checkpoint.items() if not re.fullmatch(source.head, key)
    }
    if isinstance(model.backbone, ViT):
        if model.backbone.last_norm:
            kept = _with_norm(kept)
        check_vit(kept, model.backbone, source)
        warn_of_facts(source, kept, model.backbone)
    _note_terms(source, checkpoint, model)
    kept = fit_backbone(kept, model, source, checkpoint_hw, resample=True)
    leaves = flatten(variables)
    part = "backbone/"
    if isinstance(model.backbone, FeaturePyramid | FixedStatistics) and not any(
        _TRUNK in key for key in kept
    ):
        part = _TRUNK
    backbone = {p: leaf for p, leaf in leaves.items() if p.partition("/")[2].startswith(part)}
    rules = table(source, model, head=False)
    if source.head_is_rest:
        kept = {
            key: array
            for key, array in kept.items()
            if any(re.fullmatch(rule.pattern, key) for rule in rules)
        }
    rules = _under(part, rules)
    loaded = apply(rules, kept, backbone, own=source.own, reset_head=True)
    return nest({path: loaded.get(path, leaf) for path, leaf in leaves.items()})


def to_variables(
    state_dict: Mapping[str, np.ndarray],
    model: PoseModel,
    checkpoint_hw: tuple[int, int] | None = None,
) -> dict:
    """Convert another project's arrays to `{"params": ..., "batch_stats": ...}` of `model`.

    The format of the keys and the types of the model's backbone and head determine the table.

    Args:
      state_dict: `{key: array}` in PyTorch's layouts (see `load_state_dict`).
      model: the model to fill.
      checkpoint_hw: image size in pixels that the checkpoint was trained at. It is needed only if a
        ViT's position embeddings must be resized and their grid is neither square nor of the
        model's aspect.

    Raises:
      InputError: a key or a leaf of the model is not used exactly once; the message groups all of
        these, and its attribute `full` lists them, with shapes.
    """
    source, state_dict = recognise(state_dict)
    if source.only_backbone and not getattr(model.head, "takes_tokens", False):
        raise InputError(
            f"{no_pose_head(source, state_dict)} Load them with reset_head=True; the head is then "
            "initialised and has to be trained."
        )
    rules = table(source, model)
    _note_terms(source, state_dict, model)
    if isinstance(model.backbone, ViT):
        check_vit(state_dict, model.backbone, source)
    fitted = fit_backbone(state_dict, model, source, checkpoint_hw)
    return nest(apply(rules, fitted, expected_leaves(model), own=source.own))


def recognise(state_dict: Mapping[str, np.ndarray]) -> tuple[Format, dict[str, np.ndarray]]:
    """Detect the format of the keys, and rename the arrays to the names that its tables use."""
    source = detect(state_dict)
    return source, source.renamed(state_dict)


def no_pose_head(source: Format, state_dict: Mapping[str, np.ndarray]) -> str:
    """Sentence for messages: the reason that weights without a pose head make no pose model."""
    if any(re.match(_POSE_HEAD, key) for key in state_dict):
        return (
            f"This checkpoint has a class token, as {source.name} has, and a pose head. The ViTs "
            "of pose models have patches only, and without the token the outputs would be "
            "different: only the backbone of these weights can be used."
        )
    return f"These are {source.name} weights: a backbone without a pose head."


def table(source: Format, model: PoseModel, head: bool = True) -> list[Rule]:
    """Return all rules from a format to a model, or only those of its backbone.

    Raises:
      InputError: there is no table for one of its parts.
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
    resample: bool = False,
) -> Mapping[str, np.ndarray]:
    """Return `state_dict` with the positions of a model; see `fit_vit`, `fit_windows`."""
    if isinstance(model.backbone, Swin | HRFormer):
        return fit_windows(state_dict)
    if isinstance(model.backbone, Hiera) and source.positions in state_dict:
        key, grid = source.positions, model.backbone.grid_hw
        fitted = fit_positions(state_dict[key], grid, None, "none", key, source.resize)
        return {**state_dict, key: fitted}
    if isinstance(model.backbone, PVT):
        return fit_stages(state_dict, model.backbone)
    if isinstance(model.backbone, SAMViT) and not source.own:
        return fit_sam(state_dict, model.backbone)
    if not isinstance(model.backbone, ViT):
        return state_dict
    return fit_vit(state_dict, model.backbone, source, checkpoint_hw, resample)


def _with_norm(state_dict: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    """Use the norm after the mean over patches, of some of timm's ViTs, as the norm before it."""
    if "fc_norm.weight" not in state_dict or "norm.weight" in state_dict:
        return state_dict
    warnings.warn(
        "This ViT was trained to normalise the mean of its patches (fc_norm). Here the norm is "
        "applied to every patch: training can start from it, but the features differ slightly.",
        stacklevel=3,
    )
    return {re.sub(r"^fc_norm\.", "norm.", key): array for key, array in state_dict.items()}


def _note_terms(source: Format, state_dict: Mapping[str, np.ndarray], model: PoseModel) -> None:
    """Warn of terms of the weights that bind their users."""
    terms = terms_of(source, state_dict, model.backbone)
    if terms and not source.own:
        warnings.warn(terms, stacklevel=3)


def plan_for(source: Format, state_dict: Mapping[str, np.ndarray], model: PoseModel) -> Plan:
    """Make the plan that assigns arrays, under a table's names, to the leaves of `model`."""
    return make_plan(table(source, model), state_dict, expected_leaves(model))


def _under(part: str, rules: list[Rule]) -> list[Rule]:
    """Rules whose targets are in `part` of the model where they are in the backbone."""
    if part != _TRUNK:
        return rules
    own = Rule(r"(?P<kind>params|batch_stats)/backbone/(?P<leaf>.+)", "{kind}/" + part + "{leaf}")
    return [
        own
        if rule.target == "{path}"
        else replace(rule, target=rule.target and rule.target.replace("/backbone/", f"/{part}"))
        for rule in rules
    ]


def with_fresh_head(model: PoseModel) -> dict:
    """Make variables with neck and head initialised with key 0, and only shapes for the backbone.

    Only these are compiled: a backbone takes minutes on two cores.
    """
    abstract = abstract_variables(model, image_hw(model))
    images = jax.ShapeDtypeStruct((1, *image_hw(model), 3), jnp.float32)
    shapes = jax.eval_shape(
        lambda variables, images: model.apply(
            variables, images, method=lambda whole, images: whole.backbone(images, False)
        ),
        abstract,
        images,
    )

    def rest(whole: Any, features: Any) -> Any:
        if isinstance(whole, DetectionModel):
            features = whole.neck(features, False)
        return whole.head(features, False)

    @jax.jit
    def init(key: jax.Array) -> dict:
        features = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        head = model.init(key, features, method=rest)
        return dict(head)

    fresh = flatten(jax.device_get(init(jax.random.key(0))))
    return nest({path: fresh.get(path, leaf) for path, leaf in flatten(abstract).items()})


@functools.lru_cache(maxsize=32)
def expected_leaves(model: PoseModel) -> Mapping[str, jax.ShapeDtypeStruct]:
    """Shapes and dtypes of the leaves of `model`, by path."""
    return flatten(abstract_variables(model, image_hw(model)))


def image_hw(model: PoseModel) -> tuple[int, int]:
    """Image size of a model; any size for models whose parameter shapes do not depend on it."""
    for module in (model.backbone, model.head):
        if hasattr(module, "input_hw"):
            return module.input_hw
    return 256, 256


def _of_part(module: nn.Module, source: Format) -> list[Rule]:
    if isinstance(module, FeaturePyramid | FixedStatistics):
        module = module.trunk
    if type(module) not in source.tables:
        kinds = ", ".join(kind.__name__ for kind in source.tables)
        raise InputError(
            f"The checkpoint's names are those of {source.name}, and there is no table from "
            f"{source.name} to {type(module).__name__}"
            + (f"; there are tables to {kinds}." if kinds else ".")
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
    if count is None:  # a different type of head, which the message of `to_variables` explains
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
