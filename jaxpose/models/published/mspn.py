"""MSPN and RSN, with the weights of MMPose's model zoo."""

from functools import partial

from jaxpose.codecs import Megvii
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.mspn import MSPN, PyramidHeads
from jaxpose.models.published.record import (
    APACHE,
    OPENMMLAB,
    Family,
    PublishedPose,
    Weights,
    any_size,
)
from jaxpose.skeletons import COCO17

__all__ = ["MSPN", "MSPN_RSN", "PyramidHeads", "mspn"]

_BLOCKS = {
    "mspn-50": ((3, 4, 6, 3), "bottleneck"),
    "rsn-18": ((2, 2, 2, 2), "steps"),
    "rsn-50": ((3, 4, 6, 3), "steps"),
}


def mspn(
    name: str, stages: int = 1, num_keypoints: int = 17, *, dtype: str = "float32"
) -> PoseModel:
    """MSPN (arXiv:1901.00148), "mspn-50", or RSN (arXiv:2003.04030), "rsn-18" or "rsn-50".

    In training all four maps of every stage have heatmaps, of a quarter of the image's size, with
    narrower targets for finer maps and for the last stage: `codecs.MegviiCoarseToFine` and
    `losses.LossOfEach`, as in `configs/coco_mspn50.py`.

    Raises:
      InputError: there is no such network.
    """
    if name not in _BLOCKS:
        raise InputError(
            f"Unknown network {name!r}; known: {', '.join(_BLOCKS)}.{nearest(name, _BLOCKS)}"
        )
    blocks, block = _BLOCKS[name]
    backbone = MSPN(blocks, stages, block, dtype=dtype)  # type: ignore[arg-type]
    return PoseModel(backbone, PyramidHeads(num_keypoints, dtype))


def _backbone(model: MSPN) -> list[Rule]:
    """Rules for MMPose's MSPN and RSN."""
    rules = layouts.conv_module(r"backbone\.top\.top\.0", "backbone/stem")
    stage = rf"backbone\.multi_stage_{'rsn' if model.block == 'steps' else 'mspn'}\.(?P<s>\d+)"
    for i in range(len(model.blocks)):
        source = rf"{stage}\.downsample\.layer{i + 1}\.(?P<k>\d+)"
        target = "backbone/stage_{s}_level_" + str(i) + "_block_{k}"
        rules += layouts.conv_module(rf"{source}\.downsample", f"{target}/shortcut")
        if model.block == "steps":
            rules += layouts.conv_module(rf"{source}\.conv_bn_relu1", f"{target}/expand")
            rules += layouts.conv_module(rf"{source}\.conv_bn3", f"{target}/joined")
            for b in range(4):
                for j in range(b + 1):
                    step = rf"{source}\.conv_bn_relu2_{b + 1}_{j + 1}"
                    rules += layouts.conv_module(step, f"{target}/step_{b}_{j}")
        else:
            for c in range(3):
                rules += layouts.conv_norm(
                    rf"{source}\.conv{c + 1}", rf"{source}\.bn{c + 1}", f"{target}/conv_{c}"
                )
        up = rf"{stage}\.upsample\.up{len(model.blocks) - i}"
        for ours, theirs in (
            ("skip", "in_skip"),
            ("path", "up_conv"),
            ("out_0", "out_skip1"),
            ("out_1", "out_skip2"),
        ):
            rules += layouts.conv_module(
                rf"{up}\.{theirs}", "backbone/stage_{s}_up_" + f"{i}_{ours}"
            )
    return rules + layouts.conv_module(
        rf"{stage}\.upsample\.up4\.cross_conv", "backbone/stage_{s}_cross"
    )


def _heads(head: PyramidHeads) -> list[Rule]:
    """Rules for MMPose's MSPNHead."""
    del head
    return [
        rule
        for i in range(2)
        for rule in layouts.conv_module(
            rf"head\.predict_layers\.(?P<m>\d+)\.conv_layers\.{i}", "head/map_{m}_" + str(i)
        )
    ]


def _megvii(kernel_size: int, input_hw: tuple[int, int]) -> Megvii:
    return Megvii(input_hw, (input_hw[0] // 4, input_hw[1] // 4), kernel_size)


_V1 = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_"
_OLD = f"{OPENMMLAB}/top_down/mspn/"

# Parameters are counted at 17 keypoints, in millions.
_PUBLISHED = tuple(
    PublishedPose(
        name=name if stages == 1 else f"{name}-{stages}x",
        make=any_size(mspn, name, stages),
        codec=partial(_megvii, 5),
        skeleton=COCO17,
        input_hw=(256, 192),
        parameters=parameters,
        score=f"AP {ap}",
        source="AP: MMPose 1.3 model zoo; parameters: counted",
        licence=APACHE,
        trained_on=("COCO",),
        weights=Weights(f"{file}.pth", file.rpartition("-")[2].partition("_")[0]),
    )
    for name, stages, parameters, ap, file in (
        ("mspn-50", 1, 25.11, 72.3, f"{_OLD}mspn50_coco_256x192-8fbfb5d0_20201123"),
        ("mspn-50", 2, 56.8, 75.4, f"{_OLD}2xmspn50_coco_256x192-c8765a5c_20201123"),
        ("mspn-50", 3, 88.49, 75.8, f"{_OLD}3xmspn50_coco_256x192-e348f18e_20201123"),
        ("mspn-50", 4, 120.18, 76.5, f"{_OLD}4xmspn50_coco_256x192-7b837afb_20201123"),
        ("rsn-18", 1, 9.14, 70.4, f"{_V1}rsn18_8xb32-210e_coco-256x192-9049ed09_20221013"),
        ("rsn-50", 1, 19.33, 72.4, f"{_V1}rsn50_8xb32-210e_coco-256x192-c35901d5_20221013"),
        ("rsn-50", 2, 39.26, 74.8, f"{_V1}2xrsn50_8xb32-210e_coco-256x192-9ede341e_20221013"),
        ("rsn-50", 3, 59.2, 75.0, f"{_V1}3xrsn50_8xb32-210e_coco-256x192-c3e3c4fe_20221013"),
    )
)

MSPN_RSN = Family(
    "mspn",
    mmpose={MSPN: _backbone, PyramidHeads: _heads},
    published=_PUBLISHED,
)
