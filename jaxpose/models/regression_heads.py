"""Heads that return coordinates as shares of the input's width and height, in float32."""

import math
from itertools import pairwise
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxpose.models.heads import DeconvHead
from jaxpose.models.parameter_rules import ParameterRules


class RLEOutputs(NamedTuple):
    """Inputs of the residual log-likelihood loss.

    Attributes:
      coordinates: `[B, K, 2]` (x, y), 0 to 1 across the input.
      sigma: `[B, K, 2]` standard deviation of the coordinates, between 0 and 1.
      flow: parameters of the normalising flow, see `RealNVP`.
    """

    coordinates: jax.Array
    sigma: jax.Array
    flow: dict[str, jax.Array]


class RegressionHead(nn.Module):
    """Mean over the map, then a linear layer (DeepPose, Toshev & Szegedy 2014, arXiv:1312.4659)."""

    num_keypoints: int

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"linear/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """`[B, h, w, C]` -> `[B, K, 2]` (x, y), 0 to 1 across the input."""
        return _regress(features, self.num_keypoints, 2)


class RLEHead(nn.Module):
    """Coordinates, their standard deviations, and the flow that models the errors' density.

    Residual log-likelihood estimation (Li et al. 2021, arXiv:2107.11291). The flow is part of the
    loss, but its parameters are trained with the network, so they are kept here.
    """

    num_keypoints: int
    flow_layers: int = 6
    flow_width: int = 64

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"linear/.*|flow/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array | RLEOutputs:
        """`[B, h, w, C]` -> `[B, K, 4]` (x, y, sigma x, sigma y); `RLEOutputs` in training."""
        values = _regress(features, self.num_keypoints, 4)
        coordinates, sigma = values[..., :2], nn.sigmoid(values[..., 2:])
        flow = RealNVP(self.flow_layers, self.flow_width, name="flow")()
        if train:
            return RLEOutputs(coordinates, sigma, flow)
        return jnp.concatenate([coordinates, sigma], -1)


class RealNVP(nn.Module):
    """Parameters of a flow of coupling layers on the plane (Dinh et al. 2017, arXiv:1605.08803).

    Each layer has two networks of three linear layers, `scale` and `translate`. Arrays are stacked
    over the coupling layers: `scale_kernel_0` `[layers, 2, width]`, `scale_bias_0`
    `[layers, width]`, and so on. `losses.realnvp_log_prob` evaluates them.
    """

    layers: int
    width: int

    @nn.compact
    def __call__(self) -> dict[str, jax.Array]:
        # Small kernels (Xavier's with a gain of 0.01): the flow is near the identity at first.
        kernel = nn.initializers.variance_scaling(1e-4, "fan_avg", "uniform", batch_axis=(0,))
        sizes = (2, self.width, self.width, 2)
        flow = {}
        for network in ("scale", "translate"):
            for i, (inputs, outputs) in enumerate(pairwise(sizes)):
                for name, init, shape in (
                    ("kernel", kernel, (self.layers, inputs, outputs)),
                    ("bias", _symmetric(1 / math.sqrt(inputs)), (self.layers, outputs)),
                ):
                    path = f"{network}_{name}_{i}"
                    flow[path] = self.param(path, init, shape, jnp.float32)
        return flow


class IntegralRegressionHead(nn.Module):
    """Expected position under the softmax of a heatmap (Sun et al. 2018, arXiv:1711.08229).

    Attributes:
      deconv_channels: as in `DeconvHead`, which makes the heatmap.
      beta: factor on the logits; larger ones sharpen the softmax.
      debias: correct the bias towards the centre that pixels of low probability cause (Gu et al.
        2021, "Removing the Bias of Integral Pose Regression"). The correction sums exp(logits)
        without `beta`, as in MMPose, because MMPose's weights were trained so.
    """

    num_keypoints: int
    deconv_channels: tuple[int, ...] = (256, 256, 256)
    beta: float = 1.0
    debias: bool = False
    dtype: str = "float32"

    parameter_rules: ClassVar[ParameterRules] = ParameterRules(output=r"maps/final/.*")

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`[B, h, w, C]` -> coordinates `[B, K, 2]` (x, y), probabilities `[B, h', w', K]`.

        Coordinates are shares of the input's size: column j of the map has x = `j / w'`.
        """
        maps = DeconvHead(self.num_keypoints, self.deconv_channels, dtype=self.dtype, name="maps")
        logits = maps(features, train)
        heatmaps = nn.softmax(self.beta * logits, axis=(1, 2))
        _, height, width, _ = heatmaps.shape
        x = jnp.einsum("bhwk,w->bk", heatmaps, jnp.arange(width) / width)
        y = jnp.einsum("bhwk,h->bk", heatmaps, jnp.arange(height) / height)
        coordinates = jnp.stack([x, y], -1)
        if self.debias:
            inverse = jnp.exp(-jax.nn.logsumexp(logits, axis=(1, 2)))[..., None]
            coordinates = (coordinates - inverse / 2) / (1 - inverse)
        return coordinates, heatmaps


def _regress(features: jax.Array, num_keypoints: int, values: int) -> jax.Array:
    """Mean over the map, then a linear layer named `linear`: `[B, K, values]` float32."""
    pooled = features.astype(jnp.float32).mean((1, 2))
    linear = nn.Dense(
        num_keypoints * values, kernel_init=nn.initializers.normal(0.01), name="linear"
    )
    return linear(pooled).reshape(-1, num_keypoints, values)


def _symmetric(bound: float) -> nn.initializers.Initializer:
    return lambda key, shape, dtype: jax.random.uniform(key, shape, dtype, -bound, bound)
