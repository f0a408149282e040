"""Tables for lifters, one function for each project's names."""

import numpy as np

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import CoordinateHead, JointHead
from jaxpose.models.lifting.temporal import TemporalConvolutions


def mmpose_temporal(model: TemporalConvolutions) -> list[Rule]:
    """TCN: an expanding layer, then blocks of a convolution over frames and one over channels."""
    rules = _frame_conv(r"backbone\.expand_conv", "backbone/expand")
    for i in range(len(model.widths) - 1):
        block = rf"backbone\.tcn_blocks\.{i}"
        rules += _frame_conv(rf"{block}\.conv1\.0", f"backbone/block_{i}_frames")
        rules += _frame_conv(rf"{block}\.conv2\.0", f"backbone/block_{i}_mix")
    return rules


def mmpose_coordinates(head: CoordinateHead) -> list[Rule]:
    """TemporalRegressionHead: a convolution of one frame."""
    return layouts.dense(
        r"head\.conv", "head/joints", kernel=lambda weight: weight.squeeze(2).transpose(1, 0)
    )


def mmpose_dstformer(model: DSTFormer) -> list[Rule]:
    """DSTFormer: `blocks_st` and `blocks_ts`, each with a spatial `_s` and a temporal `_t` half."""
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


def mmpose_joints(head: JointHead) -> list[Rule]:
    """MotionRegressionHead."""
    return [
        *layouts.dense(r"head\.pre_logits\.fc", "head/representation"),
        *layouts.dense(r"head\.fc", "head/joints"),
    ]


def _frame_conv(source: str, target: str) -> list[Rule]:
    return [
        Rule(rf"{source}\.conv\.weight", f"params/{target}/conv/kernel", _over_frames),
        *layouts.batch_norm(rf"{source}\.bn", f"{target}/norm"),
    ]


def _over_frames(weight: np.ndarray) -> np.ndarray:
    """`[out, in, frames]` -> `[frames, in, out]`."""
    return weight.transpose(2, 1, 0)


def _block(source: str, half: str, target: str, heads: int) -> list[Rule]:
    """One pre-norm block; the suffix `half` tells it from the other in the same module."""
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
