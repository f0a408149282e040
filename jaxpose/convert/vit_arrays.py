"""Changes to a vision transformer's arrays that fit them to a model: positions, tokens, patches."""

import re
import warnings
from collections.abc import Mapping

import numpy as np

from jaxpose.convert.positions import (
    ClassSlot,
    fit_positions,
    read_positions,
    resize_patches,
    resize_position_embedding,
)
from jaxpose.errors import InputError
from jaxpose.models.conversion import Format, Resize
from jaxpose.models.published.large_vit_tables import infer_timm
from jaxpose.models.pvt import PVT
from jaxpose.models.sam import SAMViT
from jaxpose.models.vit import ViT

# Attention heads of ImageNet's ViTs by width (arXiv:2010.11929, table 1; arXiv:2012.12877, table
# 1).
_IMAGENET_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
_REGISTERS = r"(.+\.)?(reg_token|register_tokens|storage_tokens)"
# Half of the distance between neighbouring numbers of bfloat16, relative to them.
_BFLOAT16 = 2.0**-8


def fit_vit(
    state_dict: Mapping[str, np.ndarray],
    backbone: ViT,
    source: Format,
    checkpoint_hw: tuple[int, int] | None,
    resample: bool = False,
) -> Mapping[str, np.ndarray]:
    """Return `state_dict` with positions on the grid of `backbone`.

    Args:
      state_dict: arrays under the names of `source`.
      backbone: the model.
      source: format of the checkpoint.
      checkpoint_hw: as in `to_variables`.
      resample: resample patches of another size, too, and add biases that are zero.

    Raises:
      InputError: as for `read_positions`; a teacher's token has no place in the model.
    """
    if resample:
        state_dict = _with_zero_biases(_with_patches(state_dict, backbone), backbone, source)
    embedding = state_dict.get(source.positions)
    if embedding is None or backbone.positions == "none":
        return state_dict
    if any(re.fullmatch(r"(backbone\.)?dist_token", key) for key in state_dict):
        if backbone.class_token:
            raise InputError(
                "This is a distilled DeiT, with a token for its teacher in addition to the class "
                "token. Only its patches can be loaded, into a ViT with class_token=False."
            )
        embedding = np.delete(embedding, 1, axis=-2)
    patch = backbone.patch
    grid = (checkpoint_hw[0] // patch, checkpoint_hw[1] // patch) if checkpoint_hw else None
    target, name = backbone.grid_hw, source.positions
    slot: ClassSlot = source.class_slot
    if backbone.class_token and backbone.positions == "all":
        slot = "kept"
    changed = dict(state_dict)
    if backbone.class_token and backbone.positions == "patches" and source.class_token:
        rows, _ = read_positions(embedding, target, grid, slot, name)
        if embedding.shape[-2] > len(rows):
            token = changed[source.class_token]
            first = embedding.reshape(embedding.shape[-2:])[0]
            changed[source.class_token] = token + first.reshape(token.shape)
    resize = source.resize
    if source.naflex in state_dict and state_dict[source.naflex].ndim == 2:
        resize = Resize("bilinear", antialias=True)
    changed[name] = fit_positions(embedding, target, grid, slot, name, resize)
    return changed


def fit_stages(state_dict: Mapping[str, np.ndarray], backbone: PVT) -> Mapping[str, np.ndarray]:
    """Return `state_dict` with the positions of each stage on the grid of `backbone`.

    MMPose's code resizes them bilinearly.

    Raises:
      InputError: as for `read_positions`.
    """
    changed = dict(state_dict)
    for stage, grid in enumerate(backbone.grids):
        key = f"backbone.layers.{stage}.1.0.pos_embed"
        if key in state_dict:
            way = Resize("bilinear")
            changed[key] = fit_positions(state_dict[key], grid, None, "none", key, way)
    return changed


def fit_sam(state_dict: Mapping[str, np.ndarray], backbone: SAMViT) -> Mapping[str, np.ndarray]:
    """Return `state_dict` with absolute and relative positions on the grid of `backbone`.

    Absolute ones are resized bicubically with antialiasing, as timm does, and relative ones
    linearly, as the authors' code does.

    Raises:
      InputError: positions are no map `[1, h, w, D]`.
    """
    changed = dict(state_dict)
    for key, array in state_dict.items():
        block = re.fullmatch(r"blocks\.(\d+)\.attn\.rel_pos_([hw])", key)
        if key == "pos_embed":
            if array.ndim != 4 or len(array) != 1:
                raise InputError(f"{key} must be [1, h, w, D], but is {list(array.shape)}.")
            grid = array.shape[1], array.shape[2]
            rows = array.reshape(-1, array.shape[-1])
            way = Resize(antialias=True)
            changed[key] = resize_position_embedding(rows, grid, backbone.grid_hw, way)
        elif block and array.ndim == 2:
            whole = backbone.is_global(int(block[1]))
            side = backbone.grid_hw[block[2] == "w"] if whole else backbone.window
            target = 2 * side - 1, 1
            way = Resize("bilinear")
            changed[key] = resize_position_embedding(array, (len(array), 1), target, way)
    return changed


def check_vit(state_dict: Mapping[str, np.ndarray], backbone: ViT, source: Format) -> None:
    """Compare a checkpoint's tokens and rotary positions with those of the model.

    Raises:
      InputError: their number, or the base of the positions, differs.
    """
    _check_registers(state_dict, backbone)
    if source.periods in state_dict:
        _check_periods(state_dict[source.periods], backbone, source)


def _check_registers(state_dict: Mapping[str, np.ndarray], backbone: ViT) -> None:
    found = [a for key, a in state_dict.items() if re.fullmatch(_REGISTERS, key)]
    count = found[0].shape[-2] if found and found[0].ndim > 1 else 0
    if count != backbone.registers and found:
        raise InputError(
            f"This ViT has {count} register tokens (arXiv:2309.16588), the model has "
            f"{backbone.registers}, and the patches' features would be different: build the model "
            f'with registers={count}, class_token=True and output="map", or use weights without '
            "registers."
        )


def _check_periods(periods: np.ndarray, backbone: ViT, source: Format) -> None:
    """Compare the periods in a file with those that the model computes."""
    if backbone.rope is None:
        raise InputError(
            f"{source.periods} shows that these weights have rotary positions, and the model has "
            "none: build it with rope=Rope()."
        )
    own = backbone.rope.periods(backbone.dim // backbone.heads)
    if periods.shape != own.shape:
        raise InputError(
            f"{source.periods} has {periods.size} periods, for heads of width {4 * periods.size}; "
            f"the model's heads have width {4 * own.size}. Build it with heads="
            f"{max(1, backbone.dim // (4 * periods.size))}."
        )
    far = float(np.max(np.abs(periods.astype(np.float64) / own - 1)))
    if far > _BFLOAT16:
        base = float(periods[-1]) ** (len(periods) / max(1, len(periods) - 1))
        raise InputError(
            f"{source.periods} ends with {periods[-1]:.4g}, the model's periods with "
            f"{own[-1]:.4g}: the weights have rotary positions of another base (about {base:.4g}, "
            f"the model has {backbone.rope.base:g})."
        )
    if far > 1e-5:
        warnings.warn(
            f"{source.periods} was rounded to bfloat16 in this file. The exact periods are used, "
            "as those of training were exact; with the rounded ones, features would differ by "
            "about 3e-4 of their spread.",
            stacklevel=4,
        )


def _with_patches(state_dict: Mapping[str, np.ndarray], backbone: ViT) -> Mapping[str, np.ndarray]:
    """Resample convolutions of patches that have another size than the model's."""
    changed = dict(state_dict)
    for key, array in state_dict.items():
        if not re.search(r"(patch_embed|conv1|conv_proj)", key) or array.ndim != 4:
            continue
        if array.shape[1] != 3 or array.shape[2] in (1, backbone.patch):
            continue
        warnings.warn(
            f"These weights are for patches of {array.shape[2]} pixels, the model has patches of "
            f"{backbone.patch}. The patch embedding was resampled (arXiv:2212.08013): training can "
            "start from it, but the features differ.",
            stacklevel=4,
        )
        changed[key] = resize_patches(array, backbone.patch)
    return changed


def _with_zero_biases(
    state_dict: Mapping[str, np.ndarray], backbone: ViT, source: Format
) -> Mapping[str, np.ndarray]:
    """Add biases of queries and values that timm's DINOv3 leaves out because they are zero."""
    if backbone.qkv_bias_kind != "query_value" or not source.name.startswith("timm"):
        return state_dict
    if any(re.search(r"attn\.(q_bias|q_proj\.bias|qkv\.bias)$", key) for key in state_dict):
        return state_dict
    keys = [f"blocks.{i}.attn.{part}_bias" for i in range(backbone.depth) for part in "qv"]
    return {**state_dict, **{key: np.zeros(backbone.dim, np.float32) for key in keys}}


def warn_of_facts(source: Format, state_dict: Mapping[str, np.ndarray], backbone: ViT) -> None:
    """Warn if the model differs from the checkpoint's in facts that no array shows."""
    plain = infer_timm if source.name.startswith("timm") else None
    infer = source.infer or plain
    theirs = infer(state_dict, None) if infer else None
    if theirs is not None and theirs.dim != backbone.dim:
        return  # no array fits, and the load says so
    if source.class_slot == "dropped" or theirs is not None:
        usual = theirs.heads if theirs else _IMAGENET_HEADS.get(backbone.dim, backbone.heads)
        if usual != backbone.heads:
            advice = "" if source.infer else " (for S: `--model vitpose-s-6heads`)"
            warnings.warn(
                f"ViTs of width {backbone.dim} for ImageNet have {usual} attention heads, this "
                f"model has {backbone.heads}. The arrays fit either way, but features differ: "
                f"build the model with heads={usual}{advice}, unless the checkpoint was trained "
                f"with {backbone.heads}.",
                stacklevel=3,
            )
    if theirs is None:
        return
    for name in ("norm_eps", "mlp", "rope"):
        wanted, own = getattr(theirs, name), getattr(backbone, name)
        if wanted != own:
            warnings.warn(
                f"{source.name} weights with these arrays usually have {name}={wanted!r}, this "
                f"model has {own!r}. The arrays fit either way, but features differ.",
                stacklevel=3,
            )
