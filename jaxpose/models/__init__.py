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
from jaxpose.models.published.hourglass import hourglass
from jaxpose.models.published.hrnet import hrnet_backbone, hrnet_pose, hrnetv2_pose
from jaxpose.models.published.hybrid import transpose_r
from jaxpose.models.published.lifting import (
    martinez,
    motionbert,
    poseformer,
    videopose3d,
    videopose3d_with_trajectory,
)
from jaxpose.models.published.litehrnet import litehrnet
from jaxpose.models.published.mobilenetv2 import mobilenet_pose
from jaxpose.models.published.openpose import openpose
from jaxpose.models.published.resnet import (
    deeppose,
    integral_regression,
    resnet_backbone,
    rle,
    simcc_resnet,
    simple_baseline,
)
from jaxpose.models.published.rtmdet import rtmdet
from jaxpose.models.published.rtmpose import rtmpose
from jaxpose.models.published.vitpose import vitpose, vitpose_plus
from jaxpose.models.published.yolox import yolox
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
    "deeppose",
    "hourglass",
    "hrnet_backbone",
    "hrnet_pose",
    "hrnetv2_pose",
    "init_variables",
    "integral_regression",
    "litehrnet",
    "martinez",
    "mobilenet_pose",
    "motionbert",
    "openpose",
    "poseformer",
    "resnet_backbone",
    "rle",
    "rtmdet",
    "rtmpose",
    "simcc_resnet",
    "simple_baseline",
    "transpose_r",
    "videopose3d",
    "videopose3d_with_trajectory",
    "vitpose",
    "vitpose_plus",
    "yolox",
]
