"""Networks: backbones, heads, and constructors for the published combinations.

A file directly in this package has the layers of one network; `lifting` has the networks that lift
2D keypoints to 3D; `published` has one file for each family of published models, with its
constructors, conversion tables and records.
"""

from jaxpose.models.build import (
    PoseModel,
    abstract_variables,
    count_parameters,
    init_variables,
)
from jaxpose.models.published import families
from jaxpose.models.published.families import *  # noqa: F403

__all__ = ["PoseModel", "abstract_variables", "count_parameters", "init_variables"]
# Modules and constructors of every family.
__all__ += [name for name in vars(families) if not name.startswith("_")]
