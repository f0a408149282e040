"""SimpleBaseline's head on ResNet's kin: ResNeXt, SE-ResNet, SCNet and ResNeSt."""

import numpy as np

from jaxpose.codecs.heatmap import msra
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
from jaxpose.models.published.resnet import block_names, mmpose_resnet, resnet_backbone
from jaxpose.models.resnet import ResNeSt, ResNet, ResNeXt, SCNet, SEResNet
from jaxpose.skeletons import COCO17

__all__ = ["RESNET_KIN", "ResNeSt", "ResNeXt", "SCNet", "SEResNet", "resnet_kin"]

_KIN = {"resnext": ResNeXt, "seresnet": SEResNet, "scnet": SCNet}
# Blocks of each stage, and channels of the stem (arXiv:2004.08955, and the authors' code).
_RESNEST = {
    50: ((3, 4, 6, 3), 64),
    101: ((3, 4, 23, 3), 128),
    200: ((3, 24, 36, 3), 128),
    269: ((3, 30, 48, 8), 128),
}


def resnet_kin(
    name: str, depth: int, num_keypoints: int = 17, *, dtype: str = "float32"
) -> PoseModel:
    """SimpleBaseline's head on "resnext" (32x4d), "seresnet", "scnet" or "resnest" of a depth.

    Depths are 50, 101 and 152; for "resnest" 50, 101, 200 and 269. Heatmaps have a quarter of the
    image's size.

    Raises:
      InputError: there is no such architecture or depth.
    """
    known = [*_KIN, "resnest"]
    if name not in known:
        raise InputError(f"Unknown architecture {name!r}; known: {known}.{nearest(name, known)}")
    head = DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype)
    if name != "resnest":
        plain = resnet_backbone(depth, dtype=dtype)
        return PoseModel(_KIN[name](plain.blocks, plain.bottleneck, dtype=dtype), head)
    if depth not in _RESNEST:
        depths = ", ".join(map(str, _RESNEST))
        raise InputError(f"Unknown ResNeSt depth {depth!r}; known: {depths}.")
    blocks, stem = _RESNEST[depth]
    return PoseModel(ResNeSt(blocks, stem_width=stem, dtype=dtype), head)


def _excited(model: ResNet) -> list[Rule]:
    """Rules for MMPose's SE-ResNet."""
    rules = mmpose_resnet(model)
    for s in range(len(model.blocks)):
        source, target = block_names(r"backbone\.", s)
        for i in (1, 2):
            excitation = rf"{source}\.se_layer\.conv{i}\.conv"
            rules += layouts.dense(excitation, f"{target}/excitation/fc{i}", kernel=_matrix)
    return rules


def _calibrated(model: ResNet) -> list[Rule]:
    """Rules for MMPose's SCNet."""
    layers = (
        ("plain_0", "conv1", "bn1"),
        ("plain_1", r"k1\.0", r"k1\.1"),
        ("calibrated_0", "conv2", "bn2"),
        ("low", r"scconv\.k2\.1", r"scconv\.k2\.2"),
        ("calibrated_1", r"scconv\.k3\.0", r"scconv\.k3\.1"),
        ("calibrated_2", r"scconv\.k4\.0", r"scconv\.k4\.1"),
        ("joined", "conv3", "bn3"),
    )
    return mmpose_resnet(model, layers)


def _split(model: ResNet) -> list[Rule]:
    """Rules for MMPose's ResNeSt."""
    layers = (
        ("conv_0", "conv1", "bn1"),
        ("splits", r"conv2\.conv", r"conv2\.bn0"),
        ("conv_2", "conv3", "bn3"),
    )
    rules = mmpose_resnet(model, layers)
    for s in range(len(model.blocks)):
        source, target = block_names(r"backbone\.", s)
        first, second = rf"{source}\.conv2\.fc1", rf"{source}\.conv2\.fc2"
        rules += [
            *layouts.dense(first, f"{target}/attention_0/conv", kernel=layouts.conv),
            *layouts.batch_norm(rf"{source}\.conv2\.bn1", f"{target}/attention_0/norm"),
            *layouts.dense(second, f"{target}/attention_1", kernel=_matrix),
        ]
    return rules


def _matrix(weight: np.ndarray) -> np.ndarray:
    """1x1 convolution `[out, in, 1, 1]` -> `[in, out]`."""
    return layouts.linear(weight[:, :, 0, 0])


_SMALL, _LARGE = (256, 192), (384, 288)
# Millions, counted at 17 keypoints.
_PARAMETERS = {
    "resnext": {50: 33.47, 101: 52.62, 152: 68.39},
    "seresnet": {50: 36.53, 101: 57.77, 152: 75.27},
    "scnet": {50: 34.01, 101: 53.01},
    "resnest": {50: 35.93, 101: 56.72, 200: 78.64, 269: 119.37},
}

RESNET_KIN = Family(
    "resnet_kin",
    mmpose={ResNeXt: mmpose_resnet, SEResNet: _excited, SCNet: _calibrated, ResNeSt: _split},
    published=tuple(
        PublishedPose(
            name=f"{name}-{depth}" + ("" if hw == _SMALL else f"-{hw[0]}x{hw[1]}"),
            make=any_size(resnet_kin, name, depth),
            codec=msra,
            skeleton=COCO17,
            input_hw=hw,
            parameters=_PARAMETERS[name][depth],
            score=f"AP {ap}",
            source="AP: MMPose 1.x model zoo; parameters: counted",
            licence=APACHE,
            trained_on=("COCO",),
            weights=Weights(
                f"{OPENMMLAB}/top_down/{name}/{name}{depth}_coco_{hw[0]}x{hw[1]}-{file}.pth",
                file.partition("_")[0],
            ),
        )
        for name, depth, hw, ap, file in (
            ("resnext", 50, _SMALL, 71.5, "dcff15f6_20200727"),
            ("resnext", 50, _LARGE, 72.4, "412c848f_20200727"),
            ("resnext", 101, _SMALL, 72.6, "c7eba365_20200727"),
            ("resnext", 101, _LARGE, 74.4, "f5eabcd6_20200727"),
            ("resnext", 152, _SMALL, 73.0, "102449aa_20200727"),
            ("resnext", 152, _LARGE, 74.2, "806176df_20200727"),
            ("seresnet", 50, _SMALL, 72.9, "25058b66_20200727"),
            ("seresnet", 50, _LARGE, 74.8, "bc0b7680_20200727"),
            ("seresnet", 101, _SMALL, 73.4, "83f29c4d_20200727"),
            ("seresnet", 101, _LARGE, 75.4, "48de1709_20200727"),
            ("seresnet", 152, _SMALL, 73.0, "1c628d79_20200727"),
            ("seresnet", 152, _LARGE, 75.3, "58b23ee8_20200727"),
            ("scnet", 50, _SMALL, 72.8, "6920f829_20200709"),
            ("scnet", 50, _LARGE, 75.1, "9cacd0ea_20200709"),
            ("scnet", 101, _SMALL, 73.3, "6d348ef9_20200709"),
            ("scnet", 101, _LARGE, 75.2, "0b6e631b_20200709"),
            ("resnest", 50, _SMALL, 72.0, "6e65eece_20210320"),
            ("resnest", 50, _LARGE, 73.7, "dcd20436_20210320"),
            ("resnest", 101, _SMALL, 72.5, "2ffcdc9d_20210320"),
            ("resnest", 101, _LARGE, 74.5, "80660658_20210320"),
            ("resnest", 200, _SMALL, 73.1, "db007a48_20210517"),
            ("resnest", 200, _LARGE, 75.3, "b5bb76cb_20210517"),
            ("resnest", 269, _SMALL, 73.7, "2a7882ac_20210517"),
            ("resnest", 269, _LARGE, 75.4, "b142b9fb_20210517"),
        )
    ),
)
