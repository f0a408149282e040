"""Refinement of a heatmap's highest pixel to a position between pixels.

Maps are `[B, h, w, K]` float32, peaks `x`, `y` are int32 `[B, K]`, and a step is `(dx, dy)`, each
`[B, K]`, in heatmap pixels.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.geometry.lookup import values_at

Step = tuple[jax.Array, jax.Array]

# First half and middle of Gaussians, for which OpenCV does not use its rule for sigma.
_FIXED_TAPS = {
    1: (1.0,),
    3: (0.25, 0.5),
    5: (0.0625, 0.25, 0.375),
    7: (0.03125, 0.109375, 0.21875, 0.28125),
}


def highest(maps: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Find the highest pixel of each map, `x` and `y` int32 `[B, K]`, and its value `[B, K]`.

    Of equal values the first in row-major order is taken.
    """
    batch, height, width, keypoints = maps.shape
    flat = maps.reshape(batch, height * width, keypoints)
    index = jnp.argmax(flat, axis=1)
    return index % width, index // width, jnp.max(flat, axis=1)


def quarter_step(maps: jax.Array, x: jax.Array, y: jax.Array) -> Step:
    """Step of a quarter of a pixel towards the higher neighbour on each axis.

    There is no step at the border of the map (Simple Baselines, arXiv:1804.06208, section 3).
    """
    height, width = maps.shape[1:3]
    along_x = _pick(maps, x + 1, y) - _pick(maps, x - 1, y)
    along_y = _pick(maps, x, y + 1) - _pick(maps, x, y - 1)
    inside_x = (x > 1) & (x < width - 1) & (y > 0) & (y < height)
    inside_y = (y > 1) & (y < height - 1) & (x > 0) & (x < width)
    return (
        jnp.where(inside_x, 0.25 * jnp.sign(along_x), 0.0),
        jnp.where(inside_y, 0.25 * jnp.sign(along_y), 0.0),
    )


def dark_step(maps: jax.Array, x: jax.Array, y: jax.Array, blur_kernel: int) -> Step:
    """Newton step on the logarithm of the modulated map (DARK, arXiv:1910.06278, eq. 4-9).

    Differences span two pixels; there is no step within two pixels of the border.
    """
    height, width = maps.shape[1:3]
    log = jnp.log(jnp.maximum(modulate(maps, blur_kernel, axes=(1, 2)), 1e-10))
    here = _pick(log, x, y)
    dx = 0.5 * (_pick(log, x + 1, y) - _pick(log, x - 1, y))
    dy = 0.5 * (_pick(log, x, y + 1) - _pick(log, x, y - 1))
    dxx = 0.25 * (_pick(log, x + 2, y) - 2 * here + _pick(log, x - 2, y))
    dyy = 0.25 * (_pick(log, x, y + 2) - 2 * here + _pick(log, x, y - 2))
    dxy = 0.25 * (
        _pick(log, x + 1, y + 1)
        - _pick(log, x + 1, y - 1)
        - _pick(log, x - 1, y + 1)
        + _pick(log, x - 1, y - 1)
    )
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    return _newton(dx, dy, dxx, dxy, dyy, inside)


def dark_udp_step(maps: jax.Array, x: jax.Array, y: jax.Array, blur_kernel: int) -> Step:
    """DARK step in the form of UDP (arXiv:1911.07524, section 3.3).

    Differences span one pixel, and the border's values are repeated outside the map.
    """
    log = jnp.log(jnp.clip(modulate(maps, blur_kernel, axes=(1, 2)), 1e-3, 50.0))
    here = _pick(log, x, y)
    right, left = _pick(log, x + 1, y), _pick(log, x - 1, y)
    below, above = _pick(log, x, y + 1), _pick(log, x, y - 1)
    dx, dy = 0.5 * (right - left), 0.5 * (below - above)
    # Float32's epsilon on the diagonal keeps the Hessian of a flat neighbourhood invertible.
    epsilon = float(np.finfo(np.float32).eps)
    dxx = right - 2 * here + left + epsilon
    dyy = below - 2 * here + above + epsilon
    corners = _pick(log, x + 1, y + 1) + _pick(log, x - 1, y - 1)
    dxy = 0.5 * (corners - right - left - below - above + 2 * here)
    return _newton(dx, dy, dxx, dxy, dyy, jnp.ones_like(x, dtype=bool))


def shortened(step: Step, longest: float) -> Step:
    """Shorten a step to at most `longest` heatmap pixels in the same direction.

    Newton's step depends only on the pixels around the peak and is not valid far from them. In the
    blurred maps with many peaks that a weak network predicts, the curvature can be near zero; the
    published step is then arbitrarily long and can end outside the image.
    """
    dx, dy = step
    length = jnp.hypot(dx, dy)
    share = jnp.where(length > longest, longest / jnp.maximum(length, longest), 1.0)
    return dx * share, dy * share


def dark_step_1d(vectors: jax.Array, peak: jax.Array, blur_kernel: int) -> jax.Array:
    """DARK step on vectors `[B, K, N]` with peaks int32 `[B, K]`: `[B, K]` in bins."""
    log = jnp.log(jnp.clip(modulate(vectors, blur_kernel, axes=(2,)), 1e-3, 50.0))

    def pick(index: jax.Array) -> jax.Array:
        index = jnp.clip(index, 0, log.shape[2] - 1)
        return values_at(log, index[:, :, None], axis=2)[:, :, 0]

    slope = 0.5 * (pick(peak + 1) - pick(peak - 1))
    curvature = 0.25 * (pick(peak + 2) - 2 * pick(peak) + pick(peak - 2)) + 1e-9
    return -slope / curvature


def modulate(
    maps: jax.Array, size: int, axes: tuple[int, ...], taps: np.ndarray | None = None
) -> jax.Array:
    """Blur along `axes` with a Gaussian of `size` taps, then restore each map's maximum.

    Values outside the map are zero. `taps` are OpenCV's if None.
    """
    kernel = opencv_taps(size) if taps is None else taps
    blurred = maps
    for axis in axes:
        blurred = _correlate(blurred, kernel, axis)
    peak = jnp.max(maps, axis=axes, keepdims=True)
    blurred_peak = jnp.max(blurred, axis=axes, keepdims=True)
    return blurred * (peak / jnp.where(blurred_peak > 0, blurred_peak, 1.0))


def opencv_taps(size: int) -> np.ndarray:
    """Gaussian of `size` taps as OpenCV blurs with it: up to 7 taps do not follow its own rule."""
    if size in _FIXED_TAPS:
        half = np.array(_FIXED_TAPS[size])
        return np.concatenate([half, half[-2::-1]])
    return gaussian_taps(size)


def gaussian_taps(size: int) -> np.ndarray:
    """Gaussian of `size` taps, float64 `[size]` with sum 1.

    The size determines its width by OpenCV's rule, sigma = 0.3 ((size - 1) / 2 - 1) + 0.8: 11 taps
    have sigma 2.
    """
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    distance = np.arange(size) - (size - 1) / 2
    taps = np.exp(-(distance**2) / (2 * sigma**2))
    return taps / taps.sum()


def _correlate(array: jax.Array, kernel: np.ndarray, axis: int) -> jax.Array:
    # XLA fuses a sum of shifted slices into one pass; a depthwise convolution is slow on CPUs.
    border = len(kernel) // 2
    padding = [(0, 0)] * array.ndim
    padding[axis] = (border, border)
    padded = jnp.pad(array, padding)
    length = array.shape[axis]
    return sum(
        (
            float(tap) * jax.lax.slice_in_dim(padded, shift, shift + length, axis=axis)
            for shift, tap in enumerate(kernel)
        ),
        start=jnp.zeros((), array.dtype),
    )


def _pick(maps: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
    """Values `[B, K]` at the pixels, or at the nearest pixel of the map."""
    batch, height, width, keypoints = maps.shape
    index = jnp.clip(y, 0, height - 1) * width + jnp.clip(x, 0, width - 1)
    flat = maps.reshape(batch, height * width, keypoints)
    return values_at(flat, index[:, None, :], axis=1)[:, 0]


def _newton(
    dx: jax.Array, dy: jax.Array, dxx: jax.Array, dxy: jax.Array, dyy: jax.Array, allowed: jax.Array
) -> Step:
    """Step -H^-1 g where it is allowed and H is invertible, otherwise 0."""
    determinant = dxx * dyy - dxy * dxy
    allowed &= determinant != 0
    determinant = jnp.where(allowed, determinant, 1.0)
    return (
        jnp.where(allowed, -(dyy * dx - dxy * dy) / determinant, 0.0),
        jnp.where(allowed, -(dxx * dy - dxy * dx) / determinant, 0.0),
    )
