"""DeepLabCut's networks in PyTorch: SuperAnimal's HRNets, and those that its users train."""

from dataclasses import replace
from functools import partial

from jaxpose import skeletons
from jaxpose.codecs import Scoremap
from jaxpose.errors import InputError
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conv import Norm
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.hrnet import HRNet
from jaxpose.models.published.hrnet import hrnet_pose, official_backbone
from jaxpose.models.published.record import Family, PublishedPose, Weights
from jaxpose.models.published.resnet import timm_resnet
from jaxpose.models.resnet import ResNet
from jaxpose.models.scoremap import ScoremapHead

__all__ = ["DEEPLABCUT", "ScoremapHead", "deeplabcut", "deeplabcut_resnet"]


def deeplabcut(
    size: str,
    num_keypoints: int,
    input_hw: tuple[int, int] = (256, 256),
    *,
    refine: bool = True,
    dtype: str = "float32",
) -> PoseModel:
    """HRNet of `size` W18, W32 or W48 with DeepLabCut's head for one animal in a crop.

    The outputs are score maps of a quarter of the image and, with `refine`, offsets
    (`codecs.scoremap`); SuperAnimal's models have none.
    """
    del input_hw  # fully convolutional
    backbone = hrnet_pose(size, dtype=dtype).backbone
    return PoseModel(backbone, ScoremapHead(num_keypoints, refine, dtype=dtype))


def deeplabcut_resnet(
    depth: int,
    num_keypoints: int,
    input_hw: tuple[int, int] = (256, 256),
    *,
    double: bool = True,
    dtype: str = "float32",
) -> PoseModel:
    """DeepLabCut's ResNet of `depth` 50 (with group norm) or 101, of output stride 16.

    With `double`, as for whole images, the maps have stride 8; otherwise, as for crops, 16.
    """
    del input_hw  # fully convolutional
    if depth not in _DEPTHS:
        raise InputError(f"DeepLabCut's ResNet has depth {' or '.join(map(str, _DEPTHS))}.")
    blocks, norm = _DEPTHS[depth]
    backbone = ResNet(blocks, norm=norm, output_stride=16, dtype=dtype)
    return PoseModel(backbone, ScoremapHead(num_keypoints, double=double, dtype=dtype))


_DEPTHS: dict[int, tuple[tuple[int, ...], Norm]] = {
    50: ((3, 4, 6, 3), "group"),
    101: ((3, 4, 23, 3), "batch"),
}


def _backbone(model: HRNet) -> list[Rule]:
    """Rules for timm's HRNet within DeepLabCut's model."""
    return _inside(official_backbone(model))


def _resnet(model: ResNet) -> list[Rule]:
    """Rules for timm's ResNet within DeepLabCut's model."""
    return _inside(timm_resnet(model))


def _inside(rules: list[Rule]) -> list[Rule]:
    return [replace(rule, pattern=r"backbone\.model\." + rule.pattern) for rule in rules]


def _head(head: ScoremapHead) -> list[Rule]:
    """Rules for HeatmapHead: one convolution, or one transposed convolution of a single pixel."""
    rules = []
    for source, target in (("heatmap", "scores"), ("locref", "offsets"))[: 1 + head.refine]:
        place, leaf = rf"heads\.bodypart\.{source}_head", f"params/head/{target}"
        rules += [
            Rule(rf"{place}\.deconv_layers\.0\.weight", f"{leaf}/kernel", layouts.deconv),
            Rule(rf"{place}\.final_conv\.weight", f"{leaf}/kernel", layouts.conv),
            Rule(rf"{place}\.(deconv_layers\.0|final_conv)\.bias", f"{leaf}/bias"),
        ]
    return rules


# The model cards that could be read state an intention and no licence: the careful reading counts.
_LICENCE = "see its model card (intended for research only)"
_HUB = "https://huggingface.co/mwmathis/DeepLabCutModelZoo-SuperAnimal"

DEEPLABCUT = Family(
    "deeplabcut",
    formats=(
        Format(
            name="DeepLabCut 3 (PyTorch)",
            marker=r"heads\.bodypart\.heatmap_head\..+",
            also=r"backbone\.model\..+",
            head=r"heads\..+",
            tables={HRNet: _backbone, ResNet: _resnet, ScoremapHead: _head},
        ),
    ),
    published=tuple(
        PublishedPose(
            name=f"superanimal-{animal}",
            make=partial(deeplabcut, "W32", refine=False),
            codec=partial(Scoremap, refine=False),
            skeleton=skeleton,
            input_hw=(256, 256),
            num_keypoints=skeleton.num_keypoints,
            padding=1.0,
            parameters=28.54,
            source="DeepLabCut's model zoo; arXiv:2203.07436",
            licence=_LICENCE,
            trained_on=(data,),
            weights=Weights(f"{_HUB}-{repository}/resolve/main/{file}.pt"),
        )
        for animal, skeleton, data, repository, file in (
            (
                *("quadruped", skeletons.SUPERANIMAL_QUADRUPED39, "Quadruped-80K", "Quadruped"),
                "superanimal_quadruped_hrnet_w32",
            ),
            (
                *("mouse", skeletons.SUPERANIMAL_MOUSE27, "TopViewMouse-5K", "TopViewMouse"),
                "superanimal_topviewmouse_hrnet_w32",
            ),
        )
    ),
    unpublished=(
        *(
            PublishedPose(
                name=f"deeplabcut-resnet-{depth}{'' if double else '-crops'}",
                make=partial(deeplabcut_resnet, depth, double=double),
                codec=partial(Scoremap, stride=8 if double else 16, beyond=int(double)),
                skeleton=None,
                input_hw=(256, 256),
                padding=1.0,
                parameters=millions,
            )
            for depth, millions in ((50, 23.61), (101, 42.61))
            for double in (True, False)
        ),
        *(
            PublishedPose(
                name=f"deeplabcut-hrnet-{size.lower()}{'' if refine else '-unrefined'}",
                make=partial(deeplabcut, size, refine=refine),
                codec=partial(Scoremap, refine=refine),
                skeleton=None,
                input_hw=(256, 256),
                padding=1.0,
                parameters=millions,
            )
            for size, millions in (("W18", 9.32), ("W32", 28.54), ("W48", 63.6))
            for refine in (True, False)
        ),
    ),
)
