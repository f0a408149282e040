"""Checkpoints of other projects, converted by tables of key patterns."""

from jaxpose.convert.load import init_from, to_variables
from jaxpose.convert.positions import resize_position_embedding
from jaxpose.convert.reading import load_state_dict

__all__ = ["init_from", "load_state_dict", "resize_position_embedding", "to_variables"]
