"""Voting for keypoints: each pixel of an object points at each keypoint, and lines are intersected.

PVNet (Peng et al. 2019, arXiv:1812.11788, section 3.1): pairs of pixels give hypotheses, and all
pixels vote for those that they point at. The winner's voters give the keypoint, and the spread of
the hypotheses its covariance. `nearest_by_angle` then removes the bias of that keypoint.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Determinant of the directions of two lines below which they are parallel.
_PARALLEL = 1e-6
# Share of the votes below the winner's at which hypotheses still count for the covariance.
_NEAR = 0.1
# Angle in radians at which a pixel weighs half: errors of networks are about as large.
_HALF_WEIGHT = 0.4
# Pixels of an object whose errors are taken as independent: those of neighbours are alike.
_INDEPENDENT = 30.0
# Longest step of the refinement, and least distance of a pixel from a keypoint, in pixels.
_LONGEST, _LEAST_AWAY = 10.0, 1.0
# Largest sum of the two variances of a keypoint, square pixels.
_LARGEST = 1e6


class Votes(NamedTuple):
    """Keypoints of one image, float32.

    Attributes:
      keypoints: `[K, 2]` (x, y).
      covariance: `[K, 2, 2]` in square pixels.
      share: `[K]` of the pixels that point at the keypoint.
    """

    keypoints: jax.Array
    covariance: jax.Array
    share: jax.Array


def vote(
    key: jax.Array,
    mask: jax.Array,
    vectors: jax.Array,
    *,
    hypotheses: int = 128,
    voters: int = 1024,
    threshold: float = 0.99,
    angle_steps: int = 6,
) -> Votes:
    """Keypoints `[K, 2]` in pixels of the maps, by votes of the object's pixels.

    Args:
      key: decides which pixels vote and which pairs give hypotheses.
      mask: bool `[h, w]`, the object's pixels.
      vectors: `[h, w, K, 2]` directions from each pixel to the keypoints.
      hypotheses: number of pairs of pixels for each keypoint.
      voters: largest number of pixels that vote, drawn at random.
      threshold: cosine of the largest angle of a vote with the direction to the hypothesis.
      angle_steps: steps of `nearest_by_angle` from the winner; 0 for PVNet's own keypoints and
        covariances.

    Without at least two pixels, the keypoints are 0 and no pixel points at them.
    """
    height, width, count, _ = vectors.shape
    choice_key, pair_key = jax.random.split(key)
    flat = mask.reshape(-1)
    chance = jnp.where(flat, jax.random.uniform(choice_key, flat.shape, minval=0.1), 0.0)
    chance, place = jax.lax.top_k(chance, min(voters, height * width))
    valid = chance > 0
    points = jnp.stack([place % width, place // width], axis=-1).astype(jnp.float32)
    directions = vectors.reshape(height * width, count, 2)[place].astype(jnp.float32)
    number = jnp.maximum(valid.sum(), 1)
    pairs = jax.random.randint(pair_key, (hypotheses, count, 2), 0, number)
    made = line_crossings(points, directions, pairs)
    share = supporters(points, directions, made, threshold, valid).sum(axis=-1) / number
    best = jnp.argmax(share, axis=0)
    winner = jnp.take_along_axis(made, best[None, :, None], axis=0)
    support = supporters(points, directions, winner, threshold, valid)[0]
    keypoints = nearest_points(points, directions, support)
    # Fewer than two pixels that agree have no crossing.
    keypoints = jnp.where(jnp.isfinite(keypoints), keypoints, winner[0])
    found = support.sum(axis=-1) / number * (valid.sum() >= 2)
    if not angle_steps:
        return Votes(keypoints, weighted_covariance(made, share, keypoints), found)
    return Votes(*nearest_by_angle(points, directions, keypoints, valid, angle_steps), found)


def line_crossings(points: jax.Array, directions: jax.Array, pairs: jax.Array) -> jax.Array:
    """Crossings `[M, K, 2]` of the lines of two pixels for each keypoint; 0 for parallel ones.

    Args:
      points: `[N, 2]`.
      directions: `[N, K, 2]`.
      pairs: int `[M, K, 2]`, places of the two pixels.
    """
    column = jnp.arange(pairs.shape[1])[None]
    first, second = (points[pairs[..., i]] for i in (0, 1))
    a, b = (directions[pairs[..., i], column] for i in (0, 1))
    determinant = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    parallel = jnp.abs(determinant) < _PARALLEL
    between = second - first
    along = between[..., 0] * b[..., 1] - between[..., 1] * b[..., 0]
    along = along / jnp.where(parallel, 1.0, determinant)
    crossing = first + along[..., None] * a
    return jnp.where(parallel[..., None], 0.0, crossing)


def supporters(
    points: jax.Array,
    directions: jax.Array,
    hypotheses: jax.Array,
    threshold: float,
    valid: jax.Array,
) -> jax.Array:
    """Pixels that point at hypotheses: bool `[M, K, N]`.

    Args:
      points: `[N, 2]`.
      directions: `[N, K, 2]`.
      hypotheses: `[M, K, 2]`.
      threshold: least cosine.
      valid: bool `[N]`, False for pixels without a vote.
    """
    away = hypotheses[:, :, None] - points[None, None]
    turned = directions.transpose(1, 0, 2)[None]
    product = away[..., 0] * turned[..., 0] + away[..., 1] * turned[..., 1]
    lengths = jnp.sum(away**2, axis=-1) * jnp.sum(turned**2, axis=-1)
    agree = (product > 0) & (product**2 > threshold**2 * lengths)
    return agree & valid[None, None]


def nearest_points(points: jax.Array, directions: jax.Array, weights: jax.Array) -> jax.Array:
    """Points `[K, 2]` of the least squared distance from lines; NaN if all are parallel.

    Args:
      points: `[N, 2]`.
      directions: `[N, K, 2]`; each line weighs by the square of its length.
      weights: `[K, N]`.
    """
    normal = jnp.stack([directions[..., 1], -directions[..., 0]], axis=-1).transpose(1, 0, 2)
    weights = weights.astype(jnp.float32)[..., None]
    # About their mean: squares of coordinates would lose digits.
    middle = (weights * points[None]).sum(axis=1) / jnp.maximum(weights.sum(axis=1), 1e-9)
    offset = points[None] - middle[:, None]
    along = (normal * offset).sum(axis=-1, keepdims=True)
    matrix = ((weights * normal)[..., :, None] * normal[..., None, :]).sum(axis=1)
    target = (weights * normal * along).sum(axis=1)
    a, b, c, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1]
    determinant = a * d - b * c
    x = d * target[:, 0] - b * target[:, 1]
    y = a * target[:, 1] - c * target[:, 0]
    return middle + jnp.stack([x, y], axis=-1) / determinant[:, None]


def nearest_by_angle(
    points: jax.Array, directions: jax.Array, start: jax.Array, valid: jax.Array, steps: int = 6
) -> tuple[jax.Array, jax.Array]:
    """Points `[K, 2]` of the least angles with directions, and their covariances `[K, 2, 2]`.

    With noise of the directions, the least squared distance from lines is nearer to the pixels
    than the keypoint, because distances shrink on the way to the pixels: an object appears smaller
    and farther away. Angles have no such bias. Steps are Gauss-Newton's, and pixels have the
    weights of a Cauchy distribution. The covariance is the inverse of the information of 30
    pixels with the variance of the angles.

    Args:
      points: `[N, 2]`.
      directions: `[N, K, 2]`; lengths do not count.
      start: `[K, 2]`, which is returned where the steps are not finite.
      valid: bool `[N]`, False for pixels without a vote.
      steps: number of steps, at least 1.
    """
    u, v = directions[..., 0].T, directions[..., 1].T  # [K, N]

    def step(place: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        x = place[:, None, 0] - points[None, :, 0]
        y = place[:, None, 1] - points[None, :, 1]
        angle = jnp.arctan2(u * y - v * x, u * x + v * y)
        weight = valid[None] / (1 + (angle / _HALF_WEIGHT) ** 2)
        squared = x**2 + y**2 + _LEAST_AWAY
        slope = jnp.stack([-y / squared, x / squared], axis=-1)  # of the angle, by the place
        information = jnp.einsum("kn,kni,knj->kij", weight, slope, slope)
        gradient = jnp.einsum("kn,kni,kn->ki", weight, slope, angle)
        total = jnp.maximum(weight.sum(axis=-1), 1e-6)
        variance = (weight * angle**2).sum(axis=-1) / total
        inverse = _inverse_2x2(information)
        move = -(inverse @ gradient[..., None])[..., 0]
        length = jnp.sqrt((move**2).sum(axis=-1, keepdims=True) + 1e-12)
        spread = inverse * (variance * total / _INDEPENDENT)[:, None, None]
        return place + move * jnp.minimum(1.0, _LONGEST / length), spread

    found, spreads = jax.lax.scan(step, start, None, length=steps)
    good = jnp.isfinite(found).all(axis=-1) & jnp.isfinite(spreads[-1]).all(axis=(-1, -2))
    size = jnp.trace(spreads[-1], axis1=-2, axis2=-1)[:, None, None]
    limited = spreads[-1] / jnp.maximum(size / _LARGEST, 1.0)
    unknown = _LARGEST * jnp.eye(2)[None]
    return (
        jnp.where(good[:, None], found, start),
        jnp.where(good[:, None, None], limited, unknown),
    )


def _inverse_2x2(matrix: jax.Array) -> jax.Array:
    """Inverses of symmetric matrices `[K, 2, 2]`, which are kept from being singular."""
    trace = matrix[:, 0, 0] + matrix[:, 1, 1]
    matrix = matrix + (1e-6 * trace + 1e-12)[:, None, None] * jnp.eye(2)[None]
    a, b, d = matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 1]
    swapped = jnp.stack([jnp.stack([d, -b], -1), jnp.stack([-b, a], -1)], -2)
    return swapped / (a * d - b * b)[:, None, None]


def weighted_covariance(hypotheses: jax.Array, share: jax.Array, mean: jax.Array) -> jax.Array:
    """Covariances `[K, 2, 2]` of hypotheses `[M, K, 2]` about `mean [K, 2]` (eq. 3).

    Hypotheses weigh by the share `[M, K]` of the pixels that point at them, and only those whose
    share is within 0.1 of the best one's.
    """
    weight = jnp.where(share < share.max(axis=0, keepdims=True) - _NEAR, 0.0, share)[..., None]
    away = hypotheses - mean[None]
    total = ((weight * away)[..., :, None] * away[..., None, :]).sum(axis=0)
    return total / (weight.sum(axis=0)[..., None] + 1e-3)
