"""Best similarity transform between two sets of points, batched."""

from typing import Any, NamedTuple

from jaxpose.geometry.namespace import (
    ArrayT,
    floating,
    multiply,
    namespace,
    transform,
)


class Similarity(NamedTuple):
    """Similarity x -> scale R x + t, one for each set of points.

    Attributes:
      scale: `[...]`.
      R: `[..., 3, 3]`, determinant +1: a mirrored set is rotated, never mirrored back.
      t: `[..., 3]` in the unit of the target.
    """

    scale: Any
    R: Any
    t: Any


def procrustes(
    source: ArrayT, target: ArrayT, weights: ArrayT | None = None, *, scale: bool = True
) -> Similarity:
    """Least-squares similarity from `source [..., N, 3]` to `target [..., N, 3]`.

    Points of weight 0 are ignored, even NaN. Where the solution is not unique, one of the best is
    returned: any rotation about the axis of collinear points; scale 1 where all source points
    coincide; the identity where all weights are 0.

    Args:
      source, target: of one shape.
      weights: `[..., N]` not negative, or None for all equal.
      scale: False for a rigid motion.

    Umeyama, "Least-Squares Estimation of Transformation Parameters Between Two Point Patterns",
    PAMI 1991, equations 40 to 43.
    """
    xp = namespace(source, target, weights)
    source, target = floating(source, xp), floating(target, xp)
    weights = xp.ones_like(source[..., 0]) if weights is None else floating(weights, xp)
    share = weights / xp.maximum(xp.sum(weights, axis=-1, keepdims=True), 1e-12)
    share = share[..., None]
    source, target = (xp.where(share > 0, points, 0.0) for points in (source, target))
    size = xp.sum(share * source * source, axis=(-2, -1))
    source_mean = xp.sum(share * source, axis=-2)
    target_mean = xp.sum(share * target, axis=-2)
    source, target = source - source_mean[..., None, :], target - target_mean[..., None, :]

    covariance = xp.sum((share * target)[..., :, None] * source[..., None, :], axis=-3)
    U, singular, Vt = xp.linalg.svd(covariance)
    handed = xp.sign(xp.linalg.det(U) * xp.linalg.det(Vt))[..., None]
    signs = xp.concatenate([xp.ones_like(singular[..., :2]), handed], axis=-1)
    R = multiply(U * signs[..., None, :], Vt)
    factor = xp.ones_like(singular[..., 0])
    if scale:
        variance = xp.sum(share * source * source, axis=(-2, -1))
        spread = variance > size * (8 * xp.finfo(size.dtype).eps) ** 2  # else rounding
        gain = xp.sum(singular * signs, axis=-1) / xp.where(spread, variance, 1.0)
        factor = xp.where(spread, gain, factor)
    t = target_mean - factor[..., None] * transform(R, source_mean)
    return Similarity(factor, R, t)


def move(similarity: Similarity, points: ArrayT) -> ArrayT:
    """Moves points `[..., N, 3]` by the similarities `[...]`."""
    turned = transform(similarity.R[..., None, :, :], points)
    return similarity.scale[..., None, None] * turned + similarity.t[..., None, :]
