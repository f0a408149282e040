"""RTMO and YOLOX-Pose: people and their keypoints in one stage, on YOLOX's backbone."""

from functools import partial

import numpy as np

from jaxpose.codecs.one_stage import OneStage
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.conversion import Rule
from jaxpose.models.csp import Style
from jaxpose.models.darknet import CSPDarknet, yolox_style
from jaxpose.models.detection import PathAggregation
from jaxpose.models.hybrid_encoder import HybridEncoder
from jaxpose.models.normalisation import PIXELS_BGR
from jaxpose.models.one_stage import OneStageModel, RTMOHead, YOLOXPoseHead
from jaxpose.models.published.csp import MM, prediction
from jaxpose.models.published.record import APACHE, OPENMMLAB, Family, PublishedPose, Weights
from jaxpose.skeletons import COCO17, CROWDPOSE14, Skeleton

__all__ = ["ONE_STAGE", "OneStageModel", "RTMOHead", "YOLOXPoseHead", "rtmo", "yolox_pose"]

# Factors on blocks and channels (MMPose's configs).
_RTMO_SIZES = {"t": (0.33, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}
_YOLOX_SIZES = {"tiny": (0.33, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}
# At a factor of one: channels of the heads, of a group of RTMO's head, of its vectors of poses, and
# blocks of YOLOX's neck.
_FEATURES, _GROUP, _VECTOR, _BLOCKS = 256, 36, 512, 3


def rtmo(size: str, num_keypoints: int = 17, *, dtype: str = "float32") -> OneStageModel:
    """RTMO (Lu et al. 2023, arXiv:2312.07526) of `size` t, s, m or l."""
    deepen, widen = _factors("RTMO", size, _RTMO_SIZES)
    vector = int(_VECTOR * widen)
    return OneStageModel(
        CSPDarknet(deepen, widen, dtype=dtype),
        RTMOHead(
            num_keypoints,
            int(_FEATURES * widen),
            int(_GROUP * widen),
            vector,
            style=yolox_style(False, dtype),
        ),
        HybridEncoder(widen, deepen, vector, style=Style(dtype=dtype)),
    )


def yolox_pose(size: str, num_keypoints: int = 17, *, dtype: str = "float32") -> OneStageModel:
    """YOLOX-Pose of MMPose (after arXiv:2204.06806 and 2107.08430) of `size` tiny, s, m or l."""
    deepen, widen = _factors("YOLOX-Pose", size, _YOLOX_SIZES)
    style = yolox_style(False, dtype)
    features, blocks = int(_FEATURES * widen), round(_BLOCKS * deepen)
    return OneStageModel(
        CSPDarknet(deepen, widen, dtype=dtype),
        YOLOXPoseHead(num_keypoints, features, style),
        PathAggregation(features, blocks, "darknet", 1, style),
    )


def _factors(name: str, size: str, sizes: dict[str, tuple[float, float]]) -> tuple[float, float]:
    if size not in sizes:
        raise InputError(
            f"Unknown {name} size {size!r}; known: {', '.join(sizes)}.{nearest(size, sizes)}"
        )
    return sizes[size]


def _constants(key: str, count: int, low: float, high: float, reason: str) -> Rule:
    numbers = tuple(np.linspace(low, high, count, dtype=np.float32).tolist())
    return Rule(key, None, reason=reason, numbers=numbers)


_SIGMAS = Rule(r"head\.loss_oks\.sigmas", None, reason="a constant of the loss")
_PERIODS = "frequencies of positions, which the model has"


def _encoder(neck: HybridEncoder) -> list[Rule]:
    """Rules for HybridEncoder of MMPose."""
    names = MM["darknet"]
    layer, ours = r"neck\.encoder\.0\.layers\.0", "neck/encoder"
    rules = [
        Rule(
            rf"{layer}\.self_attn\.attn\.in_proj_weight",
            f"params/{ours}/qkv_kernel",
            layouts.fused_qkv(neck.heads),
        ),
        Rule(
            rf"{layer}\.self_attn\.attn\.in_proj_bias",
            f"params/{ours}/qkv_bias",
            layouts.fused_qkv_bias(neck.heads),
        ),
        *layouts.dense(rf"{layer}\.self_attn\.attn\.out_proj", f"{ours}/out"),
        *layouts.dense(rf"{layer}\.ffn\.layers\.0\.0", f"{ours}/fc1"),
        *layouts.dense(rf"{layer}\.ffn\.layers\.1", f"{ours}/fc2"),
        *layouts.layer_norm(rf"{layer}\.norms\.0", f"{ours}/norm1"),
        *layouts.layer_norm(rf"{layer}\.norms\.1", f"{ours}/norm2"),
        Rule(r"neck\.sincos_pos_enc\.dim_t", None, reason=_PERIODS),
    ]
    for theirs, part in (
        ("input_proj", "input"),
        ("lateral_convs", "reduce"),
        ("downsample_convs", "shrink"),
        (r"projector\.convs", "out"),
    ):
        rules += names.conv(rf"neck\.{theirs}\.(?P<i>\d+)", f"neck/{part}_{{i}}")
    for theirs, part in (("fpn_blocks", "down"), ("pan_blocks", "up")):
        source, target = rf"neck\.{theirs}\.(?P<i>\d+)", f"neck/{part}_{{i}}"
        for number, name in ((1, "main"), (2, "short"), (3, "final")):
            rules += names.conv(rf"{source}\.conv{number}", f"{target}/{name}")
        block = rf"{source}\.bottlenecks\.(?P<k>\d+)"
        for branch, name in (("3x3", "wide"), ("1x1", "narrow")):
            rules += names.conv(rf"{block}\.branch_{branch}", target + "/block_{k}/" + name)
    return rules


def _towers(
    towers: tuple[tuple[str, str], ...], outputs: tuple[tuple[str, str], ...]
) -> list[Rule]:
    rules = [_SIGMAS]
    for theirs, ours in towers:
        rules += MM["darknet"].tower(rf"head\.head_module\.{theirs}", ours)
    for theirs, ours in outputs:
        rules += prediction(rf"head\.head_module\.{theirs}", ours)
    return rules


def _rtmo_head(head: RTMOHead) -> list[Rule]:
    """Rules for RTMOHead of MMPose."""
    dcc, ours = r"head\.dcc", "head/classifier"
    linear = {
        r"gau\.uv": "attention/gate_value_key",
        r"gau\.o": "attention/out",
    }
    arrays = {
        "pos_enc": "attention/position",
        r"gau\.ln\.g": "attention/norm/scale",
        r"gau\.gamma": "attention/gain",
        r"gau\.beta": "attention/offset",
        r"gau\.res_scale\.scale": "attention/residual_scale",
        r"x_fc\.bias": "x_bias",
        r"y_fc\.bias": "y_bias",
    }
    return [
        *_towers(
            (("conv_cls", "person"), ("conv_pose", "pose")),
            (
                ("out_cls", "person"),
                ("out_bbox", "box"),
                ("out_kpt_reg", "keypoints"),
                ("out_kpt_vis", "visible"),
                ("out_pose", "vectors"),
            ),
        ),
        *layouts.dense(rf"{dcc}\.pose_to_kpts\.0", f"{ours}/expand"),
        *layouts.batch_norm(rf"{dcc}\.pose_to_kpts\.1", f"{ours}/norm"),
        *layouts.dense(rf"{dcc}\.sigma_fc\.0", f"{ours}/deviation"),
        Rule(rf"{dcc}\.sigma_fc\.2\.scale", f"params/{ours}/deviation_gain", np.atleast_1d),
        *(
            Rule(rf"{dcc}\.{source}\.weight", f"params/{ours}/{target}/kernel", layouts.linear)
            for source, target in linear.items()
        ),
        *(
            Rule(rf"{dcc}\.{axis}_fc\.weight", f"params/{ours}/{axis}_kernel", layouts.linear)
            for axis in "xy"
        ),
        *(
            Rule(rf"{dcc}\.{source}", f"params/{ours}/{target}")
            for source, target in arrays.items()
        ),
        *(
            _constants(rf"{dcc}\.{axis}_bins", count, -0.5, 0.5, "places of bins, which it has")
            for axis, count in zip("xy", head.bins, strict=True)
        ),
        Rule(rf"{dcc}\.spe\.dim_t", None, reason=_PERIODS),
    ]


def _yolox_head(head: YOLOXPoseHead) -> list[Rule]:
    """Rules for YOLOXPoseHead of MMPose."""
    del head
    return _towers(
        (("conv_cls", "person"), ("conv_reg", "box"), ("conv_pose", "pose")),
        (
            ("out_cls", "person"),
            ("out_obj", "objectness"),
            ("out_bbox", "box"),
            ("out_kpt", "keypoints"),
            ("out_kpt_vis", "visible"),
        ),
    )


def rtmo_codec(input_hw: tuple[int, int]) -> OneStage:
    """Codec of the published RTMOs."""
    return OneStage(input_hw, strides=(16, 32), origin="pixels", threshold=0.1)


def yolox_pose_codec(input_hw: tuple[int, int]) -> OneStage:
    """Codec of the published YOLOX-Poses."""
    return OneStage(input_hw, threshold=0.01)


def _rtmo(num_keypoints: int, input_hw: tuple[int, int], size: str) -> OneStageModel:
    del input_hw  # any multiple of 32
    return rtmo(size, num_keypoints)


def _yolox(num_keypoints: int, input_hw: tuple[int, int], size: str) -> OneStageModel:
    del input_hw  # any multiple of 32
    return yolox_pose(size, num_keypoints)


def _rtmo_record(name: str, file: str, score: str, digits: str, date: str) -> PublishedPose:
    size = name[0]
    crowd = "crowdpose" in name
    skeleton: Skeleton = CROWDPOSE14 if crowd else COCO17
    side = 416 if size == "t" else 640
    dataset = "CrowdPose test" if crowd else "COCO val2017"
    trained = {
        "-coco": ("COCO",),
        "-crowdpose": ("CrowdPose",),
        "-body7-crowdpose": ("Body7", "CrowdPose"),
    }
    return PublishedPose(
        name=f"rtmo-{name}",
        make=partial(_rtmo, size=size),
        codec=rtmo_codec,
        skeleton=skeleton,
        num_keypoints=skeleton.num_keypoints,
        input_hw=(side, side),
        normalisation=PIXELS_BGR,
        takes="images",
        parameters=_MILLIONS[size],
        score=f"AP {score}",
        source=f"MMPose projects/rtmo ({dataset}, single scale, no flip test)",
        licence=APACHE,
        trained_on=trained.get(name[1:], ("Body7",)),
        weights=Weights(f"{OPENMMLAB}/v1/projects/rtmo/rtmo-{file}-{digits}_{date}.pth", digits),
        golden=("rtmo_s_320x320_calibrated",) if name == "s-coco" else (),
    )


# Millions of parameters at 17 keypoints, counted.
_MILLIONS = {"t": 6.83, "s": 9.87, "m": 22.53, "l": 44.69}
_RTMO_TABLE = (
    ("t", "t_8xb32-600e_body7-416x416", "57.4", "f48f75cb", "20231219"),
    ("s", "s_8xb32-600e_body7-640x640", "68.6", "dac2bf74", "20231211"),
    ("m", "m_16xb16-600e_body7-640x640", "72.6", "39e78cc4", "20231211"),
    ("l", "l_16xb16-600e_body7-640x640", "74.8", "b37118ce", "20231211"),
    ("s-coco", "s_8xb32-600e_coco-640x640", "67.7", "8db55a59", "20231211"),
    ("m-coco", "m_16xb16-600e_coco-640x640", "70.9", "6f4e0306", "20231211"),
    ("l-coco", "l_16xb16-600e_coco-640x640", "72.4", "516a421f", "20231211"),
    ("s-crowdpose", "s_8xb32-700e_crowdpose-640x640", "67.3", "79f81c0d", "20231211"),
    ("l-crowdpose", "l_16xb16-700e_crowdpose-640x640", "73.2", "1008211f", "20231211"),
    ("l-body7-crowdpose", "l_16xb16-700e_body7-crowdpose-640x640", "83.8", "5bafdc11", "20231219"),
)
# Size, side of the images, parameters (M, counted), AP.
_YOLOX_TABLE = (
    ("tiny", 416, 6.05, 52.6),
    ("s", 640, 10.73, 64.1),
    ("m", 640, 29.30, 69.5),
    ("l", 640, 61.27, 71.2),
)

ONE_STAGE = Family(
    "one-stage",
    mmpose={HybridEncoder: _encoder, RTMOHead: _rtmo_head, YOLOXPoseHead: _yolox_head},
    published=(
        *(_rtmo_record(*row) for row in _RTMO_TABLE),
        *(
            PublishedPose(
                name=f"yolox-pose-{size}",
                make=partial(_yolox, size=size),
                codec=yolox_pose_codec,
                skeleton=COCO17,
                input_hw=(side, side),
                normalisation=PIXELS_BGR,
                takes="images",
                parameters=parameters,
                score=f"AP {ap}",
                source="MMPose configs/yoloxpose (COCO val2017, single scale, no flip test)",
                licence=APACHE,
                trained_on=("COCO",),
                golden=("yoloxpose_tiny_256x256",) if size == "tiny" else (),
            )
            for size, side, parameters, ap in _YOLOX_TABLE
        ),
    ),
)
