"""How each project names the arrays of its checkpoints, and how a checkpoint's project is told."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import flax.linen as nn
import numpy as np

from jaxpose.convert.rules import Rule
from jaxpose.convert.tables import heads, hrnet, lifting, vit
from jaxpose.errors import InputError
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.lifting.dstformer import DSTFormer
from jaxpose.models.lifting.lifter import CoordinateHead, JointHead
from jaxpose.models.lifting.temporal import TemporalConvolutions
from jaxpose.models.vit import ViT

Tables = Mapping[type[nn.Module], Callable[..., list[Rule]]]


@dataclass(frozen=True)
class Format:
    """One project's way of naming things.

    Attributes:
      name: what to call it in messages.
      marker: regular expression that some key matches if the checkpoint is of this format.
      head: regular expression for the keys of the pose head; `""` where the project's checkpoints
        have none (ImageNet weights and masked autoencoders), so that only a backbone is loaded.
      backbones, heads: for each kind of module, its table.
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
    def own(self) -> bool:
        """Whether keys are paths of our own variables, which need no table."""
        return not (self.backbones or self.heads)


_MMPOSE_BACKBONES: Tables = {
    ViT: vit.mmpose,
    HRNet: hrnet.mmpose,
    TemporalConvolutions: lifting.mmpose_temporal,
    DSTFormer: lifting.mmpose_dstformer,
}
_MMPOSE_HEADS: Tables = {
    DeconvHead: heads.mmpose_heatmap,
    SimpleHead: heads.mmpose_heatmap,
    SimCCHead: heads.mmpose_simcc,
    CoordinateHead: lifting.mmpose_coordinates,
    JointHead: lifting.mmpose_joints,
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

# The first format whose marker is found is taken, so narrower markers come first.
FORMATS = (
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
        head=r"head\..+",
        backbones=_MMPOSE_BACKBONES,
        heads=_MMPOSE_HEADS,
        positions="backbone.pos_embed",
        rules=_MMPOSE_RULES,
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
