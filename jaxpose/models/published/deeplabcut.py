"""DeepLabCut's HRNets in PyTorch: SuperAnimal's, and those that its users train."""

from dataclasses import replace
from functools import partial

from jaxpose import skeletons
from jaxpose.codecs import Scoremap
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.hrnet import HRNet
from jaxpose.models.published.hrnet import hrnet_pose, official_backbone
from jaxpose.models.published.record import Family, PublishedPose, Weights
from jaxpose.models.scoremap import ScoremapHead

__all__ = ["DEEPLABCUT", "ScoremapHead", "deeplabcut"]


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


def _backbone(model: HRNet) -> list[Rule]:
    """Rules for timm's HRNet within DeepLabCut's model."""
    prefix = r"backbone\.model\."
    return [replace(rule, pattern=prefix + rule.pattern) for rule in official_backbone(model)]


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


_HUB = "https://huggingface.co/mwmathis/DeepLabCutModelZoo-SuperAnimal"

DEEPLABCUT = Family(
    "deeplabcut",
    formats=(
        Format(
            name="DeepLabCut 3 (PyTorch)",
            marker=r"heads\.bodypart\.heatmap_head\..+",
            also=r"backbone\.model\..+",
            head=r"heads\..+",
            tables={HRNet: _backbone, ScoremapHead: _head},
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
    unpublished=tuple(
        PublishedPose(
            name=f"deeplabcut-hrnet-{size.lower()}{'' if refine else '-unrefined'}",
            make=partial(deeplabcut, size, refine=refine),
            codec=partial(Scoremap, refine=refine),
            skeleton=None,
            input_hw=(256, 256),
            padding=1.0,
            parameters=millions,
        )
        for size, millions in (("W18", 9.6), ("W32", 28.5), ("W48", 63.6))
        for refine in (True, False)
    ),
)
