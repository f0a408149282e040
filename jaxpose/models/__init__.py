"""Networks: backbones, heads, and constructors for the published combinations."""

from jaxpose.models.build import (
    PoseModel,
    abstract_variables,
    count_parameters,
    init_variables,
)
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.hourglass import Hourglass
from jaxpose.models.hrnet import HRNet
from jaxpose.models.hybrid import TransPose
from jaxpose.models.litehrnet import LiteHRNet
from jaxpose.models.mobilenetv2 import MobileNetV2
from jaxpose.models.multistage import MultiStageHead
from jaxpose.models.openpose import OpenPoseHead, VGGStem
from jaxpose.models.published import families
from jaxpose.models.published.families import *  # noqa: F403
from jaxpose.models.regression_heads import IntegralRegressionHead, RegressionHead, RLEHead
from jaxpose.models.resnet import ResNet
from jaxpose.models.rtmcc import RTMCCHead
from jaxpose.models.vit import ViT

__all__ = [
    "CSPNeXt",
    "ClassificationHead",
    "DeconvHead",
    "HRNet",
    "Hourglass",
    "IntegralRegressionHead",
    "LiteHRNet",
    "MobileNetV2",
    "MultiStageHead",
    "OpenPoseHead",
    "PoseModel",
    "RLEHead",
    "RTMCCHead",
    "RegressionHead",
    "ResNet",
    "SimCCHead",
    "SimpleHead",
    "TransPose",
    "VGGStem",
    "ViT",
    "abstract_variables",
    "count_parameters",
    "init_variables",
]
# The constructors of every family.
__all__ += [name for name in vars(families) if not name.startswith("_")]
