"""SimpleBaseline's head on ShuffleNetV1 and V2, as in MMPose's model zoo."""

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
from jaxpose.models.shufflenetv1 import ShuffleNetV1
from jaxpose.models.shufflenetv2 import ShuffleNetV2
from jaxpose.skeletons import COCO17

__all__ = ["SHUFFLENET", "ShuffleNetV1", "shufflenet"]

_VERSIONS = ("v1", "v2")


def shufflenet(version: str, num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """SimpleBaseline's head on ShuffleNet of `version` v1 (three groups) or v2, of usual width.

    Heatmaps have a quarter of the image's size.

    Raises:
      InputError: there is no such version.
    """
    if version not in _VERSIONS:
        raise InputError(
            f"Unknown ShuffleNet {version!r}; known: {', '.join(_VERSIONS)}."
            f"{nearest(version, list(_VERSIONS))}"
        )
    backbone = (
        ShuffleNetV1(dtype=dtype)
        if version == "v1"
        else ShuffleNetV2((4, 8, 4), (116, 232, 464, 1024), 3, pooled=True, dtype=dtype)
    )
    return PoseModel(backbone, DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype))


def _first(model: ShuffleNetV1) -> list[Rule]:
    """Rules for MMPose's ShuffleNetV1."""
    rules = layouts.conv_module(r"backbone\.conv1", "backbone/stem")
    layers = {
        "compress": "g_conv_1x1_compress",
        "depthwise": "depthwise_conv3x3_bn",
        "expand": "g_conv_1x1_expand",
    }
    for s in range(len(model.units)):
        for ours, theirs in layers.items():
            rules += layouts.conv_module(
                rf"backbone\.layers\.{s}\.(?P<k>\d+)\.{theirs}",
                f"backbone/stage_{s}_unit_" + "{k}/" + ours,
            )
    return rules


def _second(model: ShuffleNetV2) -> list[Rule]:
    """Rules for MMPose's ShuffleNetV2."""
    rules = layouts.conv_module(r"backbone\.conv1", "backbone/stem")
    rules += layouts.conv_module(rf"backbone\.layers\.{len(model.units)}", "backbone/last")
    layers = {
        "short_depthwise": r"branch1\.0",
        "short_pointwise": r"branch1\.1",
        "expand": r"branch2\.0",
        "depthwise": r"branch2\.1",
        "pointwise": r"branch2\.2",
    }
    for s in range(len(model.units)):
        for ours, theirs in layers.items():
            rules += layouts.conv_module(
                rf"backbone\.layers\.{s}\.(?P<k>\d+)\.{theirs}",
                f"backbone/stage_{s}_unit_" + "{k}/" + ours,
            )
    return rules


_FOLDER = f"{OPENMMLAB}/v1/body_2d_keypoint/topdown_heatmap/coco"

SHUFFLENET = Family(
    "shufflenet",
    mmpose={ShuffleNetV1: _first, ShuffleNetV2: _second},
    published=tuple(
        PublishedPose(
            name=f"shufflenet-{version}" + ("" if hw == (256, 192) else f"-{hw[0]}x{hw[1]}"),
            make=any_size(shufflenet, version),
            codec=msra,
            skeleton=COCO17,
            input_hw=hw,
            parameters={"v1": 6.94, "v2": 7.55}[version],
            score=f"AP {ap}",
            source="AP: MMPose 1.3 model zoo; parameters: counted",
            licence=APACHE,
            trained_on=("COCO",),
            weights=Weights(
                f"{_FOLDER}/td-hm_shufflenet{version}_8xb64-210e_coco-{hw[0]}x{hw[1]}-{file}.pth",
                file.partition("_")[0],
            ),
        )
        for version, hw, ap, file in (
            ("v1", (256, 192), 58.7, "7a7ea4f4_20221013"),
            ("v1", (384, 288), 62.6, "8342f8ba_20221013"),
            ("v2", (256, 192), 60.2, "51fb931e_20221014"),
            ("v2", (384, 288), 63.8, "d30ab55c_20221014"),
        )
    ),
)
