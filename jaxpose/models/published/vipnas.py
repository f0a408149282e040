"""ViPNAS: searched trunks and heads of grouped deconvolutions, as in MMPose's model zoo."""

import numpy as np

from jaxpose.codecs.heatmap import dark, msra
from jaxpose.errors import InputError, nearest
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.conversion import Rule
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.record import (
    APACHE,
    OPENMMLAB,
    Family,
    PublishedPose,
    Weights,
    any_size,
)
from jaxpose.models.vipnas import ViPNASMobileNet, ViPNASResNet
from jaxpose.skeletons import COCO17, COCO_WHOLEBODY133

__all__ = ["VIPNAS", "ViPNASMobileNet", "ViPNASResNet", "vipnas"]

_TRUNKS = ("res50", "mbv3")


def vipnas(trunk: str, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """ViPNAS (Xu et al. 2021, arXiv:2105.10154) with the residual trunk "res50", or "mbv3".

    Heatmaps have a quarter of the image's size.

    Raises:
      InputError: there is no such trunk.
    """
    if trunk not in _TRUNKS:
        raise InputError(
            f"Unknown trunk {trunk!r}; known: {', '.join(_TRUNKS)}.{nearest(trunk, list(_TRUNKS))}"
        )
    backbone: ViPNASResNet | ViPNASMobileNet
    if trunk == "res50":
        backbone, channels, groups = ViPNASResNet(dtype=dtype), 144, 16
    else:
        backbone, channels, groups = ViPNASMobileNet(dtype=dtype), 160, 160
    head = DeconvHead(num_keypoints, (channels,) * 3, dtype=dtype, deconv_groups=groups)
    return PoseModel(backbone, head)


def _residual(model: ViPNASResNet) -> list[Rule]:
    """Rules for MMPose's ViPNAS_ResNet."""
    layers = [("conv1", "bn1", "stem")]
    rules: list[Rule] = []
    for s, stage in enumerate(model.stages):
        source, target = rf"layer{s + 1}\.(?P<b>\d+)", f"stage_{s}_block_{{b}}"
        layers += [
            (rf"{source}\.conv{i + 1}", rf"{source}\.bn{i + 1}", f"{target}/conv_{i}")
            for i in range(3)
        ]
        layers.append(
            (rf"{source}\.downsample\.0", rf"{source}\.downsample\.1", f"{target}/shortcut")
        )
        if stage.attention:
            theirs, ours = rf"backbone\.{source}\.attention", f"backbone/{target}/attention"
            rules += layouts.dense(rf"{theirs}\.conv_mask", f"{ours}/mask", kernel=_dense)
            rules += layouts.dense(rf"{theirs}\.channel_add_conv\.0", f"{ours}/fc1", kernel=_dense)
            rules += layouts.dense(rf"{theirs}\.channel_add_conv\.3", f"{ours}/fc2", kernel=_dense)
            for array, ours_array in (("weight", "scale"), ("bias", "bias")):
                rules.append(
                    Rule(
                        rf"{theirs}\.channel_add_conv\.1\.{array}",
                        f"params/{ours}/norm/{ours_array}",
                        layouts.flat,
                    )
                )
    for conv, norm, target in layers:
        rules += [
            Rule(
                rf"backbone\.{conv}\.weight", f"params/backbone/{target}/conv/kernel", layouts.conv
            ),
            *layouts.batch_norm(rf"backbone\.{norm}", f"backbone/{target}/norm"),
        ]
    return rules


def _mobile(model: ViPNASMobileNet) -> list[Rule]:
    """Rules for MMPose's ViPNAS_MobileNetV3, whose blocks are counted over all stages."""
    rules = layouts.conv_module(r"backbone\.conv1", "backbone/stem")
    number = 0
    for s, stage in enumerate(model.stages):
        for b in range(stage.blocks):
            number += 1
            source, target = rf"backbone\.layer{number}", f"backbone/stage_{s}_block_{b}"
            names = {"grouped": "depthwise_conv", "project": "linear_conv"}
            if stage.expansion > 1:
                names["expand"] = "expand_conv"
            for ours, theirs in names.items():
                rules += layouts.conv_module(rf"{source}\.{theirs}", f"{target}/{ours}")
            for i in (1, 2) if stage.attention else ():
                rules += layouts.dense(
                    rf"{source}\.se\.conv{i}\.conv", f"{target}/fc{i}", kernel=_dense
                )
    return rules


def _dense(weight: np.ndarray) -> np.ndarray:
    """`[out, in, 1, 1]` -> `[in, out]`."""
    return layouts.linear(weight[..., 0, 0])


_V1 = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco/td-hm_vipnas"
_OLD = f"{OPENMMLAB}/top_down/vipnas/vipnas"

VIPNAS = Family(
    "vipnas",
    mmpose={ViPNASResNet: _residual, ViPNASMobileNet: _mobile},
    published=tuple(
        PublishedPose(
            name=f"vipnas-{trunk}{kind}",
            make=any_size(vipnas, trunk),
            codec=dark if kind.endswith("dark") else msra,
            skeleton=COCO_WHOLEBODY133 if kind else COCO17,
            num_keypoints=133 if kind else 17,
            input_hw=(256, 192),
            parameters={"res50": (7.29, 7.3), "mbv3": (5.9, 5.91)}[trunk][bool(kind)],
            score=f"AP {ap}",
            source=f"{'whole-body ' if kind else ''}AP: MMPose 1.3 model zoo; parameters: counted",
            licence=APACHE,
            trained_on=("COCO-WholeBody" if kind else "COCO",),
            weights=Weights(f"{file}.pth", file.rpartition("-")[2].partition("_")[0]),
        )
        for trunk, kind, ap, file in (
            ("res50", "", 71.1, f"{_V1}-res50_8xb64-210e_coco-256x192-35d4bff9_20220917"),
            ("mbv3", "", 70.0, f"{_V1}-mbv3_8xb64-210e_coco-256x192-e0987441_20221010"),
            ("res50", "-wholebody", 49.5, f"{_OLD}_res50_wholebody_256x192-49e1c3a4_20211112"),
            (
                *("res50", "-wholebody-dark", 52.8),
                f"{_OLD}_res50_wholebody_256x192_dark-67c0ce35_20211112",
            ),
            ("mbv3", "-wholebody", 47.3, f"{_OLD}_mbv3_coco_wholebody_256x192-0fee581a_20211205"),
            (
                *("mbv3", "-wholebody-dark", 50.8),
                f"{_OLD}_mbv3_coco_wholebody_256x192_dark-e2158108_20211205",
            ),
        )
    ),
)
