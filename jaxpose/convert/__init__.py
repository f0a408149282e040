"""Conversion of other projects' checkpoints by tables of key patterns.

`reading`, `pth` and `pickles` read files; `formats` detects the project; `rules` applies a table;
`load` fills a model; `identify` and `choose` find the published model of a checkpoint; `positions`
and `keypoints` adapt position embeddings and heads; `mismatch` reports arrays that do not fit;
`release` writes and reads release folders. The tables are in `jaxpose.models.published`.
"""

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
