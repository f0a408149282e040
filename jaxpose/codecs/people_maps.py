"""Heatmaps of all people in an image, and their peaks."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

# (length, places `[B, K]`, sigma `[B, 1]`) -> values along an axis `[B, length, K]`
Profile = Callable[[int, jax.Array, jax.Array], jax.Array]


def rounded_gaussians(
    points: jax.Array,
    labelled: jax.Array,
    heatmap_hw: tuple[int, int],
    sigma: float | jax.Array,
) -> jax.Array:
    """Highest of all people's Gaussians around the nearest pixels, `[B, h, w, K]`.

    They end at three sigma, as in the codec of `heatmap.msra`. If three sigma are no whole number,
    the Gaussian may be one pixel before the nearest one, as in MMPose.

    Args:
      points: `[B, P, K, 2]` in pixels of the maps.
      labelled: bool `[B, P, K]`.
      sigma: standard deviation in pixels of the maps, of all people or `[B, P]`.
    """

    def profile(length: int, at: jax.Array, spread: jax.Array) -> jax.Array:
        middle, reach = jnp.trunc(at + 0.5), 3 * spread
        first = jnp.trunc(middle - reach)
        center = first + jnp.floor(reach + 0.5)
        pixel = jnp.arange(length, dtype=jnp.float32)[None, :, None]
        values = jnp.exp(-((pixel - center[:, None]) ** 2) / (2 * spread[:, None] ** 2))
        drawn = (pixel >= first[:, None]) & (pixel < jnp.trunc(middle + reach + 1)[:, None])
        return jnp.where(drawn, values, 0.0)

    return _highest(points, labelled, heatmap_hw, sigma, profile)


def exact_gaussians(
    points: jax.Array,
    labelled: jax.Array,
    heatmap_hw: tuple[int, int],
    sigma: float | jax.Array,
    whole_peaks: bool = False,
) -> jax.Array:
    """Highest of all people's Gaussians around places between pixels, `[B, h, w, K]`.

    They end at three sigma from the nearest pixel, as in UDP (arXiv:1911.07524). With
    `whole_peaks` each is scaled so that the nearest pixel is 1, as focal losses need; the place
    between pixels follows from ratios of pixels, which stay. Other arguments are those of
    `rounded_gaussians`.
    """

    def profile(length: int, at: jax.Array, spread: jax.Array) -> jax.Array:
        pixel = jnp.arange(length, dtype=jnp.float32)[None, :, None]
        nearest = jnp.trunc(at + 0.5)[:, None]
        squared = (pixel - at[:, None]) ** 2
        if whole_peaks:
            squared = squared - (nearest - at[:, None]) ** 2
        values = jnp.exp(-squared / (2 * spread[:, None] ** 2))
        away = jnp.abs(pixel - nearest)
        return jnp.where(away <= 3 * spread[:, None], values, 0.0)

    return _highest(points, labelled, heatmap_hw, sigma, profile)


def local_peaks(maps: jax.Array, window: int) -> jax.Array:
    """Maps `[B, h, w, C]` with minus infinity in all pixels that are not peaks.

    A peak is the highest pixel of the square of `window` pixels (odd) around it. Of equal
    neighbours, as between the pixels of an enlarged map, the first one is the peak.
    """
    height, width = maps.shape[1:3]
    half = window // 2
    highest = maps
    # One axis after the other needs fewer comparisons than the square.
    for axis in (1, 2):
        size, padding = [1] * 4, [(0, 0)] * 4
        size[axis], padding[axis] = window, (half, half)
        highest = jax.lax.reduce_window(
            highest, -jnp.inf, jax.lax.max, tuple(size), (1,) * 4, tuple(padding)
        )
    padded = jnp.pad(maps, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    first = maps == highest
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1)):
        first &= maps > padded[:, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
    return jnp.where(first, maps, -jnp.inf)


def beyond(values: jax.Array, least: float, places: int) -> jax.Array:
    """Number of values `[..., N]` above `least` that do not fit in `places`, int32 `[...]`."""
    return jnp.maximum((values > least).sum(axis=-1) - places, 0)


def _highest(
    points: jax.Array,
    labelled: jax.Array,
    heatmap_hw: tuple[int, int],
    sigma: float | jax.Array,
    profile: Profile,
) -> jax.Array:
    """Highest products of profiles along both axes, one person after another."""
    height, width = heatmap_hw
    sigmas = jnp.broadcast_to(jnp.asarray(sigma, jnp.float32), points.shape[:2])

    def add(maps: jax.Array, person: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        at, known, spread = person
        spread = jnp.maximum(spread, 1e-3)[:, None]
        rows, columns = (profile(n, at[..., axis], spread) for n, axis in ((height, 1), (width, 0)))
        rows = jnp.where(known[:, None], rows, 0.0)
        return jnp.maximum(maps, rows[:, :, None] * columns[:, None]), None

    empty = jnp.zeros((points.shape[0], height, width, points.shape[2]))
    people = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (points, labelled, sigmas))
    return jax.lax.scan(add, empty, people)[0]
