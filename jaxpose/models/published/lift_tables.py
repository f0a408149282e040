"""Conversion tables of lifters, one function for each project's names."""

import numpy as np

from jaxpose.models import layouts
from jaxpose.models.conversion import Format, Rule, Tables
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import CoordinateHead, JointHead
from jaxpose.models.lifting.poseformer import PoseFormer
from jaxpose.models.lifting.temporal import TemporalConvolutions


def _mmpose_temporal(model: TemporalConvolutions) -> list[Rule]:
    """Rules for TCN: an expanding layer, then blocks of two convolutions.

    The first convolution of a block is over frames, the second over channels.
    """
    rules = _mmpose_frame_conv(r"backbone\.expand_conv", "backbone/expand")
    trajectory = "the network of the root's trajectory, which only semi-supervised training uses"
    rules.append(Rule(r"traj_(backbone|head)\..+", None, reason=trajectory))
    for i in range(len(model.widths) - 1):
        block = rf"backbone\.tcn_blocks\.{i}"
        rules += _mmpose_frame_conv(rf"{block}\.conv1\.0", f"backbone/block_{i}_frames")
        rules += _mmpose_frame_conv(rf"{block}\.conv2\.0", f"backbone/block_{i}_mix")
    return rules


def _mmpose_coordinates(head: CoordinateHead) -> list[Rule]:
    """Rules for TemporalRegressionHead: a convolution of one frame."""
    return layouts.dense(r"head\.conv", "head/joints", kernel=_of_one_frame)


def _mmpose_dstformer(model: DSTFormer) -> list[Rule]:
    """Rules for DSTFormer, of blocks in two lists, `blocks_st` and `blocks_ts`.

    Each block has a spatial half `_s` and a temporal half `_t`.
    """
    rules = [
        Rule(r"backbone\.temp_embed", "params/backbone/frame_position", lambda x: x[0, :, 0]),
        Rule(r"backbone\.spat_embed", "params/backbone/joint_position", lambda x: x.squeeze(0)),
        *layouts.dense(r"backbone\.joints_embed", "backbone/joint_embedding"),
        *layouts.layer_norm(r"backbone\.norm", "backbone/norm"),
        *layouts.dense(
            r"backbone\.attn_regress\.(?P<layer>\d+)", "backbone/layers/mixture", "layer"
        ),
    ]
    for stream in ("st", "ts"):
        for half, name in (("s", "space"), ("t", "time")):
            source = rf"backbone\.blocks_{stream}\.(?P<layer>\d+)"
            rules += _block(source, half, f"backbone/layers/{stream}_{name}", model.heads)
    return rules


def _mmpose_joints(head: JointHead) -> list[Rule]:
    """Rules for MotionRegressionHead."""
    return [
        *layouts.dense(r"head\.pre_logits\.fc", "head/representation"),
        *layouts.dense(r"head\.fc", "head/joints"),
    ]


def _mmpose_frame_conv(source: str, target: str) -> list[Rule]:
    return _frame_conv(rf"{source}\.conv", rf"{source}\.bn", target)


def _frame_conv(conv: str, norm: str, target: str) -> list[Rule]:
    return [
        Rule(rf"{conv}\.weight", f"params/{target}/conv/kernel", _over_frames),
        *layouts.batch_norm(norm, f"{target}/norm"),
    ]


def _of_one_frame(weight: np.ndarray) -> np.ndarray:
    """`[out, in, 1]` -> `[in, out]`."""
    return weight.squeeze(2).transpose(1, 0)


def _over_frames(weight: np.ndarray) -> np.ndarray:
    """`[out, in, frames]` -> `[frames, in, out]`."""
    return weight.transpose(2, 1, 0)


def _block(source: str, half: str, target: str, heads: int) -> list[Rule]:
    """Rules for one pre-norm block; the suffix `half` selects it from the two of a module."""
    return [
        *layouts.layer_norm(rf"{source}\.norm1_{half}", f"{target}/norm1", "layer"),
        *layouts.layer_norm(rf"{source}\.norm2_{half}", f"{target}/norm2", "layer"),
        *layouts.dense(
            rf"{source}\.attn_{half}\.qkv",
            f"{target}/attention/qkv",
            "layer",
            layouts.fused_qkv(heads),
            layouts.fused_qkv_bias(heads),
        ),
        *layouts.dense(
            rf"{source}\.attn_{half}\.proj",
            f"{target}/attention/out",
            "layer",
            layouts.attention_out(heads),
        ),
        *layouts.dense(rf"{source}\.mlp_{half}\.0", f"{target}/mlp/fc1", "layer"),
        *layouts.dense(rf"{source}\.mlp_{half}\.2", f"{target}/mlp/fc2", "layer"),
    ]


def _official_temporal(model: TemporalConvolutions) -> list[Rule]:
    """Rules for VideoPose3D's TemporalModel: all convolutions in one list, all norms in another."""
    rules = _frame_conv("expand_conv", "expand_bn", "backbone/expand")
    for i in range(len(model.widths) - 1):
        for k, part in enumerate(("frames", "mix")):
            place = 2 * i + k
            rules += _frame_conv(
                rf"layers_conv\.{place}", rf"layers_bn\.{place}", f"backbone/block_{i}_{part}"
            )
    return rules


def _official_coordinates(head: CoordinateHead) -> list[Rule]:
    """Rules for the last convolution of VideoPose3D's TemporalModel."""
    del head
    return layouts.dense("shrink", "head/joints", kernel=_of_one_frame)


def _poseformer(model: PoseFormer) -> list[Rule]:
    """Rules for PoseTransformer of PoseFormer's own code."""
    rules = [
        Rule("Spatial_pos_embed", "params/backbone/joint_position", lambda x: x.squeeze(0)),
        Rule("Temporal_pos_embed", "params/backbone/frame_position", lambda x: x.squeeze(0)),
        *layouts.dense("Spatial_patch_to_embedding", "backbone/joint_embedding"),
        *layouts.layer_norm("Spatial_norm", "backbone/spatial_norm"),
        *layouts.layer_norm("Temporal_norm", "backbone/temporal_norm"),
        *layouts.dense("weighted_mean", "backbone/frame_mean", kernel=_of_one_frame),
    ]
    for source, target in (("Spatial_blocks", "spatial"), ("blocks", "temporal")):
        theirs, ours = rf"{source}\.(?P<i>\d+)", f"backbone/{target}_" + "{i}"
        rules += [
            *layouts.layer_norm(rf"{theirs}\.norm1", f"{ours}/norm1"),
            *layouts.layer_norm(rf"{theirs}\.norm2", f"{ours}/norm2"),
            *layouts.dense(
                rf"{theirs}\.attn\.qkv",
                f"{ours}/attention/qkv",
                kernel=layouts.fused_qkv(model.heads),
                bias=layouts.fused_qkv_bias(model.heads),
            ),
            *layouts.dense(
                rf"{theirs}\.attn\.proj",
                f"{ours}/attention/out",
                kernel=layouts.attention_out(model.heads),
            ),
            *layouts.dense(rf"{theirs}\.mlp\.fc1", f"{ours}/mlp/fc1"),
            *layouts.dense(rf"{theirs}\.mlp\.fc2", f"{ours}/mlp/fc2"),
        ]
    return rules


def _poseformer_coordinates(head: CoordinateHead) -> list[Rule]:
    """Rules for the norm and the linear layer at the end of PoseFormer."""
    del head
    return [
        *layouts.layer_norm(r"head\.0", "head/norm"),
        *layouts.dense(r"head\.1", "head/joints"),
    ]


MMPOSE: Tables = {
    TemporalConvolutions: _mmpose_temporal,
    DSTFormer: _mmpose_dstformer,
    CoordinateHead: _mmpose_coordinates,
    JointHead: _mmpose_joints,
}

FORMATS = (
    Format(
        name="VideoPose3D's own code",
        marker=r"layers_conv\.0\.weight",
        head=r"shrink\..+",
        tables={TemporalConvolutions: _official_temporal, CoordinateHead: _official_coordinates},
    ),
    Format(
        name="PoseFormer's own code",
        marker="Spatial_pos_embed",
        head=r"head\..+",
        tables={PoseFormer: _poseformer, CoordinateHead: _poseformer_coordinates},
    ),
    # MMPose ported this code and changed only a few names.
    Format(
        name="MotionBERT's own code",
        marker=r"ts_attn\.0\.weight",
        head=r"head\..+",
        tables={DSTFormer: _mmpose_dstformer, JointHead: _mmpose_joints},
        renames=(
            (r"^pos_embed$", "backbone.spat_embed"),
            (r"^ts_attn\.", "backbone.attn_regress."),
            (r"^(?=(temp_embed|joints_embed|blocks_(st|ts)|norm)\b)", "backbone."),
            (r"\.(mlp_[st])\.fc1\.", r".\1.0."),
            (r"\.(mlp_[st])\.fc2\.", r".\1.2."),
            (r"^head\.", "head.fc."),
            (r"^pre_logits\.", "head.pre_logits."),
        ),
    ),
)
