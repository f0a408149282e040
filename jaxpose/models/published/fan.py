"""FAN: landmarks of faces in 2D, and those of the 3D face seen in the image."""

from functools import partial

from jaxpose import skeletons
from jaxpose.codecs import CellHeatmap
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.face_depth import FaceDepth
from jaxpose.models.fan import FANHead, FANStem
from jaxpose.models.normalisation import UNIT_RGB
from jaxpose.models.published.record import Family, PublishedPose, Weights
from jaxpose.models.published.resnet import timm_resnet
from jaxpose.models.resnet import ResNet

__all__ = ["FAN", "FANHead", "FANStem", "fan"]


def fan(
    num_keypoints: int = 68,
    input_hw: tuple[int, int] = (256, 256),
    *,
    stacks: int = 4,
    dtype: str = "float32",
) -> PoseModel:
    """FAN (Bulat & Tzimiropoulos 2017, arXiv:1703.07332) with `stacks` hourglasses.

    In training every stack has heatmaps, of a quarter of the image.
    """
    del input_hw  # fully convolutional
    return PoseModel(FANStem(dtype=dtype), FANHead(num_keypoints, stacks, dtype=dtype))


def _block(source: str, target: str) -> list[Rule]:
    """Rules for a `HierarchicalBlock`."""
    rules = layouts.batch_norm(rf"{source}\.downsample\.0", f"{target}/shortcut_norm")
    rules.append(
        Rule(
            rf"{source}\.downsample\.2\.weight",
            f"params/{target}/shortcut_conv/kernel",
            layouts.conv,
        )
    )
    for i in range(3):
        rules += layouts.batch_norm(rf"{source}\.bn{i + 1}", f"{target}/norm_{i}")
        rules.append(
            Rule(
                rf"{source}\.conv{i + 1}\.weight", f"params/{target}/conv_{i}/kernel", layouts.conv
            )
        )
    return rules


def _stem(stem: FANStem) -> list[Rule]:
    """Rules for the first layers of face-alignment's FAN."""
    del stem
    rules = layouts.dense("conv1", "backbone/conv", kernel=layouts.conv)
    rules += layouts.batch_norm("bn1", "backbone/norm")
    for i in range(3):
        rules += _block(f"conv{i + 2}", f"backbone/block_{i}")
    return rules


def _head(head: FANHead) -> list[Rule]:
    """Rules for the hourglasses of face-alignment's FAN, whose levels are numbered from inside."""
    rules = []
    for s in range(head.stacks):
        for level in range(4):
            for source, target in (
                ("b1", "up"),
                ("b2", "down"),
                ("b2_plus", "innermost"),
                ("b3", "back"),
            ):
                place = f"head/hourglass_{s}_{target}_{level}"
                rules += _block(rf"m{s}\.{source}_{4 - level}", place)
        rules += _block(f"top_m_{s}", f"head/after_{s}")
        rules += layouts.batch_norm(f"bn_end{s}", f"head/norm_{s}")
        for source, target in (
            ("conv_last", "conv"),
            ("l", "maps"),
            ("bl", "features_again"),
            ("al", "maps_again"),
        ):
            rules += layouts.dense(f"{source}{s}", f"head/{target}_{s}", kernel=layouts.conv)
    return rules


def face_depth_rules(model: FaceDepth) -> list[Rule]:
    """Rules for face-alignment's network of depths, with torchvision's names of a ResNet."""
    backbone = ResNet(blocks=model.blocks)
    return [*timm_resnet(backbone), *layouts.dense("fc", "linear")]


def _codec(input_hw: tuple[int, int]) -> CellHeatmap:
    return CellHeatmap(input_hw, (input_hw[0] // 4, input_hw[1] // 4))


_ADDRESS = "https://www.adrianbulat.com/downloads/python-fan"
# A square of 200 pixels is 195 pixels of the sum of a face box's sides.
PADDING = 2 * 200 / 195
"""Enlargement of a face's box to the crop of FAN."""

FAN = Family(
    "fan",
    formats=(
        Format(
            name="face-alignment",
            marker=r"m0\.b2_plus_1\.conv1\.weight",
            head=r"(m|top_m_|conv_last|l|bl|al|bn_end)\d+\..+",
            tables={FANStem: _stem, FANHead: _head},
            dataset="300W",
            licence="BSD-3-Clause",
        ),
    ),
    published=tuple(
        PublishedPose(
            name=name,
            make=fan,
            codec=_codec,
            skeleton=skeletons.FACE68,
            input_hw=(256, 256),
            num_keypoints=68,
            padding=PADDING,
            normalisation=UNIT_RGB,
            parameters=23.82,
            source=f"1adrianb/face-alignment 1.1, {what}; arXiv:1703.07332",
            licence="BSD-3-Clause",
            trained_on=("300W-LP",),
            weights=Weights(f"{_ADDRESS}/{file}.pth.tar", file.rpartition("-")[2]),
            only_by_name=name == "fan-3d",
        )
        for name, file, what in (
            ("fan-2d", "2DFAN4-11f355bf06", "landmarks as seen"),
            ("fan-3d", "3DFAN4-7835d9f11d", "landmarks of the 3D face, projected to the image"),
        )
    ),
    unpublished=tuple(
        PublishedPose(
            name=f"fan-{stacks}",
            make=partial(fan, stacks=stacks),
            codec=_codec,
            skeleton=None,
            input_hw=(256, 256),
            num_keypoints=68,
            padding=PADDING,
            normalisation=UNIT_RGB,
        )
        for stacks in (1, 2, 3)
    ),
)
