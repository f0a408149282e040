"""Codecs: each encodes keypoints as training targets, and decodes network outputs to keypoints.

A codec is a frozen dataclass whose methods are pure, batched `jax.numpy` functions; see
`jaxpose.codecs.codec.Codec` for the interface that all of them share. `sample` and `decoded` have
the types of labels, targets and decoded keypoints; `refine` has the steps from a heatmap's highest
pixel to a position between pixels; `lifting` has the codecs of lifters.
"""

from jaxpose.codecs.associative_embedding import AssociativeEmbedding
from jaxpose.codecs.cell_heatmap import CellHeatmap
from jaxpose.codecs.center_keypoints import CenterKeypoints
from jaxpose.codecs.center_offsets import CenterOffsets
from jaxpose.codecs.center_people import CenterPeople
from jaxpose.codecs.codec import Codec, ImageCodec
from jaxpose.codecs.composite_fields import CompositeFields
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.densepose import SurfaceMaps
from jaxpose.codecs.displacement_fields import DisplacementFields, SinglePersonFields
from jaxpose.codecs.displacements import Displacements
from jaxpose.codecs.hand_volumes import HandVolumes
from jaxpose.codecs.heatmap import Heatmap
from jaxpose.codecs.instance_heatmaps import InstanceHeatmaps
from jaxpose.codecs.integral import IntegralRegression
from jaxpose.codecs.landmarks import Landmarks
from jaxpose.codecs.megvii import Megvii, MegviiCoarseToFine
from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.codecs.one_stage import OneStage, OneStageOutputs
from jaxpose.codecs.part_affinity import PartAffinity
from jaxpose.codecs.queries import PeopleQueries
from jaxpose.codecs.regression import Regression
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.codecs.scoremap import Scoremap
from jaxpose.codecs.simcc import SimCC
from jaxpose.codecs.simcc_3d import SimCC3D
from jaxpose.codecs.vector_fields import FieldVoting, VectorFields
from jaxpose.codecs.with_background import HeatmapWithBackground
from jaxpose.deprecations import moved_names as _moved_names

__all__ = [
    "AssociativeEmbedding",
    "CellHeatmap",
    "CenterKeypoints",
    "CenterOffsets",
    "CenterPeople",
    "Codec",
    "CompositeFields",
    "Decoded",
    "DisplacementFields",
    "Displacements",
    "FieldVoting",
    "HandVolumes",
    "Heatmap",
    "HeatmapWithBackground",
    "ImageCodec",
    "InstanceHeatmaps",
    "IntegralRegression",
    "Landmarks",
    "Megvii",
    "MegviiCoarseToFine",
    "MeshCodec",
    "OneStage",
    "OneStageOutputs",
    "PartAffinity",
    "PeopleQueries",
    "Regression",
    "Sample",
    "Scoremap",
    "SimCC",
    "SimCC3D",
    "SinglePersonFields",
    "SurfaceMaps",
    "Targets",
    "VectorFields",
]

__getattr__ = _moved_names(__name__)
