"""Conversion tables of classifiers of actions, one function for each project's names."""

import numpy as np

from jaxpose.models import layouts
from jaxpose.models.actions.action_model import ActionHead, MotionHead
from jaxpose.models.actions.graph_network import GraphNetwork
from jaxpose.models.actions.slow_only import SlowOnly
from jaxpose.models.conversion import Format, Rule, Tables
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.published import lift_tables
from jaxpose.models.published.heads import MM_RULES

_EACH = ("0", "1", "2")


def _point(weight: np.ndarray) -> np.ndarray:
    """1x1 convolution `[out, in, 1, 1]` -> dense layer `[in, out]`."""
    return layouts.linear(weight.squeeze((2, 3)))


def _row(array: np.ndarray) -> np.ndarray:
    """`[...]` -> `[1, ...]`, one of the parts of a leaf `[3, ...]`."""
    return array[None]


def _temporal(conv: str, norm: str | None, target: str) -> list[Rule]:
    """Rules for a `TemporalConv` of convolution `conv`, with bias, and batch norm `norm`."""
    rules = layouts.dense(conv, f"{target}/conv", kernel=layouts.conv)
    return rules if norm is None else [*rules, *layouts.batch_norm(norm, f"{target}/norm")]


def _joined_dense(source: str, target: str) -> list[Rule]:
    """Rules for the three convolutions of the parts of a graph, the group `part` of `source`."""
    return [
        Rule(
            rf"{source}\.weight",
            f"params/{target}/kernel",
            _point,
            join="part",
            join_order=_EACH,
            join_axis=1,
        ),
        Rule(rf"{source}\.bias", f"params/{target}/bias", join="part", join_order=_EACH),
    ]


def _units(model: GraphNetwork) -> range:
    return range(sum(model.units))


def _st_gcn(model: GraphNetwork) -> list[Rule]:
    """Rules for the names of ST-GCN's own code."""
    rules = [
        Rule(
            "A",
            None,
            value=model.graph.distance_partitions(),
            reason="the adjacency of the graph, a constant of the model",
        ),
        *layouts.batch_norm("data_bn", "backbone/input_norm"),
    ]
    for i in _units(model):
        source, target = rf"st_gcn_networks\.{i}", f"backbone/unit_{i}"
        graph = f"{target}/graph_conv"
        rules += [
            Rule(rf"edge_importance\.{i}", f"params/{graph}/adjacency"),
            *layouts.dense(rf"{source}\.gcn\.conv", f"{graph}/features", kernel=_point),
            *layouts.batch_norm(rf"{source}\.tcn\.0", f"{graph}/norm"),
            *_temporal(rf"{source}\.tcn\.2", rf"{source}\.tcn\.3", f"{target}/temporal"),
            *_temporal(rf"{source}\.residual\.0", rf"{source}\.residual\.1", f"{target}/shortcut"),
        ]
    return rules


def _numbered_units(model: GraphNetwork) -> list[Rule]:
    """Rules for what 2s-AGCN's and CTR-GCN's code have in common: units `l1` to `l10`."""
    rules = layouts.batch_norm("data_bn", "backbone/input_norm")
    for i in _units(model):
        source, target = rf"l{i + 1}", f"backbone/unit_{i}"
        graph = f"{target}/graph_conv"
        rules += [
            *layouts.batch_norm(rf"{source}\.gcn1\.bn", f"{graph}/norm"),
            *_temporal(
                rf"{source}\.gcn1\.down\.0", rf"{source}\.gcn1\.down\.1", f"{graph}/shortcut"
            ),
            *_temporal(
                rf"{source}\.residual\.conv", rf"{source}\.residual\.bn", f"{target}/shortcut"
            ),
        ]
    return rules


def _agcn(model: GraphNetwork) -> list[Rule]:
    """Rules for the names of 2s-AGCN's own code."""
    rules = _numbered_units(model)
    for i in _units(model):
        source, target = rf"l{i + 1}", f"backbone/unit_{i}"
        graph, gcn = f"{target}/graph_conv", rf"{source}\.gcn1"
        convolutions = _joined_dense(rf"{gcn}\.conv_d\.(?P<part>\d)", f"{graph}/features")
        rules += [
            Rule(rf"{gcn}\.PA", f"params/{graph}/adjacency"),
            *_joined_dense(rf"{gcn}\.conv_a\.(?P<part>\d)", f"{graph}/source"),
            *_joined_dense(rf"{gcn}\.conv_b\.(?P<part>\d)", f"{graph}/target"),
            convolutions[0],
            Rule(
                convolutions[1].pattern,
                f"params/{graph}/bias",
                _row,
                join="part",
                join_order=_EACH,
            ),
            *_temporal(rf"{source}\.tcn1\.conv", rf"{source}\.tcn1\.bn", f"{target}/temporal"),
        ]
    return rules


def _ctr_gcn(model: GraphNetwork) -> list[Rule]:
    """Rules for the names of CTR-GCN's own code, whose adjacencies have target, then source."""
    rules = _numbered_units(model)
    for i in _units(model):
        source, target = rf"l{i + 1}", f"backbone/unit_{i}"
        graph, part = f"{target}/graph_conv", rf"{source}\.gcn1\.convs\.(?P<part>\d)"
        rules += [
            Rule(
                rf"{source}\.gcn1\.PA",
                f"params/{graph}/adjacency",
                lambda array: array.transpose(0, 2, 1),
            ),
            Rule(
                rf"{source}\.gcn1\.alpha",
                f"params/{graph}/refine_scale",
                lambda array: array.reshape(()),
            ),
            *_joined_dense(rf"{part}\.conv1", f"{graph}/target"),
            *_joined_dense(rf"{part}\.conv2", f"{graph}/source"),
            *_joined_dense(rf"{part}\.conv3", f"{graph}/features"),
            Rule(
                rf"{part}\.conv4\.weight",
                f"params/{graph}/refine_kernel",
                lambda array: _row(_point(array)),
                join="part",
                join_order=_EACH,
            ),
            Rule(
                rf"{part}\.conv4\.bias",
                f"params/{graph}/refine_bias",
                _row,
                join="part",
                join_order=_EACH,
            ),
        ]
        branch, time = rf"{source}\.tcn1\.branches", f"{target}/temporal"
        for k in range(2):
            rules += [
                *_temporal(rf"{branch}\.{k}\.0", rf"{branch}\.{k}\.1", f"{time}/reduce_{k}"),
                *_temporal(
                    rf"{branch}\.{k}\.3\.conv", rf"{branch}\.{k}\.3\.bn", f"{time}/conv_{k}"
                ),
            ]
        rules += [
            *_temporal(rf"{branch}\.2\.0", rf"{branch}\.2\.1", f"{time}/reduce_max"),
            *layouts.batch_norm(rf"{branch}\.2\.4", f"{time}/max_norm"),
            *_temporal(rf"{branch}\.3\.0", rf"{branch}\.3\.1", f"{time}/point"),
        ]
    return rules


def _mm_graph(model: GraphNetwork) -> list[Rule]:
    """Rules for STGCN of MMAction2 and PYSKL, in the form of ST-GCN++."""
    rules = layouts.batch_norm(r"backbone\.data_bn", "backbone/input_norm")
    for i in _units(model):
        source, target = rf"backbone\.gcn\.{i}", f"backbone/unit_{i}"
        graph, gcn, tcn = f"{target}/graph_conv", rf"{source}\.gcn", rf"{source}\.tcn"
        branch, time = rf"{tcn}\.branches", f"{target}/temporal"
        rules += [
            Rule(rf"{gcn}\.A", f"params/{graph}/adjacency"),
            *layouts.dense(rf"{gcn}\.conv", f"{graph}/features", kernel=_point),
            *layouts.batch_norm(rf"{gcn}\.bn", f"{graph}/norm"),
            *_temporal(rf"{gcn}\.down\.0", rf"{gcn}\.down\.1", f"{graph}/shortcut"),
            *_temporal(
                rf"{source}\.residual\.conv", rf"{source}\.residual\.bn", f"{target}/shortcut"
            ),
            *_temporal(rf"{branch}\.4\.0", rf"{branch}\.4\.1", f"{time}/reduce_max"),
            *_temporal(rf"{branch}\.5", None, f"{time}/point"),
            *layouts.batch_norm(rf"{tcn}\.transform\.0", f"{time}/joined_norm"),
            *_temporal(rf"{tcn}\.transform\.2", rf"{tcn}\.bn", f"{time}/mix"),
        ]
        for k in range(4):
            rules += [
                *_temporal(rf"{branch}\.{k}\.0", rf"{branch}\.{k}\.1", f"{time}/reduce_{k}"),
                *_temporal(rf"{branch}\.{k}\.3\.conv", None, f"{time}/conv_{k}"),
            ]
    return rules


def _mm_slow_only(model: SlowOnly) -> list[Rule]:
    """Rules for ResNet3dSlowOnly of MMAction2 and PYSKL; most kernels are of one frame."""

    def in_frame(weight: np.ndarray) -> np.ndarray:
        return layouts.conv(weight.squeeze(2))

    def over_frames(weight: np.ndarray) -> np.ndarray:
        return layouts.conv(weight.squeeze(4))

    def module(source: str, target: str, kernel=in_frame) -> list[Rule]:
        return [
            Rule(rf"{source}\.conv\.weight", f"params/{target}/conv/kernel", kernel),
            *layouts.batch_norm(rf"{source}\.bn", f"{target}/norm"),
        ]

    rules = module(r"backbone\.conv1", "backbone/stem")
    for s, (blocks, temporal) in enumerate(zip(model.blocks, model.temporal, strict=True)):
        for k in range(blocks):
            source = rf"backbone\.layer{s + 1}\.{k}"
            target = f"backbone/stage_{s}_block_{k}"
            rules += [
                *module(
                    rf"{source}\.conv1", f"{target}/conv_0", over_frames if temporal else in_frame
                ),
                *module(rf"{source}\.conv2", f"{target}/conv_1"),
                *module(rf"{source}\.conv3", f"{target}/conv_2"),
                *module(rf"{source}\.downsample", f"{target}/shortcut"),
            ]
    return rules


def _mm_head(head: ActionHead) -> list[Rule]:
    """Rules for GCNHead and I3DHead, and for their older name in PYSKL."""
    del head
    return layouts.dense(r"cls_head\.(?:fc|fc_cls)", "head/linear")


def _motion_head(head: MotionHead) -> list[Rule]:
    """Rules for the motion representation and ActionHeadClassification of MotionBERT."""
    del head
    return [
        *layouts.dense(r"head\.pre_logits\.fc", "head/representation"),
        *layouts.dense(r"head\.fc1", "head/hidden"),
        *layouts.batch_norm(r"head\.bn", "head/norm"),
        *layouts.dense(r"head\.fc2", "head/linear"),
    ]


def _of_head(source: str, kernel=layouts.linear):
    return lambda head: layouts.dense(source, "head/linear", kernel=kernel)


_MMACTION: Tables = {GraphNetwork: _mm_graph, SlowOnly: _mm_slow_only, ActionHead: _mm_head}

FORMATS = (
    Format(
        name="ST-GCN's own code",
        marker=r"edge_importance\.0",
        head=r"fcn\..+",
        purpose="actions",
        tables={GraphNetwork: _st_gcn, ActionHead: _of_head("fcn", _point)},
    ),
    Format(
        name="2s-AGCN's own code",
        marker=r"l1\.gcn1\.conv_a\.0\.weight",
        head=r"fc\..+",
        purpose="actions",
        tables={GraphNetwork: _agcn, ActionHead: _of_head("fc")},
    ),
    Format(
        name="CTR-GCN's own code",
        marker=r"l1\.gcn1\.convs\.0\.conv1\.weight",
        head=r"fc\..+",
        purpose="actions",
        tables={GraphNetwork: _ctr_gcn, ActionHead: _of_head("fc")},
    ),
    Format(
        name="MMAction2 or PYSKL",
        marker=r"cls_head\..+",
        head=r"cls_head\..+",
        purpose="actions",
        tables=_MMACTION,
        rules=MM_RULES,
    ),
    Format(
        name="MotionBERT's own code for actions",
        marker=r"backbone\.ts_attn\.0\.weight",
        head=r"head\..+",
        purpose="actions",
        tables={DSTFormer: lift_tables.MMPOSE[DSTFormer], MotionHead: _motion_head},
        renames=(
            (r"^backbone\.pos_embed$", "backbone.spat_embed"),
            (r"^backbone\.ts_attn\.", "backbone.attn_regress."),
            (r"^backbone\.pre_logits\.", "head.pre_logits."),
            (r"\.(mlp_[st])\.fc1\.", r".\1.0."),
            (r"\.(mlp_[st])\.fc2\.", r".\1.2."),
        ),
        rules=(
            Rule(r"backbone\.head\..+", None, reason="the regression of 3D joints, not of actions"),
        ),
    ),
)
