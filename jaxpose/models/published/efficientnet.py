"""EfficientNet-Lite0 with SimpleBaseline's head, and as an ImageNet classifier."""

from collections.abc import Iterator

from jaxpose.codecs.heatmap import msra
from jaxpose.models import layouts
from jaxpose.models.build import PoseModel
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.efficientnet import NORM_EPSILON, STAGES, EfficientNetLite
from jaxpose.models.heads import DeconvHead
from jaxpose.models.published.record import (
    APACHE,
    Family,
    PublishedBackbone,
    PublishedPose,
    Weights,
)

__all__ = ["EFFICIENTNET", "EfficientNetLite", "efficientnet_classifier", "efficientnet_pose"]


def efficientnet_pose(num_keypoints: int = 17, *, dtype: str = "float32") -> PoseModel:
    """EfficientNet-Lite0 (arXiv:1905.11946) and three deconvolutions (arXiv:1804.06208).

    Heatmaps of a quarter of the image.
    """
    head = DeconvHead(num_keypoints, (256, 256, 256), dtype=dtype)
    return PoseModel(EfficientNetLite(dtype), head)


def efficientnet_classifier(num_classes: int = 1000, *, dtype: str = "float32") -> PoseModel:
    """EfficientNet-Lite0 as a classifier of images; logits `[B, num_classes]`."""
    head = ClassificationHead(num_classes, dtype=dtype, conv_features=1280)
    return PoseModel(EfficientNetLite(dtype), head)


def _pose(num_keypoints: int, input_hw: tuple[int, int]) -> PoseModel:
    del input_hw  # fully convolutional
    return efficientnet_pose(num_keypoints)


def _parts(s: int) -> tuple[str, ...]:
    """Convolutions of the blocks of a stage."""
    return ("depthwise", "project") if STAGES[s][0] == 1 else ("expand", "depthwise", "project")


def _blocks() -> Iterator[tuple[int, int]]:
    """Yield stage and block of every block, in order."""
    for s, (_, _, blocks, _, _) in enumerate(STAGES):
        yield from ((s, k) for k in range(blocks))


def _torch(model: EfficientNetLite) -> list[Rule]:
    """Rules for EfficientNet-Lite in efficientnet_lite_pytorch: blocks are numbered through."""
    del model
    rules = _pair("_conv_stem", "_bn0", "backbone/stem")
    numbers = {"expand": 0, "depthwise": 1, "project": 2}
    for n, (s, k) in enumerate(_blocks()):
        for part in _parts(s):
            source = rf"_blocks\.{n}"
            rules += _pair(
                rf"{source}\._{part}_conv",
                rf"{source}\._bn{numbers[part]}",
                f"backbone/stage_{s}_block_{k}/{part}",
            )
    return rules


def _torch_classifier(head: ClassificationHead) -> list[Rule]:
    del head
    return _pair("_conv_head", "_bn1", "head/conv") + layouts.dense("_fc", "head/linear")


def _timm(model: EfficientNetLite) -> list[Rule]:
    """Rules for EfficientNet-Lite in timm; the projection without expansion is `conv_pw`."""
    del model
    rules = _pair("conv_stem", "bn1", "backbone/stem")
    for s, k in _blocks():
        parts = _parts(s)
        names = ("conv_pw", "conv_dw", "conv_pwl") if len(parts) == 3 else ("conv_dw", "conv_pw")
        for i, (name, part) in enumerate(zip(names, parts, strict=True), start=1):
            source = rf"blocks\.{s}\.{k}"
            target = f"backbone/stage_{s}_block_{k}/{part}"
            rules += _pair(rf"{source}\.{name}", rf"{source}\.bn{i}", target)
    return rules


def _timm_classifier(head: ClassificationHead) -> list[Rule]:
    del head
    return _pair("conv_head", "bn2", "head/conv") + layouts.dense("classifier", "head/linear")


def _pair(conv: str, norm: str, target: str) -> list[Rule]:
    return layouts.conv_norm(conv, norm, target, NORM_EPSILON)


_FORMATS = (
    Format(
        name="efficientnet_lite_pytorch",
        marker=r"_blocks\.15\._depthwise_conv\.weight",
        head=r"(_conv_head|_bn1|_fc)\..+",
        purpose="classification",
        tables={EfficientNetLite: _torch, ClassificationHead: _torch_classifier},
    ),
    Format(
        # MobileNetV2 has the same names and three blocks in this stage.
        name="timm EfficientNet-Lite",
        marker=r"blocks\.5\.3\.conv_dw\.weight",
        head=r"(conv_head|bn2|classifier)\..+",
        purpose="classification",
        tables={EfficientNetLite: _timm, ClassificationHead: _timm_classifier},
    ),
)

EFFICIENTNET = Family(
    "efficientnet",
    formats=_FORMATS,
    published=(
        PublishedBackbone(
            name="efficientnet-lite0",
            make=efficientnet_classifier,
            parameters=4.65,
            score="top-1 75.1",
            source="tensorflow/tpu models/official/efficientnet/lite",
            licence=APACHE,
            trained_on=("ImageNet",),
            weights=Weights(
                "https://huggingface.co/timm/tf_efficientnet_lite0.in1k/resolve/main/"
                "model.safetensors"
            ),
        ),
    ),
    unpublished=(
        PublishedPose(
            name="efficientnet-lite0-pose", make=_pose, codec=msra, skeleton=None, parameters=6.37
        ),
    ),
)
