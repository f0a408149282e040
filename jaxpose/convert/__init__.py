"""Checkpoints of other projects, converted by tables of key patterns."""

from jaxpose.convert.keypoints import shared_keypoints
from jaxpose.convert.load import load_pretrained, to_variables
from jaxpose.convert.mismatch import Mismatch
from jaxpose.convert.positions import resize_position_embedding
from jaxpose.convert.reading import load_state_dict

__all__ = [
    "Mismatch",
    "load_pretrained",
    "load_state_dict",
    "resize_position_embedding",
    "shared_keypoints",
    "to_variables",
]
