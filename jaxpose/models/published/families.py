"""List of all families of models: one line each.

A line adds the names of a family's `__all__`, modules and constructors, to `jaxpose.models`, its
tables to `jaxpose.convert` and its records to the catalogue.
"""
# ruff: noqa: F403

from jaxpose.models.published.actions import *
from jaxpose.models.published.cid import *
from jaxpose.models.published.cpm import *
from jaxpose.models.published.csp import *
from jaxpose.models.published.deeplabcut import *
from jaxpose.models.published.dekr import *
from jaxpose.models.published.edpose import *
from jaxpose.models.published.efficientnet import *
from jaxpose.models.published.fan import *
from jaxpose.models.published.frames import *
from jaxpose.models.published.heads import *
from jaxpose.models.published.hiera import *
from jaxpose.models.published.higher_hrnet import *
from jaxpose.models.published.hourglass import *
from jaxpose.models.published.hrformer import *
from jaxpose.models.published.hrnet import *
from jaxpose.models.published.hybrid import *
from jaxpose.models.published.internet import *
from jaxpose.models.published.large_vit import *
from jaxpose.models.published.lifting import *
from jaxpose.models.published.lightweight_openpose import *
from jaxpose.models.published.litehrnet import *
from jaxpose.models.published.mediapipe import *
from jaxpose.models.published.mesh import *
from jaxpose.models.published.mobile_openpose import *
from jaxpose.models.published.mobilenetv2 import *
from jaxpose.models.published.movenet import *
from jaxpose.models.published.mspn import *
from jaxpose.models.published.one_stage import *
from jaxpose.models.published.openpose import *
from jaxpose.models.published.picodet import *
from jaxpose.models.published.pifpaf import *
from jaxpose.models.published.posenet import *
from jaxpose.models.published.pvnet import *
from jaxpose.models.published.pvt import *
from jaxpose.models.published.resnet import *
from jaxpose.models.published.resnet_kin import *
from jaxpose.models.published.rtmdet import *
from jaxpose.models.published.rtmpose import *
from jaxpose.models.published.rtmw import *
from jaxpose.models.published.sam import *
from jaxpose.models.published.shufflenet import *
from jaxpose.models.published.swin import *
from jaxpose.models.published.vipnas import *
from jaxpose.models.published.vitpose import *
from jaxpose.models.published.yolo import *
from jaxpose.models.published.yolox import *
