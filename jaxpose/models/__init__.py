"""Networks: backbones, heads, and constructors for the published combinations."""

from jaxpose.models.build import (
    PoseModel,
    abstract_variables,
    count_parameters,
    init_variables,
)
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.published.hrnet import hrnet_pose
from jaxpose.models.published.lifting import (
    martinez,
    motionbert,
    poseformer,
    videopose3d,
    videopose3d_with_trajectory,
)
from jaxpose.models.published.vitpose import vitpose
from jaxpose.models.vit import ViT

__all__ = [
    "DeconvHead",
    "HRNet",
    "PoseModel",
    "SimCCHead",
    "SimpleHead",
    "ViT",
    "abstract_variables",
    "count_parameters",
    "hrnet_pose",
    "init_variables",
    "martinez",
    "motionbert",
    "poseformer",
    "videopose3d",
    "videopose3d_with_trajectory",
    "vitpose",
]
