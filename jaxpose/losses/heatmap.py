"""Losses of heatmaps `[B, h, w, K]`; outputs and targets have the same shape."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.losses.loss import Loss, difference, weighted_mean


def heatmap_mse(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over `[B, h, w, K]` of weight times squared difference; weights are `[B, K]`."""
    squared = difference(outputs, targets) ** 2
    return jnp.mean(weights.astype(jnp.float32)[:, None, None, :] * squared)


def ohkm_mse(
    outputs: jax.Array, targets: jax.Array, weights: jax.Array, *, hardest: int = 8
) -> jax.Array:
    """Online hard keypoint mining: the mean of each person's `hardest` squared errors.

    CPN, arXiv:1711.07319, section 3.2; each keypoint's error is its mean over the map.

    Raises:
      InputError: fewer keypoints than `hardest`.
    """
    if hardest > weights.shape[1]:
        raise InputError(
            f"hardest is {hardest}, but there are only {weights.shape[1]} keypoints to choose from."
        )
    squared = jnp.mean(difference(outputs, targets) ** 2, axis=(1, 2))
    return jnp.mean(jax.lax.top_k(weights.astype(jnp.float32) * squared, hardest)[0])


def adaptive_wing(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    *,
    alpha: float = 2.1,
    omega: float = 14.0,
    epsilon: float = 1.0,
    theta: float = 0.5,
) -> jax.Array:
    """Wing loss whose shape depends on the target: steep near peaks, square in the background.

    Adaptive wing loss, arXiv:1904.07399, eq. 3; mean over `[B, h, w, K]`. Targets lie in [0, 1].

    Args:
      outputs: maps `[B, h, w, K]`.
      targets: maps `[B, h, w, K]`.
      weights: `[B, K]`.
      alpha: exponent over a background of 0; must exceed every target.
      omega, epsilon: height and width of the curved part.
      theta: the difference above which the loss is linear.
    """
    delta = jnp.abs(difference(outputs, targets))
    exponent = alpha - targets.astype(jnp.float32)
    ratio = theta / epsilon
    slope = omega / (1 + ratio**exponent) * exponent * ratio ** (exponent - 1) / epsilon
    offset = theta * slope - omega * jnp.log1p(ratio**exponent)
    curved = delta < theta
    # The unused branch would overflow and have a NaN gradient.
    near = jnp.where(curved, delta, 0.0) / epsilon
    values = jnp.where(curved, omega * jnp.log1p(near**exponent), slope * delta - offset)
    return weighted_mean(jnp.mean(values, axis=(1, 2)), weights)


def heatmap_js(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Jensen-Shannon divergence of maps that are distributions, summed over pixels.

    The regularisation of DSNT, arXiv:1801.07372, section 4.3, for outputs after a softmax and
    targets that sum to 1; mean over B and K. Negative values count as 0.
    """
    p, q = (jnp.maximum(maps.astype(jnp.float32), 0.0) for maps in (outputs, targets))
    middle = 0.5 * (p + q)
    divergence = 0.5 * (_p_log_ratio(p, middle) + _p_log_ratio(q, middle))
    return weighted_mean(jnp.sum(divergence, axis=(1, 2)), weights)


def _p_log_ratio(p: jax.Array, q: jax.Array) -> jax.Array:
    """Computes p log(p / q); 0 where p is not positive."""
    positive = p > 0
    ratio = jnp.log(jnp.where(positive, p, 1.0)) - jnp.log(jnp.where(positive, q, 1.0))
    return jnp.where(positive, p * ratio, 0.0)


@dataclass(frozen=True)
class HeatmapMSE(Loss):
    """`heatmap_mse` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return heatmap_mse(outputs, targets, weights)


@dataclass(frozen=True)
class OHKM(Loss):
    """`ohkm_mse` as an object for a config."""

    hardest: int = 8

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return ohkm_mse(outputs, targets, weights, hardest=self.hardest)


@dataclass(frozen=True)
class AdaptiveWing(Loss):
    """`adaptive_wing` as an object for a config."""

    alpha: float = 2.1
    omega: float = 14.0
    epsilon: float = 1.0
    theta: float = 0.5

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return adaptive_wing(
            outputs,
            targets,
            weights,
            alpha=self.alpha,
            omega=self.omega,
            epsilon=self.epsilon,
            theta=self.theta,
        )


@dataclass(frozen=True)
class HeatmapJS(Loss):
    """`heatmap_js` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return heatmap_js(outputs, targets, weights)
