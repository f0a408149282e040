"""Tables for ResNet, one function for each project's names."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.resnet import ResNet


def mmpose(model: ResNet) -> list[Rule]:
    """MMPose's and MMPretrain's ResNet and ResNetV1d.

    Of a pooled shortcut the mean is entry 0, where there is one, and the convolution follows.
    """
    rules = _stages(model, r"backbone\.")
    if model.variant == "v1d":
        stem = r"backbone\.stem\.(?P<i>\d+)"
        rules += layouts.conv_norm(rf"{stem}\.conv", rf"{stem}\.bn", "backbone/stem_{i}")
    else:
        rules += layouts.conv_norm(r"backbone\.conv1", r"backbone\.bn1", "backbone/stem_0")
    return rules


def timm(model: ResNet) -> list[Rule]:
    """timm's and torchvision's ResNet; "v1d" is timm's `resnet50d` and its like."""
    rules = _stages(model, "", always_pooled=True)
    if model.variant == "v1d":
        for i, norm in enumerate((r"conv1\.1", r"conv1\.4", "bn1")):
            rules += layouts.conv_norm(rf"conv1\.{3 * i}", norm, f"backbone/stem_{i}")
    else:
        rules += layouts.conv_norm("conv1", "bn1", "backbone/stem_0")
    return rules


def timm_classifier(head: ClassificationHead) -> list[Rule]:
    """The classifier of the same."""
    return layouts.dense("fc", "head/linear")


def _stages(model: ResNet, prefix: str, always_pooled: bool = False) -> list[Rule]:
    """Residual blocks; `always_pooled` where unstrided shortcuts have an (empty) mean, too."""
    rules = []
    for s in range(len(model.blocks)):
        source = rf"{prefix}layer{s + 1}\.(?P<k>\d+)"
        target = f"backbone/stage_{s}_block_" + "{k}"
        pooled = model.variant == "v1d" and (always_pooled or s > 0)
        first = 1 if pooled else 0
        rules += layouts.conv_norm(
            rf"{source}\.downsample\.{first}",
            rf"{source}\.downsample\.{first + 1}",
            f"{target}/shortcut",
        )
        for i in range(3 if model.bottleneck else 2):
            rules += layouts.conv_norm(
                rf"{source}\.conv{i + 1}", rf"{source}\.bn{i + 1}", f"{target}/conv_{i}"
            )
    return rules
