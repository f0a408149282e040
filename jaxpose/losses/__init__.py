"""Losses: functions of (outputs, targets, weights) to float32 scalars, for outputs of any type.

Weights are `[B, K]` per keypoint, as codecs make them; unlabelled keypoints and samples that only
pad the batch have weight 0 and add nothing. Means are taken over all keypoints of all samples,
weight 0 included, as in MMPose: so a sample with few labelled keypoints weighs less.
"""

from jaxpose.deprecations import moved_names as _moved_names
from jaxpose.losses.associative_embedding import AssociativeEmbeddingLoss
from jaxpose.losses.center_keypoints import CenterKeypointLoss, CenterPeopleLoss, focal
from jaxpose.losses.center_offsets import CenterOffsetLoss
from jaxpose.losses.classification import CrossEntropy, cross_entropy
from jaxpose.losses.combine import IntegralLoss, LossOfEach, StageSum, WeightedSum
from jaxpose.losses.composite_fields import CompositeFieldLoss
from jaxpose.losses.coordinates import (
    L1,
    MPJPE,
    OKS,
    BoneLength,
    SmoothL1,
    Wing,
    bone_length,
    l1,
    mpjpe,
    oks_loss,
    smooth_l1,
    wing,
)
from jaxpose.losses.densepose import SurfaceLoss, SurfacePointLoss
from jaxpose.losses.displacement_fields import DisplacementFieldLoss
from jaxpose.losses.displacements import DisplacementLoss
from jaxpose.losses.distillation import (
    Distillation,
    FeatureDistillation,
    HeatmapDistillation,
    SimCCDistillation,
    feature_distillation,
    heatmap_distillation,
    simcc_distillation,
)
from jaxpose.losses.hand_volumes import HandVolumeLoss
from jaxpose.losses.heatmap import (
    OHKM,
    AdaptiveWing,
    HeatmapJS,
    HeatmapMSE,
    adaptive_wing,
    heatmap_js,
    heatmap_mse,
    ohkm_mse,
)
from jaxpose.losses.instance_heatmaps import InstanceHeatmapLoss
from jaxpose.losses.landmarks import LandmarkLoss
from jaxpose.losses.lifting import (
    NMPJPE,
    Acceleration,
    MeanBoneLength,
    Reprojection,
    SemiSupervised,
    TrajectoryMPJPE,
    TrajectoryTargets,
    Velocity,
    acceleration,
    mean_bone_length,
    n_mpjpe,
    reprojection,
    trajectory_mpjpe,
    velocity,
)
from jaxpose.losses.loss import Loss
from jaxpose.losses.one_stage import OneStageLoss
from jaxpose.losses.part_affinity import PartAffinityLoss
from jaxpose.losses.rle import RLE, realnvp_log_prob, residual_log_likelihood
from jaxpose.losses.scoremap import ScoremapLoss
from jaxpose.losses.simcc import SimCC3DKL, SimCCKL, simcc_kl
from jaxpose.losses.simota import SimOTA
from jaxpose.losses.vector_fields import VectorFieldLoss

__all__ = [
    "L1",
    "MPJPE",
    "NMPJPE",
    "OHKM",
    "OKS",
    "RLE",
    "Acceleration",
    "AdaptiveWing",
    "AssociativeEmbeddingLoss",
    "BoneLength",
    "CenterKeypointLoss",
    "CenterOffsetLoss",
    "CenterPeopleLoss",
    "CompositeFieldLoss",
    "CrossEntropy",
    "DisplacementFieldLoss",
    "DisplacementLoss",
    "Distillation",
    "FeatureDistillation",
    "HandVolumeLoss",
    "HeatmapDistillation",
    "HeatmapJS",
    "HeatmapMSE",
    "InstanceHeatmapLoss",
    "IntegralLoss",
    "LandmarkLoss",
    "Loss",
    "LossOfEach",
    "MeanBoneLength",
    "OneStageLoss",
    "PartAffinityLoss",
    "Reprojection",
    "ScoremapLoss",
    "SemiSupervised",
    "SimCC3DKL",
    "SimCCDistillation",
    "SimCCKL",
    "SimOTA",
    "SmoothL1",
    "StageSum",
    "SurfaceLoss",
    "SurfacePointLoss",
    "TrajectoryMPJPE",
    "TrajectoryTargets",
    "VectorFieldLoss",
    "Velocity",
    "WeightedSum",
    "Wing",
    "acceleration",
    "adaptive_wing",
    "bone_length",
    "cross_entropy",
    "feature_distillation",
    "focal",
    "heatmap_distillation",
    "heatmap_js",
    "heatmap_mse",
    "l1",
    "mean_bone_length",
    "mpjpe",
    "n_mpjpe",
    "ohkm_mse",
    "oks_loss",
    "realnvp_log_prob",
    "reprojection",
    "residual_log_likelihood",
    "simcc_distillation",
    "simcc_kl",
    "smooth_l1",
    "trajectory_mpjpe",
    "velocity",
    "wing",
]

__getattr__ = _moved_names(__name__)
