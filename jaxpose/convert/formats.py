"""How each project names the arrays of its checkpoints, and how a checkpoint's project is told."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import flax.linen as nn
import numpy as np

from jaxpose.convert.rules import Rule
from jaxpose.convert.tables import (
    csp,
    cspnext,
    heads,
    hourglass,
    hrnet,
    lifting,
    litehrnet,
    mobilenetv2,
    regression_heads,
    resnet,
    rtmcc,
    rtmdet,
    vgg,
    vit,
    vit_heads,
    yolox,
)
from jaxpose.errors import InputError
from jaxpose.models.classifier import ClassificationHead
from jaxpose.models.cspnext import CSPNeXt
from jaxpose.models.darknet import CSPDarknet
from jaxpose.models.detection import PathAggregation, RTMDetHead, YOLOXHead
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.hourglass import Hourglass
from jaxpose.models.hrnet import HRNet
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import CoordinateHead, JointHead
from jaxpose.models.lifting.temporal import TemporalConvolutions
from jaxpose.models.litehrnet import LiteHRNet
from jaxpose.models.mobilenetv2 import MobileNetV2
from jaxpose.models.multistage import MultiStageHead
from jaxpose.models.openpose import VGGStem
from jaxpose.models.regression_heads import IntegralRegressionHead, RegressionHead, RLEHead
from jaxpose.models.resnet import ResNet
from jaxpose.models.rtmcc import RTMCCHead
from jaxpose.models.vit import ViT

Tables = Mapping[type[nn.Module], Callable[..., list[Rule]]]


@dataclass(frozen=True)
class Format:
    """One project's way of naming things.

    Attributes:
      name: what to call it in messages.
      marker: regular expression that some key matches if the checkpoint is of this format.
      head: regular expression for the keys of the head, be it for poses or for ImageNet, and of
        what stands between it and the backbone; `""` where the project's checkpoints have none.
      backbones, necks, heads: for each kind of module, its table.
      positions: the key of a ViT's position embedding, `[1, N, D]`; `""` for none.
      class_slot: what becomes of the first position embedding, a class token's, where there is
        one more than the patches: it is dropped with the token, or added to all the others.
      renames: patterns of keys and their replacements, done before anything else, for projects
        that differ from another in names only.
      rules: rules that hold whatever the model.
    """

    name: str
    marker: str
    head: str
    backbones: Tables
    heads: Tables
    positions: str = ""
    necks: Tables = field(default_factory=dict)
    class_slot: Literal["none", "dropped", "added"] = "none"
    renames: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()

    def renamed(self, state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays under the names that the tables know."""
        renamed = {}
        for key, array in state_dict.items():
            for pattern, replacement in self.renames:
                key = re.sub(pattern, replacement, key)
            renamed[key] = array
        return renamed

    @property
    def only_backbone(self) -> bool:
        """Whether the project's checkpoints have no pose head."""
        return not self.own and set(self.heads) <= {ClassificationHead}

    @property
    def own(self) -> bool:
        """Whether keys are paths of our own variables, which need no table."""
        return not (self.backbones or self.heads)


_MMPOSE_BACKBONES: Tables = {
    ViT: vit.mmpose,
    HRNet: hrnet.mmpose,
    CSPNeXt: cspnext.mmpose,
    Hourglass: hourglass.mmpose,
    LiteHRNet: litehrnet.mmpose,
    MobileNetV2: mobilenetv2.mmpose,
    ResNet: resnet.mmpose,
    TemporalConvolutions: lifting.mmpose_temporal,
    DSTFormer: lifting.mmpose_dstformer,
}
_MMPOSE_HEADS: Tables = {
    DeconvHead: heads.mmpose_heatmap,
    SimpleHead: heads.mmpose_heatmap,
    SimCCHead: heads.mmpose_simcc,
    RTMCCHead: rtmcc.mmpose,
    MultiStageHead: heads.mmpose_multistage,
    RegressionHead: regression_heads.mmpose_regression,
    RLEHead: regression_heads.mmpose_rle,
    IntegralRegressionHead: regression_heads.mmpose_integral,
    CoordinateHead: lifting.mmpose_coordinates,
    JointHead: lifting.mmpose_joints,
    ClassificationHead: vit_heads.mmpretrain_linear,
}
_MMPOSE_RULES = (
    Rule(
        r"data_preprocessor\.(mean|std)",
        None,
        reason="images are normalised with the same constants before they reach the model",
    ),
)
# MMPose 0.x and the official ViTPose call the head so. Its last convolution of several was the
# last entry of a sequence, which 1.x took apart.
_KEYPOINT_HEAD = (
    (r"^keypoint_head\.final_layer\.([01])\.", r"head.conv_layers.\1."),
    (r"^keypoint_head\.final_layer\.3\.", r"head.final_layer."),
    (r"^keypoint_head\.loss\.", r"head.loss_module."),
    (r"^keypoint_head\.", r"head."),
)

_DECODER = "a masked autoencoder's decoder, of use only in pretraining"

# The first format whose marker is found is taken, so narrower markers come first.
FORMATS = (
    Format(
        name="HRNet for ImageNet (its own code or timm)",
        marker=r"incre_modules\..+",
        head="",
        backbones={HRNet: hrnet.official},
        heads={},
        rules=(
            Rule(
                r"(incre_modules|downsamp_modules|final_layer|classifier)\..+",
                None,
                reason="the ImageNet classifier, which no pose model has",
            ),
        ),
    ),
    Format(
        name="HRNet's own code",
        marker=r"stage2\.0\.branches\..+",
        head=r"(deconv_layers|conv_layers|final_layer)\..+",
        backbones={HRNet: hrnet.official},
        heads={DeconvHead: heads.official_heatmap},
        # The face models' head is one sequence.
        renames=((r"^head\.([01])\.", r"conv_layers.\1."), (r"^head\.3\.", "final_layer.")),
    ),
    Format(
        name="jaxpose",
        marker=r"params/.+",
        head=r"(params|batch_stats)/head/.+",
        backbones={},
        heads={},
        positions="params/backbone/position_embedding",
        rules=(Rule(r"(?P<path>(params|batch_stats)/.+)", "{path}"),),
    ),
    Format(
        name="official ViTPose",
        marker=r"backbone\.blocks\..+",
        head=r"head\..+",
        backbones={ViT: vit.official},
        heads={DeconvHead: heads.mmpose_heatmap, SimpleHead: heads.mmpose_heatmap},
        positions="backbone.pos_embed",
        class_slot="added",
        renames=_KEYPOINT_HEAD,
        rules=(
            Rule(
                r"associate_keypoint_heads\..+",
                None,
                reason="ViTPose++'s heads for other data sets than the first",
            ),
        ),
    ),
    Format(
        name="Hugging Face VitPose",
        marker=r"backbone\.encoder\.layer\..+",
        head=r"head\..+",
        backbones={ViT: vit.hugging_face},
        heads={DeconvHead: vit_heads.hugging_face, SimpleHead: vit_heads.hugging_face},
        positions="backbone.embeddings.position_embeddings",
        class_slot="added",
    ),
    Format(
        name="MMPretrain ViT",
        marker=r"backbone\.cls_token|layers\.0\.ln1\.weight",
        head=r"head\..+",
        backbones={ViT: vit.mmpose},
        heads={ClassificationHead: vit_heads.mmpretrain_linear},
        positions="backbone.pos_embed",
        class_slot="dropped",
        # A backbone saved by itself has no prefix.
        renames=((r"^(?=(cls_token|pos_embed|patch_embed|layers|ln1)\b)", "backbone."),),
        rules=(*_MMPOSE_RULES, Rule(r"neck\..+", None, reason=_DECODER)),
    ),
    Format(
        name="masked autoencoder",
        marker=r"decoder_blocks\..+",
        head="",
        backbones={ViT: vit.timm},
        heads={},
        positions="pos_embed",
        class_slot="dropped",
        rules=(Rule(r"mask_token|decoder_.+", None, reason=_DECODER),),
    ),
    Format(
        name="timm ViT or a masked autoencoder's encoder",
        marker=r"blocks\.0\.attn\.qkv\.weight",
        head=r"head(_dist)?\..+",
        backbones={ViT: vit.timm},
        heads={ClassificationHead: vit_heads.timm_linear},
        positions="pos_embed",
        class_slot="dropped",
    ),
    Format(
        name="torchvision ViT",
        marker=r"encoder\.layers\.encoder_layer_0\..+",
        head=r"heads\..+",
        backbones={ViT: vit.torchvision},
        heads={ClassificationHead: vit_heads.torchvision_linear},
        positions="encoder.pos_embedding",
        class_slot="dropped",
    ),
    Format(
        name="YOLOX's own code",
        marker=r"backbone\.backbone\.dark2\..+",
        head=r"head\..+",
        backbones={CSPDarknet: yolox.megvii_backbone},
        necks={PathAggregation: yolox.megvii_neck},
        heads={YOLOXHead: yolox.megvii_head},
    ),
    Format(
        name="MMDetection",
        marker=r"bbox_head\..+",
        head=r"(neck|bbox_head)\..+",
        backbones={CSPDarknet: yolox.mmdet_backbone, CSPNeXt: cspnext.mmpose},
        necks={PathAggregation: csp.mmdet_neck},
        heads={YOLOXHead: yolox.mmdet_head, RTMDetHead: rtmdet.mmdet_head},
        rules=_MMPOSE_RULES,
    ),
    Format(
        name="MMPose 0.x",
        marker=r"keypoint_head\..+",
        head=r"head\..+",
        backbones=_MMPOSE_BACKBONES,
        heads=_MMPOSE_HEADS,
        positions="backbone.pos_embed",
        renames=_KEYPOINT_HEAD,
    ),
    Format(
        name="MMPose 1.x",
        marker=r"backbone\..+",
        head=r"(head|neck)\..+",
        backbones=_MMPOSE_BACKBONES,
        heads=_MMPOSE_HEADS,
        positions="backbone.pos_embed",
        rules=_MMPOSE_RULES,
    ),
    Format(
        name="timm and torchvision ResNet",
        marker=r"layer4\.0\.conv1\.weight",
        head=r"fc\..+",
        backbones={ResNet: resnet.timm},
        heads={ClassificationHead: resnet.timm_classifier},
    ),
    Format(
        name="torchvision MobileNetV2",
        marker=r"features\.0\.0\.weight",
        head=r"classifier\..+",
        backbones={MobileNetV2: mobilenetv2.torchvision},
        heads={},
    ),
    Format(
        name="timm MobileNetV2",
        marker=r"blocks\.0\.0\.conv_dw\.weight",
        head=r"classifier\..+",
        backbones={MobileNetV2: mobilenetv2.timm},
        heads={},
    ),
    Format(
        name="torchvision VGG",
        marker=r"features\.0\.weight",
        head=r"classifier\..+",
        backbones={VGGStem: vgg.torchvision},
        heads={},
    ),
)


def detect(state_dict: Mapping[str, np.ndarray]) -> Format:
    """The format that the keys are of.

    Raises:
      InputError: showing the first keys, if it is none that is known.
    """
    for known in FORMATS:
        if any(re.fullmatch(known.marker, key) for key in state_dict):
            return known
    shown = "\n  ".join(f"{key} {list(array.shape)}" for key, array in list(state_dict.items())[:8])
    raise InputError(
        f"These keys are of no known format ({', '.join(known.name for known in FORMATS)}). "
        f"The first of {len(state_dict)}:\n  {shown}"
    )
