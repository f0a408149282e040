"""Losses: float32 scalars of (outputs, targets, weights), whatever type the outputs have.

Weights are `[B, K]` per keypoint, as codecs make them; keypoints that are not labelled and samples
that only pad the batch have weight 0 and add nothing. Means are taken over all keypoints of all
samples, weight 0 included, as in MMPose: so a sample with few labelled keypoints weighs less.
"""

from jaxpose.losses.heatmap import HeatmapMSE, heatmap_mse
from jaxpose.losses.simcc import SimCCKL, simcc_kl

__all__ = ["HeatmapMSE", "SimCCKL", "heatmap_mse", "simcc_kl"]
