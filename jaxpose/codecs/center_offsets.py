"""Codec for many people in one image: a heatmap of centres, and offsets from centres to keypoints.

Centres and keypoints are peaks of heatmaps; a person is one centre with its offsets (CenterNet,
arXiv:1904.07850, section 4.2; DEKR, arXiv:2104.02300, section 3).
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.people_maps import beyond, local_peaks
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered, values_at

Pair = tuple[jax.Array, jax.Array]

_LEAST_SIZE = 4.0  # heatmap pixels; the extent of a person with one keypoint would be 0


@dataclass(frozen=True)
class CenterOffsets:
    """Heatmaps `[B, h, w, K + 1]`, the last of which has the centres, and offsets.

    Offsets `[B, h, w, 2 K]` are the (x, y) of each keypoint relative to the pixel, in heatmap
    pixels. Maps are aligned as those of `codecs.udp`: the centres of outermost pixels coincide with
    those of the input.

    The centre of a person is the mean of the labelled keypoints inside the input. A pixel near the
    centres of two people has the offsets of the smaller one (DEKR, section 3.3).

    Decoding takes the `max_people` highest peaks of the centre map. A keypoint is at the end of its
    offset, or at the nearest peak of the keypoint's map if one is near. The score is the value at
    the centre times the value of the keypoint's map there, both clipped to [0, 1]; `raw` is the
    product before it is clipped. `valid` is False for unused places.

    Attributes:
      input_hw: size of the model's input.
      heatmap_hw: size of the maps.
      sigma: standard deviation of the Gaussians in heatmap pixels.
      radius: distance from a centre in heatmap pixels within which offsets are trained.
      max_people: largest number of people in one image.
      min_score: lowest value of a peak.
      window: side in heatmap pixels of the square in which a peak has to be the highest; odd.
      snap: largest distance of a peak from the end of an offset, as a share of the person's extent.
    """

    input_hw: tuple[int, int] = (512, 512)
    heatmap_hw: tuple[int, int] = (128, 128)
    sigma: float = 2.0
    radius: float = 4.0
    max_people: int = 30
    min_score: float = 0.1
    window: int = 5
    snap: float = 0.15

    def __post_init__(self) -> None:
        if min(self.input_hw) < 2 or min(self.heatmap_hw) < 2:
            raise InputError(
                f"input_hw {self.input_hw} or heatmap_hw {self.heatmap_hw} is too small."
            )
        if self.sigma <= 0 or self.radius <= 0 or self.snap < 0:
            raise InputError("sigma and radius must be positive, and snap at least 0.")
        if self.max_people < 1 or self.window < 3 or self.window % 2 == 0:
            raise InputError(
                "max_people must be at least 1 and window an odd number of at least 3; they are "
                f"{self.max_people} and {self.window}."
            )
        if self.max_people > self.heatmap_hw[0] * self.heatmap_hw[1]:
            raise InputError(f"max_people {self.max_people} exceeds the pixels of the maps.")

    @property
    def udp(self) -> bool:
        """Always True: sizes are distances between outermost pixel centres."""
        return True

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        maps, offsets = num_keypoints + 1, 2 * num_keypoints
        return (((*self.heatmap_hw, maps), (*self.heatmap_hw, offsets)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets (heatmaps, offsets) as in the class, and the weights of both, float32.

        Weights of pixels are `[B, h, w]`, 0 where people are not labelled. Weights of offsets are
        `[B, h, w, K]`: the inverse of the person's extent in heatmap pixels, so that an error is
        relative to the extent; 0 away from centres and for keypoints that are not labelled.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; counted `[B, h, w]`, with the size
            of the maps, or None.
        """
        height, width = self.heatmap_hw
        places = sample.keypoints.astype(jnp.float32) / self._stride[None, None, None]
        last = np.array([width - 1, height - 1], np.float32)[None, None, None]
        inside = jnp.all((places >= -0.5) & (places <= last + 0.5), axis=-1)
        labelled = sample.labelled() & inside
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        places = jnp.where(labelled[..., None], places, 0.0)
        center, size = _center_and_size(places, labelled)
        batch, _, keypoints = labelled.shape
        column = jnp.arange(width, dtype=jnp.float32)
        row = jnp.arange(height, dtype=jnp.float32)

        def profile(pixel: jax.Array, at: jax.Array, there: jax.Array) -> jax.Array:
            distance = pixel[None, :, None] - at[:, None]
            values = jnp.exp(-(distance**2) / (2 * self.sigma**2))
            return jnp.where((jnp.abs(distance) <= 3 * self.sigma) & there[:, None], values, 0.0)

        def add(carry: tuple[jax.Array, ...], person: tuple[jax.Array, ...]) -> tuple[Any, None]:
            maps, offsets, weights, smallest = carry
            place, known, middle, extent = person
            points = jnp.concatenate([place, middle[:, None]], axis=1)
            there = jnp.concatenate([known, known.any(axis=1, keepdims=True)], axis=1)
            columns = profile(column, points[..., 0], there)
            rows = profile(row, points[..., 1], there)
            maps = jnp.maximum(maps, rows[:, :, None] * columns[:, None])
            dx = column[None, None] - middle[:, 0, None, None]
            dy = row[None, :, None] - middle[:, 1, None, None]
            own = (dx**2 + dy**2 <= self.radius**2) & (extent[:, None, None] < smallest)
            own = (own & known.any(axis=1)[:, None, None])[..., None]
            x = place[:, None, None, :, 0] - column[None, None, :, None]
            y = place[:, None, None, :, 1] - row[None, :, None, None]
            lead = jnp.stack(jnp.broadcast_arrays(x, y), axis=-1)
            offsets = jnp.where(own[..., None], lead, offsets)
            weight = known.astype(jnp.float32) / extent[:, None]
            weights = jnp.where(own, weight[:, None, None], weights)
            smallest = jnp.where(own[..., 0], extent[:, None, None], smallest)
            return (maps, offsets, weights, smallest), None

        start = (
            jnp.zeros((batch, height, width, keypoints + 1)),
            jnp.zeros((batch, height, width, keypoints, 2)),
            jnp.zeros((batch, height, width, keypoints)),
            jnp.full((batch, height, width), jnp.inf),
        )
        people = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (places, labelled, center, size))
        (maps, offsets, weights, _), _ = jax.lax.scan(add, start, people)
        counted = jnp.ones((batch, height, width))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        offsets = jnp.where(weights[..., None] > 0, offsets, 0.0)
        return Targets(
            (maps, offsets.reshape(batch, height, width, 2 * keypoints)),
            (counted, weights * counted[..., None]),
        )

    def decode(self, outputs: Pair) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the most likely first; see the class."""
        maps, offsets = (x.astype(jnp.float32) for x in outputs)
        batch, height, width, keypoints = *maps.shape[:3], maps.shape[3] - 1
        score, x, y = self._peaks(maps[..., keypoints:])
        centers = local_peaks(maps[..., keypoints:], self.window).reshape(batch, -1)
        there = score[:, 0] > self.min_score
        at = (y[:, 0] * width + x[:, 0])[..., None]
        leads = values_at(offsets.reshape(batch, height * width, -1), at, axis=1)
        leads = leads.reshape(batch, self.max_people, keypoints, 2)
        start = jnp.stack([x[:, 0], y[:, 0]], axis=-1).astype(jnp.float32)
        led = start[:, :, None] + leads
        extent = jnp.maximum(jnp.ptp(led, axis=2).max(axis=-1), _LEAST_SIZE)

        # The nearest peak [B, P, K] of each keypoint's map.
        height_of, px, py = self._peaks(maps[..., :keypoints])
        peaks = self._refined(maps[..., :keypoints], px, py)
        away = jnp.linalg.norm(led[:, :, :, None] - peaks[:, None], axis=-1)
        away = jnp.where((height_of > self.min_score)[:, None], away, jnp.inf)
        nearest = jnp.argmin(away, axis=-1)
        near = jnp.min(away, axis=-1) <= self.snap * extent[:, :, None]
        chosen = values_at(
            jnp.broadcast_to(peaks[:, None], (*led.shape[:3], self.max_people, 2)),
            nearest[..., None, None],
            axis=3,
        )[..., 0, :]
        places = jnp.where(near[..., None], chosen, led)

        value = jnp.clip(score[:, 0], 0.0)[:, :, None] * self._value_at(maps, places)
        raw = jnp.where(there[:, :, None], value, 0.0)
        places = jnp.where(there[:, :, None, None], places, 0.0)
        return Decoded(
            places * self._stride[None, None, None],
            jnp.clip(raw, 0.0, 1.0),
            raw,
            jnp.broadcast_to(there[:, :, None], raw.shape),
            beyond(centers, self.min_score, self.max_people),
        )

    def flip_back(self, outputs: Pair, permutation: Any) -> Pair:
        """Convert outputs for the mirrored input to the frame of the original input."""
        maps, offsets = outputs
        permutation = np.asarray(permutation)
        order = np.append(permutation, len(permutation))
        pairs = offsets[:, :, ::-1].reshape(*offsets.shape[:3], -1, 2)
        mirrored = reordered(pairs, permutation, axis=3) * np.array([-1, 1], np.float32).reshape(
            1, 1, 1, 1, 2
        )
        return reordered(maps, order, axis=3)[:, :, ::-1], mirrored.reshape(offsets.shape)

    def average(self, a: Pair, b: Pair) -> Pair:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: Pair) -> jax.Array:
        """Heatmaps of the keypoints, float32 `[B, h, w, K]`."""
        return outputs[0][..., :-1].astype(jnp.float32)

    @property
    def _stride(self) -> np.ndarray:
        """Input pixels per heatmap pixel (x, y)."""
        input_wh, heatmap_wh = np.asarray(self.input_hw[::-1]), np.asarray(self.heatmap_hw[::-1])
        return ((input_wh - 1) / (heatmap_wh - 1)).astype(np.float32)

    def _peaks(self, maps: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Find the highest peaks of maps `[B, h, w, C]`: values, columns, rows, each `[B, C, P]`.

        See `people_maps.local_peaks`.
        """
        batch, height, width, count = maps.shape
        flat = local_peaks(maps, self.window)
        flat = flat.reshape(batch, height * width, count).transpose(0, 2, 1)
        values, index = jax.lax.top_k(flat, self.max_people)
        return values, index % width, index // width

    def _refined(self, maps: jax.Array, x: jax.Array, y: jax.Array) -> jax.Array:
        """Refine peaks to `[B, C, P, 2]` between pixels: maxima of a Gaussian through three."""
        batch, height, width, count = maps.shape
        flat = jnp.log(jnp.maximum(maps, 1e-6)).reshape(batch, height * width, count)
        flat = flat.transpose(0, 2, 1)

        def at(dx: int, dy: int) -> jax.Array:
            index = jnp.clip(y + dy, 0, height - 1) * width + jnp.clip(x + dx, 0, width - 1)
            return values_at(flat, index, axis=2)

        def step(low: jax.Array, middle: jax.Array, high: jax.Array) -> jax.Array:
            curve = jnp.minimum(low - 2 * middle + high, -1e-6)
            return jnp.clip(0.5 * (low - high) / curve, -0.5, 0.5)

        middle = at(0, 0)
        dx = step(at(-1, 0), middle, at(1, 0))
        dy = step(at(0, -1), middle, at(0, 1))
        return jnp.stack([x + dx, y + dy], axis=-1)

    def _value_at(self, maps: jax.Array, places: jax.Array) -> jax.Array:
        """Value of each keypoint's map `[B, h, w, K + 1]` at the pixel nearest to its place.

        `places` is `[B, P, K, 2]` in heatmap pixels; returns `[B, P, K]`.
        """
        batch, height, width, count = maps.shape
        x = jnp.clip(jnp.round(places[..., 0]), 0, width - 1).astype(jnp.int32)
        y = jnp.clip(jnp.round(places[..., 1]), 0, height - 1).astype(jnp.int32)
        channel = jnp.arange(count - 1)[None, None]
        index = (y * width + x) * count + channel
        flat = maps.reshape(batch, -1)
        return values_at(flat, index.reshape(batch, -1), axis=1).reshape(index.shape)


def _center_and_size(places: jax.Array, labelled: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean `[B, P, 2]` of the labelled places and the longer side `[B, P]` of their extent."""
    known = labelled[..., None]
    count = jnp.maximum(labelled.sum(axis=-1), 1)[..., None]
    center = jnp.where(known, places, 0.0).sum(axis=2) / count
    low = jnp.where(known, places, jnp.inf).min(axis=2)
    high = jnp.where(known, places, -jnp.inf).max(axis=2)
    size = jnp.where(labelled.any(axis=-1), (high - low).max(axis=-1), 0.0)
    return center, jnp.maximum(size, _LEAST_SIZE)
