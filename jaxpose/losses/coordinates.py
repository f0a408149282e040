"""Losses of coordinates `[B, K, D]`; outputs and targets have the same shape and unit."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.losses.loss import Loss, difference, length, weighted_mean


def l1(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean over `[B, K, D]` of weight times absolute difference; weights are `[B, K]`."""
    return weighted_mean(jnp.mean(jnp.abs(difference(outputs, targets)), axis=-1), weights)


def smooth_l1(
    outputs: jax.Array, targets: jax.Array, weights: jax.Array, *, beta: float = 1.0
) -> jax.Array:
    """Mean over `[B, K, D]` of a square up to `beta` and an absolute difference beyond.

    Fast R-CNN, arXiv:1504.08083, eq. 3.
    """
    delta = jnp.abs(difference(outputs, targets))
    near = jnp.minimum(delta, beta)
    values = 0.5 * near**2 / beta + (delta - near)
    return weighted_mean(jnp.mean(values, axis=-1), weights)


def wing(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    *,
    omega: float = 10.0,
    epsilon: float = 2.0,
) -> jax.Array:
    """Wing loss: logarithmic up to `omega`, linear beyond, so that small errors matter more.

    arXiv:1711.06753, eq. 5. Summed over D and averaged over B and K; MMPose sums over K as well, so
    its value is K times this one.

    Args:
      outputs: `[B, K, D]`.
      targets: `[B, K, D]`.
      weights: `[B, K]`.
      omega: difference at which the loss becomes linear, in the unit of the coordinates.
      epsilon: curvature of the logarithmic part, in the same unit.
    """
    delta = jnp.abs(difference(outputs, targets))
    constant = omega * (1.0 - math.log1p(omega / epsilon))
    curved = omega * jnp.log1p(jnp.minimum(delta, omega) / epsilon)
    return weighted_mean(
        jnp.sum(jnp.where(delta < omega, curved, delta - constant), axis=-1), weights
    )


def mpjpe(outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
    """Mean per joint position error: the mean over B and K of weighted Euclidean distances."""
    return weighted_mean(length(difference(outputs, targets)), weights)


def bone_length(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    *,
    bones: tuple[tuple[int, int], ...],
) -> jax.Array:
    """Mean over B and bones of the absolute difference in bone length.

    The weight of a bone is the product of its ends' weights. After Sun et al., arXiv:1704.00159,
    with bone lengths as in arXiv:1811.11742, section 4, but for each person separately.

    Args:
      outputs: `[B, K, D]`.
      targets: `[B, K, D]`.
      weights: `[B, K]`.
      bones: indices of the two ends of each bone.
    """
    start, end = np.asarray(bones, np.int32).reshape(-1, 2).T
    ours, theirs = (
        length(points[:, end] - points[:, start])
        for points in (outputs.astype(jnp.float32), targets.astype(jnp.float32))
    )
    return weighted_mean(jnp.abs(ours - theirs), weights[:, start] * weights[:, end])


def oks_loss(
    outputs: jax.Array,
    targets: jax.Array,
    weights: jax.Array,
    *,
    sigmas: tuple[float, ...],
    input_hw: tuple[int, int],
    area: float,
) -> jax.Array:
    """Mean over B of 1 - OKS, the similarity measure of COCO's AP.

    YOLO-Pose, arXiv:2204.06806, eq. 2. A person without a labelled keypoint adds 0.

    Args:
      outputs: (x, y) `[B, K, 2]` as fractions of the input.
      targets: `[B, K, 2]`.
      weights: `[B, K]`.
      sigmas: K falloffs as published (COCO's, not doubled).
      input_hw: size of the input, to convert the fractions to pixels.
      area: area of the person, as a share of the input's.
    """
    height, width = input_hw
    pixels = difference(outputs, targets) * jnp.asarray([width, height], jnp.float32)[None, None]
    people = jnp.full(pixels.shape[:1], area * height * width, jnp.float32)
    similarity = keypoint_similarity(pixels, people, sigmas)
    weights = weights.astype(jnp.float32)
    labelled = jnp.sum(weights, axis=-1)
    missing = jnp.sum(weights * (1.0 - similarity), axis=-1)
    return jnp.mean(missing / jnp.where(labelled > 0, labelled, 1.0))


def keypoint_similarity(
    apart: jax.Array, area: jax.Array, sigmas: tuple[float, ...] | np.ndarray
) -> jax.Array:
    """exp(-d² / (2 (2 sigma)² area)) for each keypoint, of which OKS is the mean.

    Args:
      apart: `[..., K, 2]` differences of keypoints in pixels.
      area: `[...]` areas of the people in square pixels.
      sigmas: K falloffs as published (COCO's, not doubled).

    Returns:
      `[..., K]` in (0, 1].
    """
    falloff = 2.0 * (2 * np.asarray(sigmas, np.float32)) ** 2
    spread = area[..., None] * falloff.reshape((1,) * area.ndim + (-1,))
    return jnp.exp(-jnp.sum(apart**2, axis=-1) / spread)


@dataclass(frozen=True)
class L1(Loss):
    """`l1` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return l1(outputs, targets, weights)


@dataclass(frozen=True)
class SmoothL1(Loss):
    """`smooth_l1` as an object for a config."""

    beta: float = 1.0

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return smooth_l1(outputs, targets, weights, beta=self.beta)


@dataclass(frozen=True)
class Wing(Loss):
    """`wing` as an object for a config."""

    omega: float = 10.0
    epsilon: float = 2.0

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return wing(outputs, targets, weights, omega=self.omega, epsilon=self.epsilon)


@dataclass(frozen=True)
class MPJPE(Loss):
    """`mpjpe` as an object for a config."""

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return mpjpe(outputs, targets, weights)


@dataclass(frozen=True)
class BoneLength(Loss):
    """`bone_length` as an object for a config."""

    bones: tuple[tuple[int, int], ...]

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return bone_length(outputs, targets, weights, bones=self.bones)


@dataclass(frozen=True)
class OKS(Loss):
    """`oks_loss` as an object for a config.

    `area` is the share of a person in a crop padded 1.25 times: 0.53 of the box (the share that
    CrowdPose's evaluation assumes) over 1.25 squared.
    """

    sigmas: tuple[float, ...]
    input_hw: tuple[int, int] = (256, 192)
    area: float = 0.34

    def __post_init__(self) -> None:
        if not self.sigmas or min(self.sigmas) <= 0 or self.area <= 0:
            raise InputError("sigmas (one for each keypoint) and area must be positive.")

    def __call__(self, outputs: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return oks_loss(
            outputs,
            targets,
            weights,
            sigmas=self.sigmas,
            input_hw=self.input_hw,
            area=self.area,
        )
