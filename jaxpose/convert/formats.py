"""Formats of all projects' checkpoints, and detection of a checkpoint's format."""

import re
from collections.abc import Mapping

import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.conversion import Format, Rule
from jaxpose.models.published.catalogue import FAMILIES
from jaxpose.models.published.heads import KEYPOINT_HEAD, MM_RULES

_MMPOSE = {kind: table for family in FAMILIES for kind, table in family.mmpose.items()}
_MMDET = {kind: table for family in FAMILIES for kind, table in family.mmdet.items()}

# The first format whose marker matches a key is taken. MMPose's markers match the most checkpoints
# and come last; the markers of different families exclude each other.
FORMATS: tuple[Format, ...] = (
    *(known for family in FAMILIES for known in family.formats),
    Format(
        name="jaxpose",
        marker=r"params/.+",
        head=r"(params|batch_stats)/(head|neck)/.+",
        tables={},
        positions="params/backbone/position_embedding",
        rules=(Rule(r"(?P<path>(params|batch_stats)/.+)", "{path}"),),
    ),
    Format(
        name="MMDetection",
        marker=r"bbox_head\..+",
        head=r"(neck|bbox_head)\..+",
        purpose="detection",
        tables=_MMDET,
        rules=MM_RULES,
    ),
    Format(
        name="MMPose 0.x",
        marker=r"keypoint_head\..+",
        head=r"head\..+",
        tables=_MMPOSE,
        positions="backbone.pos_embed",
        renames=KEYPOINT_HEAD,
    ),
    Format(
        name="MMPose 1.x",
        marker=r"backbone\..+",
        head=r"(head|neck)\..+",
        tables=_MMPOSE,
        positions="backbone.pos_embed",
        rules=MM_RULES,
    ),
)


def detect(state_dict: Mapping[str, np.ndarray]) -> Format:
    """Detect the format of the keys.

    Raises:
      InputError: no known format matches; the message shows the first keys.
    """
    for known in FORMATS:
        markers = (known.marker, known.also) if known.also else (known.marker,)
        if all(any(re.fullmatch(marker, key) for key in state_dict) for marker in markers):
            return known
    shown = "\n  ".join(f"{key} {list(array.shape)}" for key, array in list(state_dict.items())[:8])
    raise InputError(
        f"The checkpoint's keys match no known format "
        f"({', '.join(known.name for known in FORMATS)}). "
        f"The first of {len(state_dict)} keys:\n  {shown}"
    )
