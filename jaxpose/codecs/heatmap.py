"""Gaussian heatmaps, one per keypoint, in the conventions of MSRA, DARK and UDP."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two, mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.refine import (
    dark_step,
    dark_udp_step,
    highest,
    quarter_step,
    shortened,
)
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError

_LONGEST_STEP = 2.0  # heatmap pixels


@dataclass(frozen=True)
class Heatmap:
    """Gaussian heatmaps `[B, h, w, K]` with peak 1; use `msra`, `dark` or `udp` to make one.

    The score is the highest value of the map, clipped to [0, 1]; `raw` is that value unclipped. A
    map without a positive value has no keypoint: it decodes to heatmap position (-1, -1) and score
    0. Of equal highest values the first in row-major order is taken.

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      heatmap_hw: size of the maps.
      sigma: standard deviation of the Gaussian in heatmap pixels.
      udp: sizes are distances between outermost pixel centres (see `jaxpose.geometry.crop_matrix`),
        targets are centred between pixels, and there is no shift after flipping.
      unbiased: with `udp=False`, True centres targets between pixels (DARK), False on the nearest.
      refine: step that decoding adds to the highest pixel: "none", "quarter" of a pixel towards the
        higher neighbour, or the "dark" step (`jaxpose.codecs.refine`).
      blur_kernel: taps of the Gaussian that modulates the maps before the DARK step; 11 for
        sigma 2, 17 for sigma 3.
      longest_step: largest length of the DARK step in heatmap pixels; None sets no bound, as
        published. `jaxpose.tasks.topdown.predictor` sets one.
    """

    input_hw: tuple[int, int] = (256, 192)
    heatmap_hw: tuple[int, int] = (64, 48)
    sigma: float = 2.0
    udp: bool = True
    unbiased: bool = False
    refine: Literal["none", "quarter", "dark"] = "dark"
    blur_kernel: int = 11
    longest_step: float | None = None

    def __post_init__(self) -> None:
        if self.refine not in ("none", "quarter", "dark"):
            raise InputError(f"refine is {self.refine!r}; choose 'none', 'quarter' or 'dark'.")
        if self.blur_kernel < 1 or self.blur_kernel % 2 == 0:
            raise InputError(f"blur_kernel is {self.blur_kernel}; it must be odd and positive.")
        if self.longest_step is not None and self.longest_step <= 0:
            raise InputError(f"longest_step is {self.longest_step}; it must be positive or None.")
        if self.sigma <= 0:
            raise InputError(f"sigma is {self.sigma}; it must be positive.")
        if min(self.input_hw) < 1 or min(self.heatmap_hw) < (2 if self.udp else 1):
            raise InputError(
                f"input_hw {self.input_hw} or heatmap_hw {self.heatmap_hw} is too small."
            )

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return (((*self.heatmap_hw, num_keypoints),),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets float32 `[B, h, w, K]` and weights float32 `[B, K]`.

        The Gaussian ends at three sigma, except with `unbiased`. A keypoint that is not labelled,
        or whose Gaussian is outside the map, has weight 0 and an empty map.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        position = sample.keypoints.astype(jnp.float32) / self._stride[None, None, :]
        reach = 3.0 * self.sigma
        full = self.unbiased and not self.udp
        # Truncation, not floor: the published codecs cast to integers, which differs below 0.
        rounded = jnp.trunc(position + 0.5)
        if self.udp:
            # Ties are rounded down: strides are odd fractions, and the reference, which divides in
            # float64, gets a value just below the tie. This changes one pixel at three sigma.
            rounded = jnp.where(rounded > 0, jnp.ceil(position - 0.5), rounded)
        middle = position if full else rounded
        center = position if self.udp else middle

        size = np.asarray(self.heatmap_hw[::-1], np.float32)[None, None, :]
        inside = jnp.all((middle - reach < size) & (middle + reach + 1 >= 0), axis=-1)
        weights = sample.weights() * inside.astype(jnp.float32)

        def profile(axis: int, length: int) -> jax.Array:
            pixel = jnp.arange(length, dtype=jnp.float32)[None, :, None]
            distance = pixel - center[:, None, :, axis]
            values = jnp.exp(-(distance**2) / (2 * self.sigma**2))
            if full:
                return values
            return jnp.where(jnp.abs(pixel - middle[:, None, :, axis]) <= reach, values, 0.0)

        height, width = self.heatmap_hw
        columns = profile(0, width)
        # `where` instead of a product with the weight: an unlabelled keypoint may be NaN.
        rows = jnp.where(weights[:, None, :] > 0, profile(1, height), 0.0)
        columns = jnp.where(weights[:, None, :] > 0, columns, 0.0)
        return Targets(rows[:, :, None, :] * columns[:, None, :, :], weights)

    def decode(self, outputs: jax.Array) -> Decoded:
        """Decode maps `[B, h, w, K]` of any floating type; see the class for the scores."""
        maps = outputs.astype(jnp.float32)
        x, y, raw = highest(maps)
        if self.refine == "quarter":
            dx, dy = quarter_step(maps, x, y)
        elif self.refine == "dark":
            step = dark_udp_step if self.udp else dark_step
            dx, dy = step(maps, x, y, self.blur_kernel)
            if self.longest_step is not None:
                dx, dy = shortened((dx, dy), self.longest_step)
        else:
            dx = dy = jnp.zeros_like(raw)
        position = jnp.stack([x + dx, y + dy], axis=-1)
        position = jnp.where((raw > 0)[..., None], position, -1.0)
        keypoints = position * self._stride[None, None, :]
        return Decoded(keypoints, jnp.clip(raw, 0.0, 1.0), raw, raw > 0)

    def flip_back(self, outputs: jax.Array, permutation: Any) -> jax.Array:
        """Convert maps `[B, h, w, K]` for the mirrored input to the frame of the original input.

        Without `udp` the mirrored maps are moved one heatmap pixel to the right: the first of the s
        input pixels that a heatmap pixel covers is at its position, so mirrored maps are
        (s - 1) / s pixels too far left. The first column is repeated, as in the published flip
        test.
        """
        mirrored = mirror_maps(outputs, permutation)
        if self.udp:
            return mirrored
        return jnp.concatenate([mirrored[:, :, :1], mirrored[:, :, :-1]], axis=2)

    def average(self, a: jax.Array, b: jax.Array) -> jax.Array:
        """Mean of two sets of maps in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: jax.Array) -> jax.Array:
        """Return the maps as float32."""
        return outputs.astype(jnp.float32)

    def bounded(self) -> "Heatmap":
        """Return the codec with a bound of two pixels on the DARK step, unless it has a bound.

        A sharp peak needs less than one pixel; in maps without a sharp peak the step can end
        outside the image.
        """
        if self.longest_step is not None:
            return self
        return replace(self, longest_step=_LONGEST_STEP)

    @property
    def _stride(self) -> np.ndarray:
        """Input pixels per heatmap pixel (x, y)."""
        less = 1 if self.udp else 0
        input_wh, heatmap_wh = np.asarray(self.input_hw[::-1]), np.asarray(self.heatmap_hw[::-1])
        return ((input_wh - less) / (heatmap_wh - less)).astype(np.float32)


def msra(
    input_hw: tuple[int, int] = (256, 192),
    heatmap_hw: tuple[int, int] | None = None,
    sigma: float = 2.0,
) -> Heatmap:
    """Codec of Simple Baselines (arXiv:1804.06208): targets on whole pixels, quarter-pixel steps.

    The default of `heatmap_hw` is a quarter of the input.
    """
    return Heatmap(input_hw, heatmap_hw or _quarter(input_hw), sigma, udp=False, refine="quarter")


def dark(
    input_hw: tuple[int, int] = (256, 192),
    heatmap_hw: tuple[int, int] | None = None,
    sigma: float = 2.0,
    blur_kernel: int = 11,
) -> Heatmap:
    """Codec of DARK (arXiv:1910.06278): MSRA crops, targets between pixels, DARK decoding."""
    return Heatmap(
        input_hw,
        heatmap_hw or _quarter(input_hw),
        sigma,
        udp=False,
        unbiased=True,
        refine="dark",
        blur_kernel=blur_kernel,
    )


def udp(
    input_hw: tuple[int, int] = (256, 192),
    heatmap_hw: tuple[int, int] | None = None,
    sigma: float = 2.0,
    blur_kernel: int = 11,
) -> Heatmap:
    """Codec of UDP (arXiv:1911.07524) with DARK decoding, with which ViTPose is trained."""
    return Heatmap(
        input_hw,
        heatmap_hw or _quarter(input_hw),
        sigma,
        udp=True,
        refine="dark",
        blur_kernel=blur_kernel,
    )


def _quarter(input_hw: tuple[int, int]) -> tuple[int, int]:
    return input_hw[0] // 4, input_hw[1] // 4
