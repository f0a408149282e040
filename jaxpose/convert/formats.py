"""How each project names the arrays of its checkpoints, and how a checkpoint's project is told."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import flax.linen as nn
import numpy as np

from jaxpose.convert.rules import Rule
from jaxpose.convert.tables import heads, hrnet, vit
from jaxpose.errors import InputError
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.hrnet import HRNet
from jaxpose.models.vit import ViT


@dataclass(frozen=True)
class Format:
    """One project's way of naming things.

    Attributes:
      name: what to call it in messages.
      marker: regular expression that some key matches if the checkpoint is of this format.
      head: regular expression for the keys of the head.
      backbones, heads: for each kind of module, its table.
      positions: the key of a ViT's position embedding, `[1, N, D]`.
    """

    name: str
    marker: str
    head: str
    backbones: Mapping[type[nn.Module], Callable[..., list[Rule]]]
    heads: Mapping[type[nn.Module], Callable[..., list[Rule]]]
    positions: str


# The first format whose marker is found is taken, so narrower markers come first.
FORMATS = (
    Format(
        name="MMPose 1.x",
        marker=r"backbone\..+",
        head=r"head\..+",
        backbones={ViT: vit.mmpose, HRNet: hrnet.mmpose},
        heads={
            DeconvHead: heads.mmpose_heatmap,
            SimpleHead: heads.mmpose_heatmap,
            SimCCHead: heads.mmpose_simcc,
        },
        positions="backbone.pos_embed",
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
