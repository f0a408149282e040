"""Residual log-likelihood estimation: a regression loss with a learnt error density."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jax import nn

from jaxpose.losses.loss import Loss

# Coordinates `[B, K, 2]`, sigma `[B, K, 2]`, and the parameters of the flow.
Outputs = tuple[jax.Array, jax.Array, Mapping[str, jax.Array]]

# Keeps the error finite where sigma vanishes.
_EPSILON = 1e-9


def realnvp_log_prob(flow: Mapping[str, jax.Array], x: jax.Array) -> jax.Array:
    """Logarithm of the density of `x` under a flow of coupling layers from a standard normal.

    Dinh et al. 2017, arXiv:1605.08803, eqs. 3 and 9. Layer i keeps the second coordinate where i
    is even and the first where it is odd.

    Args:
      flow: arrays stacked over the layers, `{scale,translate}_{kernel,bias}_{0,1,2}`.
      x: points `[..., 2]`.

    Returns:
      `[...]` float32.
    """
    z = x.astype(jnp.float32).reshape(-1, 2)
    log_determinant = jnp.zeros(len(z), jnp.float32)
    for i in reversed(range(len(flow["scale_bias_0"]))):
        mask = jnp.array([[i % 2, 1 - i % 2]], jnp.float32)
        kept, moved = mask * z, (1 - mask) * z
        scale = (1 - mask) * jnp.tanh(_network(flow, "scale", i, kept))
        translation = (1 - mask) * _network(flow, "translate", i, kept)
        z = kept + (moved - translation) * jnp.exp(-scale)
        log_determinant -= scale.sum(-1)
    log_normal = -0.5 * jnp.sum(z**2, -1) - math.log(2 * math.pi)
    return (log_determinant + log_normal).reshape(x.shape[:-1])


def _network(flow: Mapping[str, jax.Array], name: str, layer: int, x: jax.Array) -> jax.Array:
    for i in range(3):
        x = x @ flow[f"{name}_kernel_{i}"][layer] + flow[f"{name}_bias_{i}"][layer][None]
        if i < 2:
            x = nn.leaky_relu(x, 0.01)
    return x


def residual_log_likelihood(
    outputs: Outputs,
    targets: jax.Array,
    weights: jax.Array,
    *,
    residual: bool = True,
    q_distribution: Literal["laplace", "gaussian"] = "laplace",
) -> jax.Array:
    """Negative log-likelihood of the targets (Li et al. 2021, arXiv:2107.11291, section 3).

    With e = (coordinates - targets) / sigma the loss of a keypoint is `sum over x and y of (log
    sigma - log G(e) - log Q(e))`: G is the flow's density of the pair, counted for each of the two
    as in the published code, and Q the assumed one, of spread sigma. The weighted sum is divided by
    B * K. MMPose divides by B only, so its value is K times this.

    Args:
      outputs: (coordinates `[B, K, 2]`, sigma `[B, K, 2]`, parameters of the flow).
      targets: coordinates `[B, K, 2]`, in the units of the outputs.
      weights: `[B, K]`.
      residual: the flow learns the difference from Q; otherwise it learns the whole density.
      q_distribution: "laplace" or "gaussian".
    """
    coordinates, sigma, flow = outputs
    sigma = sigma.astype(jnp.float32) + _EPSILON
    error = (coordinates.astype(jnp.float32) - targets.astype(jnp.float32)) / sigma
    loss = jnp.log(sigma) - realnvp_log_prob(flow, error)[..., None]
    if residual:
        if q_distribution == "laplace":
            loss += jnp.log(2 * sigma) + jnp.abs(error)
        else:
            loss += jnp.log(math.sqrt(2 * math.pi) * sigma) + 0.5 * error**2
    return jnp.mean(weights.astype(jnp.float32) * jnp.sum(loss, -1))


@dataclass(frozen=True)
class RLE(Loss):
    """`residual_log_likelihood` as an object for a config."""

    residual: bool = True
    q_distribution: Literal["laplace", "gaussian"] = "laplace"

    def __call__(self, outputs: Outputs, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return residual_log_likelihood(
            outputs,
            targets,
            weights,
            residual=self.residual,
            q_distribution=self.q_distribution,
        )
