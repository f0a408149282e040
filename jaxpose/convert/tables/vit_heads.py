"""Tables for Hugging Face's pose heads and for the ImageNet classifiers of every project."""

from jaxpose.convert import layouts
from jaxpose.convert.rules import Rule
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.heads import DeconvHead, SimpleHead


def hugging_face(head: DeconvHead | SimpleHead) -> list[Rule]:
    """VitPose's decoders: numbered layers, then a convolution."""
    rules = layouts.dense(r"head\.conv", "head/final", kernel=layouts.conv)
    for i in range(len(head.deconv_channels) if isinstance(head, DeconvHead) else 0):
        source, norm = rf"head\.deconv{i + 1}", f"head/norm_{i}"
        rules += [
            Rule(rf"{source}\.weight", f"params/head/deconv_{i}/kernel", layouts.deconv),
            layouts.folded_norm(source, norm),
            *layouts.batch_norm(rf"head\.batchnorm{i + 1}", norm),
        ]
    return rules


def timm_linear(head: ClassificationHead) -> list[Rule]:
    """The classifier of timm's ViT."""
    return layouts.dense("head", "head/linear")


def torchvision_linear(head: ClassificationHead) -> list[Rule]:
    """The classifier of torchvision's ViT."""
    return layouts.dense(r"heads\.head", "head/linear")


def mmpretrain_linear(head: ClassificationHead) -> list[Rule]:
    """The classifiers of MMPretrain: `fc`, or a sequence of which ImageNet's have one layer."""
    return layouts.dense(r"head\.(fc|layers\.head)", "head/linear")
