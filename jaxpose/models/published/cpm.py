"""Convolutional pose machines, with the weights of MMPose's model zoo."""

import numpy as np

from jaxpose.codecs.heatmap import Heatmap, msra
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.cpm import CPMHead, CPMTrunk
from jaxpose.models.published.heads import MM_RULES
from jaxpose.models.published.record import (
    APACHE,
    OPENMMLAB,
    Family,
    PublishedPose,
    Weights,
    any_size,
)
from jaxpose.skeletons import COCO17

__all__ = ["CPM", "CPMHead", "CPMTrunk", "cpm"]


def cpm(num_keypoints: int = 17, *, stages: int = 6, dtype: str = "float32") -> PoseModel:
    """Convolutional pose machine (Wei et al. 2016, arXiv:1602.00134) for one person in a crop.

    Heatmaps have an eighth of the image's size; in training every stage has them.
    """
    return PoseModel(CPMTrunk(dtype=dtype), CPMHead(num_keypoints, stages, dtype=dtype))


def _codec(input_hw: tuple[int, int]) -> Heatmap:
    return msra(input_hw, heatmap_hw=(input_hw[0] // 8, input_hw[1] // 8))


def _conv_norm(source: str, target: str) -> list[Rule]:
    return layouts.conv_module(rf"backbone\.{source}", target)


def _trunk(trunk: CPMTrunk) -> list[Rule]:
    """Rules for the layers that see the image alone."""
    del trunk
    rules = []
    for place, layer in enumerate((0, 2, 4, 6, 7, 8)):
        rules += _conv_norm(rf"stem\.{layer}", f"backbone/first_{place}")
    for place, layer in enumerate((0, 2, 4)):
        rules += _conv_norm(rf"middle\.{layer}", f"backbone/later_{place}")
    return rules


def _head(head: CPMHead) -> list[Rule]:
    """Rules for the stages; MMPose numbers them from 0 after the first one."""
    rules = layouts.dense(r"backbone\.stem\.9\.conv", "head/stage_0_maps", kernel=_matrix)
    for s in range(1, head.stages):
        name = f"head/stage_{s}"
        rules += _conv_norm(rf"middle_conv\.{s - 1}\.0", f"{name}_image")
        for i in range(3):
            rules += _conv_norm(rf"cpm_stages\.{s - 1}\.model\.{i}", f"{name}_{i}")
        rules += _conv_norm(rf"out_convs\.{s - 1}\.0", f"{name}_3")
        last = rf"backbone\.out_convs\.{s - 1}\.1\.conv"
        rules += layouts.dense(last, f"{name}_maps", kernel=_matrix)
    return rules


def _matrix(weight: np.ndarray) -> np.ndarray:
    """1x1 convolution `[out, in, 1, 1]` -> `[in, out]`."""
    return layouts.linear(weight[:, :, 0, 0])


_FOLDER = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco"

CPM = Family(
    "cpm",
    formats=(
        Format(
            name="MMPose's CPM",
            marker=r"backbone\.cpm_stages\..+",
            head=r"backbone\.(stem\.9|cpm_stages|middle_conv|out_convs)\..+",
            tables={CPMTrunk: _trunk, CPMHead: _head},
            rules=MM_RULES,
        ),
    ),
    published=tuple(
        PublishedPose(
            name="cpm" if hw == (256, 192) else f"cpm-{hw[0]}x{hw[1]}",
            make=any_size(cpm),
            codec=_codec,
            skeleton=COCO17,
            input_hw=hw,
            parameters=31.3,
            score=f"AP {ap}",
            source="AP: MMPose 1.3 model zoo; parameters: counted",
            licence=APACHE,
            trained_on=("COCO",),
            weights=Weights(f"{_FOLDER}/td-hm_cpm_{file}.pth", file.split("-")[-1].split("_")[0]),
        )
        for hw, ap, file in (
            ((256, 192), 62.7, "8xb64-210e_coco-256x192-0e978875_20220920"),
            ((384, 288), 65.2, "8xb32-210e_coco-384x288-165487b8_20221011"),
        )
    ),
)
