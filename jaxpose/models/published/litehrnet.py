"""Lite-HRNet for pose, and PP-TinyPose. Lite-HRNet's own code and MMPose use the same names."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

from jaxpose.codecs.heatmap import dark, msra
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conv import Norm
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.litehrnet import LiteHRNet
from jaxpose.models.published.record import APACHE, Family, PublishedPose, any_size
from jaxpose.skeletons import COCO17

__all__ = ["LITEHRNET", "LiteHRNet", "litehrnet", "tinypose"]

# Width of the first branch, modules of each stage, block. arXiv:2104.06403, table 1 and its code.
_SIZES: dict[str, tuple[int, tuple[int, ...], Literal["weighting", "shuffle"]]] = {
    "18": (40, (2, 4, 2), "weighting"),
    "30": (40, (3, 8, 3), "weighting"),
    "naive-18": (30, (2, 4, 2), "shuffle"),
    "wider-naive-18": (40, (2, 4, 2), "shuffle"),
}


def litehrnet(
    size: str, num_keypoints: int = 17, *, dtype: str = "float32", norm: Norm = "batch"
) -> PoseModel:
    """Lite-HRNet (Yu et al. 2021, arXiv:2104.06403) of `size` 18, 30, naive-18, wider-naive-18.

    A 1x1 convolution on the highest-resolution branch gives heatmaps of a quarter of the image.
    `norm` is an attribute of the backbone (see `LiteHRNet`).
    """
    if size not in _SIZES:
        raise InputError(
            f"Unknown Lite-HRNet size {size!r}; known: {', '.join(_SIZES)}.{nearest(size, _SIZES)}"
        )
    width, modules, block = _SIZES[size]
    backbone = LiteHRNet(
        channels=(width, 2 * width, 4 * width, 8 * width),
        modules=modules,
        block=block,
        dtype=dtype,
        norm=norm,
    )
    return PoseModel(backbone, DeconvHead(num_keypoints, (), dtype=dtype))


def tinypose(num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """PP-TinyPose (PaddleDetection, configs/keypoint/tiny_pose): Lite-HRNet wider-naive-18.

    Its weights have the batch norms folded into the convolutions, so the model has a bias in place
    of each norm. Training starts from exactly the published outputs, and needs a small learning
    rate, as networks without norms do. From random weights, train `litehrnet("wider-naive-18")`.
    """
    return litehrnet("wider-naive-18", num_keypoints, dtype=dtype, norm="none")


def _tinypose(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # fully convolutional
    return tinypose(num_keypoints)


def _mmpose(model: LiteHRNet) -> list[Rule]:
    """Rules for LiteHRNet with weighting or with shuffle blocks."""
    stem = r"backbone\.stem"
    return [
        *layouts.conv_module(rf"{stem}\.conv1", "backbone/stem/conv"),
        *layouts.conv_module(rf"{stem}\.expand_conv", "backbone/stem/expand"),
        *_separable((rf"{stem}\.branch1\.0", rf"{stem}\.branch1\.1"), "backbone/stem/first_half"),
        *_separable(
            (rf"{stem}\.depthwise_conv", rf"{stem}\.linear_conv"), "backbone/stem/second_half"
        ),
        # A branch that only changes width is one layer, a new one is a list of one.
        *_sequence(
            r"backbone\.transition(?P<s>\d+)\.(?P<b>\d+)(\.0)?", "backbone/stage_{s}_transition_{b}"
        ),
        *_module(r"backbone\.stage(?P<s>\d+)\.(?P<m>\d+)", "backbone/stage_{s}_module_{m}", model),
        *_merge(model),
    ]


def _module(source: str, target: str, model: LiteHRNet) -> list[Rule]:
    fuse = source + r"\.fuse_layers\.(?P<i>\d+)\.(?P<j>\d+)"
    rules = [
        *layouts.conv_norm(rf"{fuse}\.0", rf"{fuse}\.1", target + "/fusion/to_{i}_from_{j}"),
        *_sequence(fuse + r"\.(?P<k>\d+)", target + "/fusion/to_{i}_from_{j}_{k}"),
    ]
    if model.block == "shuffle":
        block = source + r"\.layers\.(?P<b>\d+)\.(?P<k>\d+)\.branch2"
        name = target + "/branch_{b}_block_{k}"
        return [
            *rules,
            *layouts.conv_module(rf"{block}\.0", f"{name}/expand"),
            *_separable((rf"{block}\.1", rf"{block}\.2"), f"{name}/separable"),
        ]
    block, name = source + r"\.layers\.(?P<k>\d+)", target + "/block_{k}"
    rules += layouts.conv_module(block + r"\.depthwise_convs\.(?P<b>\d+)", name + "/depthwise_{b}")
    for i, part in enumerate(("squeeze", "excite"), start=1):
        cross = rf"{block}\.cross_resolution_weighting\.conv{i}"
        spatial = block + rf"\.spatial_weighting\.(?P<b>\d+)\.conv{i}\.conv"
        rules += layouts.conv_module(cross, f"{name}/cross_resolution/{part}")
        rules += layouts.dense(
            spatial, name + "/spatial_{b}/" + part, kernel=lambda w: layouts.conv(w)[0, 0]
        )
    return rules


def _merge(model: LiteHRNet) -> list[Rule]:
    rules = []
    for i in range(len(model.channels)):  # from the lowest resolution up
        project = rf"backbone\.head_layer\.projects\.{i}"
        rules += _separable(
            (rf"{project}\.depthwise_conv", rf"{project}\.pointwise_conv"),
            f"backbone/merge_{len(model.channels) - 1 - i}",
        )
    return rules


def _paddle(model: LiteHRNet) -> list[Rule]:
    """Rules for LiteHRNet with shuffle blocks in PaddleDetection, exported to OpenVINO.

    Norms are numbered in the order in which the network is built; each is folded into a
    convolution, so only a model without norms has rules.
    """
    rules = []
    for i, name in enumerate(_built(model) if model.norm == "none" else ()):
        rules += layouts.folded_openvino(rf"batch_norm2d_{i}\.b_0", f"params/backbone/{name}")
    return rules


def _built(model: LiteHRNet) -> Iterator[str]:
    """Yield the convolutions of a backbone in the order in which PaddleDetection builds them."""
    separable = ("depthwise", "pointwise")
    yield "stem/conv"
    yield from (f"stem/first_half/{part}" for part in separable)
    yield "stem/expand"
    yield from (f"stem/second_half/{part}" for part in separable)
    widths: list[int] = [model.stem_channels]
    for s, modules in enumerate(model.modules):
        for b in range(s + 2):
            if b == len(widths) or widths[b] != model.channels[b]:
                yield from (f"stage_{s}_transition_{b}/{part}" for part in separable)
        widths = list(model.channels[: s + 2])
        for m in range(modules):
            yield from (f"stage_{s}_module_{m}/{name}" for name in _module_built(model, s + 2))
    for b in reversed(range(len(model.channels))):
        yield from (f"merge_{b}/{part}" for part in separable)


def _module_built(model: LiteHRNet, branches: int) -> Iterator[str]:
    for b in range(branches):
        for k in range(model.blocks):
            block = f"branch_{b}_block_{k}"
            yield from (f"{block}/expand", f"{block}/separable/depthwise")
            yield f"{block}/separable/pointwise"
    for i in range(branches):
        for j in range(branches):
            name = f"fusion/to_{i}_from_{j}"
            if j > i:
                yield name
            for k in range(i - j):
                yield from (f"{name}_{k}/depthwise", f"{name}_{k}/pointwise")


def _paddle_head(head: DeconvHead) -> list[Rule]:
    """Rules for the head of PP-TinyPose, the only convolution without a norm."""
    del head
    return [
        Rule(r"conv2d_\d+\.w_0", "params/head/final/kernel", layouts.conv),
        Rule(r"conv2d_\d+\.w_0/Add", "params/head/final/bias", layouts.flat),
    ]


_OPENVINO = Format(
    name="PP-TinyPose (OpenVINO)",
    marker=r"nearest_interp_v2_\d+\.tmp_\d+/Interpolate",
    head=r"conv2d_\d+\.w_0(/Add)?",
    tables={LiteHRNet: _paddle, DeconvHead: _paddle_head},
    rules=(
        Rule(
            r"nearest_interp_v2_\d+\.tmp_\d+/Interpolate|Constant_\d+/(Add|Interpolate|Multiply)",
            None,
            reason="a factor of an enlargement, which follows from the shapes",
        ),
    ),
    dataset="coco",
)


def _separable(sources: tuple[str, str], target: str) -> list[Rule]:
    """Rules for a depthwise and a 1x1 convolution, which are two modules in the source."""
    return [
        *layouts.conv_module(sources[0], f"{target}/depthwise"),
        *layouts.conv_module(sources[1], f"{target}/pointwise"),
    ]


def _sequence(source: str, target: str) -> list[Rule]:
    """Rules for a depthwise and a 1x1 convolution with their norms, in one sequence."""
    return [
        *layouts.conv_norm(rf"{source}\.0", rf"{source}\.1", f"{target}/depthwise"),
        *layouts.conv_norm(rf"{source}\.2", rf"{source}\.3", f"{target}/pointwise"),
    ]


# AP: COCO val2017 with the detections of 56.4 person AP, flip test.
_PUBLISHED = tuple(
    PublishedPose(
        name=f"litehrnet-{size}{suffix}",
        make=any_size(litehrnet, size),
        codec=msra,
        skeleton=COCO17,
        input_hw=input_hw,
        parameters=parameters,
        gflops=gflops,
        score=score,
        source="arXiv:2104.06403, table 3, and its code",
        trained_on=("COCO",),
        golden=golden,
    )
    for size, suffix, input_hw, parameters, gflops, score, golden in (
        ("18", "", (256, 192), 1.1, 0.2052, "AP 64.8", ("litehrnet18_256x192",)),
        ("18", "-384", (384, 288), 1.1, 0.4616, "AP 67.6", ()),
        ("30", "", (256, 192), 1.8, 0.3192, "AP 67.2", ()),
        ("30", "-384", (384, 288), 1.8, 0.7178, "AP 70.4", ()),
        ("naive-18", "", (256, 192), 0.7, 0.1948, "AP 62.8", ()),
        ("wider-naive-18", "", (256, 192), 1.3, 0.3111, "AP 66.0", ()),
    )
)

# AP: COCO val2017 with the annotated boxes. The official addresses have PaddlePaddle's own files,
# which cannot be read here.
_TINYPOSE = tuple(
    PublishedPose(
        name=name,
        make=_tinypose,
        codec=partial(dark, blur_kernel=3),
        skeleton=COCO17,
        input_hw=(height, width),
        padding=1.1,
        parameters=1.32,
        score=score,
        source="PaddleDetection configs/keypoint/tiny_pose",
        licence=APACHE,
        trained_on=("COCO", "AI Challenger"),
    )
    for name, height, width, score in (
        ("tinypose", 256, 192, "AP 68.3"),
        ("tinypose-128x96", 128, 96, "AP 58.4"),
    )
)

LITEHRNET = Family(
    "litehrnet",
    mmpose={LiteHRNet: _mmpose},
    formats=(_OPENVINO,),
    published=(*_PUBLISHED, *_TINYPOSE),
)
