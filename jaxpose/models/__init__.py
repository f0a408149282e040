"""Networks: backbones, heads, and constructors for the published combinations."""

from jaxpose.models.build import (
    PoseModel,
    abstract_variables,
    count_parameters,
    init_variables,
    vitpose,
)
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.vit import ViT

__all__ = [
    "DeconvHead",
    "PoseModel",
    "SimCCHead",
    "SimpleHead",
    "ViT",
    "abstract_variables",
    "count_parameters",
    "init_variables",
    "vitpose",
]
