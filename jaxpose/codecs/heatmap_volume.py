"""Codec of clips as volumes of heatmaps: keypoints or limbs drawn frame by frame (PoseC3D)."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.mirror import mirror

# Keypoints with a smaller score are not drawn, as in the published code.
_LEAST = 1e-4


def keypoint_volume(
    keypoints: jax.Array, scores: jax.Array, hw: tuple[int, int], sigma: float = 0.6
) -> jax.Array:
    """Draw keypoints as Gaussians of height `scores` (arXiv:2104.13586, eq. 1).

    Values further than three sigmas from the keypoint along an axis are 0, and where people
    overlap, the largest value counts.

    Args:
      keypoints: `[..., P, K, 2]` in cells of the volume.
      scores: `[..., P, K]`.
      hw: height and width of the volume.
      sigma: standard deviation in cells.

    Returns:
      `[..., H, W, K]` float32.
    """
    down, across = (
        _profile(keypoints[..., axis], keypoints[..., axis], size, sigma)
        * jnp.exp(
            -0.5 * ((_cells(size, keypoints.ndim - 1) - keypoints[..., axis, None]) / sigma) ** 2
        )
        for axis, size in ((1, hw[0]), (0, hw[1]))
    )
    heights = jnp.where(scores < _LEAST, 0.0, scores)
    drawn = jnp.einsum("...pk,...pkh,...pkw->...phwk", heights, down, across)
    return drawn.max(axis=-4)


def limb_volume(
    keypoints: jax.Array,
    scores: jax.Array,
    limbs: tuple[tuple[int, int], ...],
    hw: tuple[int, int],
    sigma: float = 0.6,
) -> jax.Array:
    """Draw limbs by the distance to their line (arXiv:2104.13586, eq. 2); see `keypoint_volume`.

    Returns:
      `[..., H, W, L]` float32; the height of a limb is the smaller score of its ends.
    """
    starts, ends = np.asarray(limbs, np.int32).reshape(-1, 2).T
    a, b = reordered(keypoints, starts, axis=-2), reordered(keypoints, ends, axis=-2)
    first, last = (reordered(scores, side, axis=-1) for side in (starts, ends))
    length = ((b - a) ** 2).sum(axis=-1)[..., None, None]
    # A limb shorter than a cell is drawn as its start.
    short = length < 1
    heights = jnp.where(short[..., 0, 0], first, jnp.minimum(first, last))
    heights = jnp.where(jnp.minimum(first, last) < _LEAST, 0.0, heights)
    end = jnp.where(short[..., 0], a, b)
    inside = [
        _profile(jnp.minimum(a, end)[..., axis], jnp.maximum(a, end)[..., axis], size, sigma)
        for axis, size in ((1, hw[0]), (0, hw[1]))
    ]
    window = inside[0][..., :, None] * inside[1][..., None, :]
    y, x = jnp.meshgrid(*(jnp.arange(size, dtype=jnp.float32) for size in hw), indexing="ij")
    cells = jnp.stack([x, y], axis=-1).reshape(*(1,) * (a.ndim - 1), *hw, 2)
    from_start = cells - a[..., None, None, :]
    along = (from_start * (b - a)[..., None, None, :]).sum(axis=-1)
    along = jnp.clip(along / jnp.where(short, 1.0, length), 0, 1)
    along = jnp.where(short, 0.0, along)
    away = from_start - along[..., None] * (b - a)[..., None, None, :]
    distance = (away**2).sum(axis=-1)
    drawn = jnp.exp(-0.5 * distance / sigma**2) * window * heights[..., None, None]
    return jnp.moveaxis(drawn.max(axis=-4), -3, -1)


def _cells(size: int, axes: int) -> jax.Array:
    """Numbers of cells `[1, ..., size]`, with `axes` leading axes."""
    return jnp.arange(size, dtype=jnp.float32).reshape(*(1,) * axes, size)


def _profile(low: jax.Array, high: jax.Array, size: int, sigma: float) -> jax.Array:
    """1 for the cells `[..., size]` from `low` to `high` and three sigmas around, 0 elsewhere."""
    cells = _cells(size, low.ndim)
    first, last = jnp.trunc(low - 3 * sigma), jnp.trunc(high + 3 * sigma)
    inside = (cells >= first[..., None]) & (cells <= last[..., None])
    return inside.astype(jnp.float32)


@dataclass(frozen=True)
class VolumeCodec:
    """Codec from people's keypoints in images to volumes of heatmaps.

    The volume is the square around all people of the clip, with a margin.

    Attributes:
      num_keypoints: number of keypoints, K.
      frames: number of frames of a volume.
      people: number of people that are drawn.
      volume_hw: height and width of the volume in cells.
      limbs: pairs of keypoints that are drawn; empty to draw keypoints.
      sigma: standard deviation of the Gaussians in cells.
      use_score: True for heights by the keypoints' scores, False for 1.
      margin: part of the square's side that is added around the people.
    """

    num_keypoints: int = 17
    frames: int = 48
    people: int = 2
    volume_hw: tuple[int, int] = (56, 56)
    limbs: tuple[tuple[int, int], ...] = ()
    sigma: float = 0.6
    use_score: bool = True
    margin: float = 0.25

    def __post_init__(self) -> None:
        if self.frames < 1 or self.people < 1 or self.sigma <= 0:
            raise InputError(
                "codec.frames and codec.people must be at least 1, codec.sigma over 0."
            )
        if any(not 0 <= i < self.num_keypoints for limb in self.limbs for i in limb):
            raise InputError(
                f"codec.limbs has a number that is none of {self.num_keypoints} keypoints."
            )

    dimensions = 2

    @property
    def in_features(self) -> int:
        """Number of channels of a volume."""
        return len(self.limbs) or self.num_keypoints

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input `(frames, H, W, channels)`."""
        return self.frames, *self.volume_hw, self.in_features

    def framed(self, keypoints: jax.Array, scores: jax.Array, image_wh: jax.Array) -> jax.Array:
        """Coordinates from the middle of the square, in halves of its side, 0 where unseen.

        Arguments are those of `ClipCodec.framed`; `image_wh` has no effect.
        """
        del image_wh
        x, seen = keypoints[..., :2], (scores > 0)[..., None]
        low = jnp.where(seen, x, jnp.inf).min(axis=(1, 2, 3), keepdims=True)
        high = jnp.where(seen, x, -jnp.inf).max(axis=(1, 2, 3), keepdims=True)
        half = ((high - low) / 2).max(axis=-1, keepdims=True) * (1 + self.margin)
        some = jnp.isfinite(half)
        middle = jnp.where(jnp.isfinite(low), (low + high) / 2, 0.0)
        return jnp.where(seen, (x - middle) / jnp.where(some, jnp.maximum(half, 1e-6), 1.0), 0.0)

    def encode(self, framed: jax.Array, scores: jax.Array) -> jax.Array:
        """Volume `[B, T, H, W, channels]` of `framed [B, T, P, K, 2]` and `scores`."""
        h, w = self.volume_hw
        # A mirror image of the coordinates is then the mirror image of the volume.
        largest = jnp.asarray([w - 1, h - 1], jnp.float32)[None, None, None, None]
        cells = (framed + 1) / 2 * largest
        scores = scores.astype(jnp.float32)
        heights = scores if self.use_score else (scores > 0).astype(jnp.float32)
        if self.limbs:
            return limb_volume(cells, heights, self.limbs, self.volume_hw, self.sigma)
        return keypoint_volume(cells, heights, self.volume_hw, self.sigma)

    def mirrored(
        self, framed: jax.Array, scores: jax.Array, permutation: np.ndarray
    ) -> tuple[jax.Array, jax.Array]:
        """Mirror framed coordinates and scores, with left and right keypoints exchanged."""
        return mirror(framed, permutation), reordered(scores, permutation, axis=-1)

    def describe(self) -> str:
        """Phrase for a model card."""
        what = "limbs" if self.limbs else "keypoints"
        h, w = self.volume_hw
        return f"volume of {what}, {self.frames} frames of {w} x {h} cells"
