"""People from part affinity fields: peaks of maps, scores of limbs, greedy matching, assembly.

Cao et al. 2021, arXiv:1812.08008, section 3.4. All arrays have fixed shapes: P peaks of each
keypoint, M people. Positions are pixels of enlarged maps.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.geometry.lookup import reordered, values_at

_POINTS = 10  # along a limb


class Peaks(NamedTuple):
    """Peaks of each keypoint's map, the highest first.

    Attributes:
      xy: `[B, K, P, 2]`, whole numbers unless they are between pixels.
      score: `[B, K, P]`.
      there: bool `[B, K, P]`, False for unused places.
      lost: int `[B, K]`, peaks that found no place.
    """

    xy: jax.Array
    score: jax.Array
    there: jax.Array
    lost: jax.Array


class Limbs(NamedTuple):
    """Pairs of peaks that are joined by a limb, the highest score first.

    Attributes:
      start: int `[B, L, P]`, peak of the limb's first keypoint.
      end: int `[B, L, P]`, peak of its second keypoint.
      score: `[B, L, P]`; minus infinity for unused places.
    """

    start: jax.Array
    end: jax.Array
    score: jax.Array


class Groups(NamedTuple):
    """People as sets of peaks; rows without a keypoint are unused.

    Attributes:
      peaks: int `[B, M, K]`, peak of each keypoint, -1 for none.
      total: `[B, M]`, sum of the scores of peaks and limbs.
      number: int `[B, M]`, number of peaks.
      lost: int `[B]`, people who found no row.
    """

    peaks: jax.Array
    total: jax.Array
    number: jax.Array
    lost: jax.Array


def cubic_weights(size: int, factor: int) -> np.ndarray:
    """Weights `[size * factor, size]` of bicubic enlargement, edges aligned, as in OpenCV.

    The kernel has a = -0.75 (Keys 1981, eq. 4, has -0.5); pixels outside are those of the edge.
    """
    place = (np.arange(size * factor) + 0.5) / factor - 0.5
    first = np.floor(place).astype(int) - 1
    weights = np.zeros((size * factor, size))
    for tap in range(4):
        weight = _keys(np.abs(place - (first + tap)))
        np.add.at(weights, (np.arange(len(place)), np.clip(first + tap, 0, size - 1)), weight)
    return weights


def _keys(distance: np.ndarray) -> np.ndarray:
    a, d = -0.75, distance
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * (d**3 - 5 * d**2 + 8 * d - 4)
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def blur_weights(size: int, sigma: float) -> np.ndarray:
    """Weights `[size, size]` of a Gaussian of four sigma, with the image mirrored at its edges."""
    reach = int(4 * sigma + 0.5)
    step = np.arange(-reach, reach + 1)
    kernel = np.exp(-0.5 * (step / sigma) ** 2)
    place = np.arange(size)[:, None] + step
    place = place % (2 * size)
    place = np.where(place < size, place, 2 * size - 1 - place)
    weights = np.zeros((size, size))
    np.add.at(weights, (np.arange(size)[:, None], place), kernel / kernel.sum())
    return weights


def resampled(maps: jax.Array, rows: np.ndarray, columns: np.ndarray) -> jax.Array:
    """Maps `[B, h, w, C]` by weights `[H, h]` and `[W, w]` -> `[B, H, W, C]`."""
    product = partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)
    maps = product("yh,bhwc->bywc", jnp.asarray(rows, jnp.float32), maps)
    return product("xw,bywc->byxc", jnp.asarray(columns, jnp.float32), maps)


def find_peaks(
    smooth: jax.Array,
    values: jax.Array,
    count: int,
    least: float,
    radius: float,
    between: bool = False,
) -> Peaks:
    """Find up to `count` peaks of each map that are above `least`.

    A peak is not lower than its four neighbours. One that is within `radius` pixels of a higher one
    is left out; 0 keeps all.

    Args:
      smooth: maps `[B, H, W, K]` in which peaks are searched for.
      values: maps `[B, H, W, K]` from which their scores are read.
      between: place a peak between pixels, at the maximum of parabolas through its neighbours.
    """
    batch, height, width, keypoints = smooth.shape
    padded = jnp.pad(smooth, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    peak = smooth > least
    for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
        peak &= smooth >= padded[:, dy : dy + height, dx : dx + width]
    flat = jnp.where(peak, smooth, -jnp.inf).reshape(batch, height * width, keypoints)
    count = min(count, height * width)
    found, place = jax.lax.top_k(jnp.swapaxes(flat, 1, 2), count)
    there = found > -jnp.inf
    xy = jnp.stack([place % width, place // width], axis=-1).astype(jnp.float32)
    if between:
        xy = xy + jnp.where(there[..., None], _parabola_steps(smooth, place), 0.0)
    if radius:
        there = _apart(xy, there, radius)
    scores = jnp.swapaxes(values.reshape(batch, height * width, keypoints), 1, 2)
    lost = jnp.maximum(peak.sum(axis=(1, 2)) - count, 0)
    return Peaks(xy, jnp.where(there, values_at(scores, place, axis=2), 0.0), there, lost)


def _parabola_steps(maps: jax.Array, place: jax.Array) -> jax.Array:
    """Steps (x, y) `[B, K, P, 2]` from pixels `[B, K, P]` of maps `[B, H, W, K]` to maxima."""
    batch, height, width, keypoints = maps.shape
    flat = jnp.swapaxes(maps.reshape(batch, height * width, keypoints), 1, 2)
    column, row = place % width, place // width

    def step(dx: int, dy: int) -> jax.Array:
        def value(sign: int) -> jax.Array:
            x = jnp.clip(column + sign * dx, 0, width - 1)
            y = jnp.clip(row + sign * dy, 0, height - 1)
            return values_at(flat, y * width + x, axis=2)

        low, middle, high = value(-1), value(0), value(1)
        curve = jnp.minimum(low - 2 * middle + high, -1e-6)
        return jnp.clip(0.5 * (low - high) / curve, -0.5, 0.5)

    return jnp.stack([step(1, 0), step(0, 1)], axis=-1)


def _apart(xy: jax.Array, there: jax.Array, radius: float) -> jax.Array:
    """Leave out peaks `[B, K, P, 2]` near one that comes before and is kept; bool `[B, K, P]`."""
    away = jnp.square(xy[..., :, None, :] - xy[..., None, :, :]).sum(axis=-1)
    near = away < radius**2
    earlier = jnp.tril(jnp.ones(near.shape[-2:], bool), -1)[None, None]

    def step(i: int, kept: jax.Array) -> jax.Array:
        beside = (near & earlier)[..., i, :] & kept
        return kept.at[..., i].set(kept[..., i] & ~beside.any(axis=-1))

    return jax.lax.fori_loop(0, xy.shape[2], step, there)


def limb_scores(
    fields: jax.Array,
    peaks: Peaks,
    limbs: tuple[tuple[int, int], ...],
    *,
    least: float,
    share: float,
    far: bool,
) -> jax.Array:
    """Scores `[B, L, P, P]` of limbs from each start to each end; minus infinity for none.

    The field along a limb is read at ten points, in the limb's direction (eq. 11). A limb needs
    more than a `share` of values above `least`. Its score is the mean of these values or, if `far`,
    the mean of all values less h / 2d - 1 where a limb of length d is longer than half the height
    h.

    Args:
      fields: `[B, H, W, 2 L]`, (x, y) of each limb.
    """
    batch, height, width, _ = fields.shape
    flat = fields.reshape(batch, height * width, len(limbs), 2)
    part = jnp.linspace(0.0, 1.0, _POINTS)[None, None, None, :, None]

    def of_limb(field: jax.Array, start: jax.Array, end: jax.Array) -> jax.Array:
        """`[B, H W, 2]`, `[B, P, 2]` twice -> `[B, P, P]`."""
        lead = end[:, None] - start[:, :, None]
        length = jnp.sqrt(jnp.square(lead).sum(axis=-1))
        unit = lead / jnp.maximum(length, 1e-3)[..., None]
        point = jnp.round(start[:, :, None, None] + part * lead[:, :, :, None])
        index = (point[..., 1] * width + point[..., 0]).astype(jnp.int32)
        index = jnp.clip(index, 0, height * width - 1).reshape(batch, -1, 1)
        value = values_at(field, jnp.broadcast_to(index, (*index.shape[:2], 2)), axis=1)
        value = value.reshape(*point.shape[:4], 2)
        value = (value * unit[:, :, :, None]).sum(axis=-1)
        high = value > least
        number = high.sum(axis=-1)
        if far:
            score = value.mean(axis=-1)
            score += jnp.minimum(0.5 * height / jnp.maximum(length, 1e-3) - 1.0, 0.0)
        else:
            score = jnp.where(high, value, 0.0).sum(axis=-1) / jnp.maximum(number, 1)
        fits = (number > share * _POINTS) & (score > 0)
        return jnp.where(fits, score, -jnp.inf)

    ends = [[limb[end] for limb in limbs] for end in (0, 1)]
    xy = (reordered(peaks.xy, which, axis=1) for which in ends)
    score = jax.vmap(of_limb, in_axes=(2, 1, 1), out_axes=1)(flat, *xy)
    first, second = (reordered(peaks.there, which, axis=1) for which in ends)
    both = first[..., None] & second[:, :, None]
    return jnp.where(both, score, -jnp.inf)


def match(scores: jax.Array) -> Limbs:
    """Choose limbs greedily, the highest score first, so that each peak is in at most one.

    `scores`: `[B, L, P, P]`.
    """
    size = scores.shape[-1]

    def step(left: jax.Array, _: None) -> tuple[jax.Array, tuple[jax.Array, ...]]:
        flat = left.reshape(*left.shape[:-2], -1)
        best = jnp.argmax(flat, axis=-1)
        start, end = best // size, best % size
        score = flat.max(axis=-1)
        row = jnp.arange(size)[None, None]
        used = (row == start[..., None])[..., None] | (row == end[..., None])[..., None, :]
        return jnp.where(used, -jnp.inf, left), (start, end, score)

    _, chosen = jax.lax.scan(step, scores, None, length=size)
    return Limbs(*(jnp.moveaxis(values, 0, -1) for values in chosen))


def assemble(
    chosen: Limbs,
    peaks: Peaks,
    limbs: tuple[tuple[int, int], ...],
    order: tuple[int, ...],
    bridging: tuple[int, ...],
    people: int,
) -> Groups:
    """Join limbs to people, limb by limb.

    A limb belongs to the person that has one of its peaks, and adds the other one if the person has
    none of that keypoint. A limb between two people without a common keypoint makes them one. A
    limb that no person has a peak of starts a person, unless it is `bridging`.

    Args:
      chosen: from `match`.
      limbs: keypoints of each limb.
      order: limbs in the order in which they are joined.
      bridging: limbs that start no person.
      people: M, number of rows.
    """
    width = chosen.score.shape[-1]
    listed = np.repeat(np.array(order), width)
    starts, ends = (np.array([limb[end] for limb in limbs])[listed] for end in (0, 1))
    founding = ~np.isin(listed, np.array(bridging, int))
    keypoints = peaks.score.shape[1]

    def of_image(chosen: Limbs, peaks: Peaks) -> Groups:
        values = (x[np.array(order)].reshape(-1) for x in chosen)
        first, second, score = values
        # Used limbs come first, in the same order, so that the loop ends after them.
        used = score > -jnp.inf
        turn = jnp.argsort(~used, stable=True)
        names = tuple(jnp.asarray(x)[turn] for x in (starts, ends, founding))
        steps = (*names, first[turn], second[turn], score[turn])

        def join(i: jax.Array, groups: Groups) -> Groups:
            start, end, new, a, b, value = (x[i] for x in steps)
            rows, total, count, lost = groups
            at_start = jnp.take(rows, start, axis=1)
            at_end = jnp.take(rows, end, axis=1)
            has = (at_start == a) | (at_end == b)
            one = jnp.argmax(has)
            other = rows.shape[0] - 1 - jnp.argmax(has[::-1])
            found, several = has.any(), has.sum() > 1
            gain_a, gain_b = peaks.score[start, a], peaks.score[end, b]

            # The person gets the limb's peak that it lacks.
            lacks_a, lacks_b = at_start[one] < 0, at_end[one] < 0
            apart = ~((rows[one] >= 0) & (rows[other] >= 0)).any()
            merges = several & apart
            adds = found & ~merges & (lacks_a | lacks_b)
            joined = jnp.where(rows[one] >= 0, rows[one], rows[other])
            grown = rows[one]
            grown = grown.at[start].set(jnp.where(lacks_a, a, grown[start]))
            grown = grown.at[end].set(jnp.where(lacks_b, b, grown[end]))
            fresh = jnp.full((keypoints,), -1, rows.dtype).at[start].set(a).at[end].set(b)
            gain = jnp.where(lacks_a, gain_a, 0.0) + jnp.where(lacks_b, gain_b, 0.0) + value

            free = jnp.argmax(count == 0)
            room = (count == 0).any()
            starts_one = ~found & new & room
            target = jnp.where(found, one, free)
            row = jnp.where(merges, joined, jnp.where(found, grown, fresh))
            more = jnp.where(
                merges, total[other] + value, jnp.where(found, gain, gain_a + gain_b + value)
            )
            number = jnp.where(
                merges, count[other], jnp.where(found, lacks_a.astype(int) + lacks_b, 2)
            )
            change = merges | adds | starts_one
            rows = rows.at[target].set(jnp.where(change, row, rows[target]))
            total = total.at[target].add(jnp.where(change, more, 0.0))
            count = count.at[target].add(jnp.where(change, number, 0))
            # The second person has become a part of the first.
            rows = rows.at[other].set(jnp.where(merges, -1, rows[other]))
            total = total.at[other].set(jnp.where(merges, 0.0, total[other]))
            count = count.at[other].set(jnp.where(merges, 0, count[other]))
            return Groups(rows, total, count, lost + (~found & new & ~room))

        empty = Groups(
            jnp.full((people, keypoints), -1),
            jnp.zeros(people),
            jnp.zeros(people, int),
            jnp.zeros((), int),
        )
        return jax.lax.fori_loop(0, used.sum(), join, empty)

    return jax.vmap(of_image)(chosen, peaks)
