"""Codec of associative embedding: heatmaps of all people, and a tag of each keypoint's person.

Newell et al. 2017, arXiv:1611.05424; Cheng et al. 2020 (HigherHRNet), arXiv:1908.10357.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.assignment import assign
from jaxpose.codecs.codec import mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.refine import quarter_step
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import values_at

COCO_ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
"""COCO's 17 keypoints in the order of grouping: from the head and the trunk outwards."""


class TagMaps(NamedTuple):
    """Outputs of a `HigherHRNetHead`.

    Attributes:
      heatmaps: `[B, h, w, K]`.
      tags: `[B, h, w, K]`; with the flip test `[B, h, w, K, 2]`.
      fine: heatmaps `[B, 2 h, 2 w, K]` of twice the resolution; None if there are none.
    """

    heatmaps: jax.Array
    tags: jax.Array
    fine: jax.Array | None = None


class TagTargets(NamedTuple):
    """Targets for `TagMaps`.

    Attributes:
      heatmaps, fine: as in `TagMaps`.
      cell: pixel `y w + x` of each keypoint in the heatmaps, int32 `[B, P, K]`.
      known: bool `[B, P, K]`, True for keypoints that have a pixel.
    """

    heatmaps: jax.Array
    fine: jax.Array | None
    cell: jax.Array
    known: jax.Array


class TagWeights(NamedTuple):
    """Weights of the pixels of `TagTargets`: `[B, h, w]`, and `[B, 2 h, 2 w]` or None."""

    heatmaps: jax.Array
    fine: jax.Array | None


@dataclass(frozen=True)
class AssociativeEmbedding:
    """Outputs `TagMaps`: keypoints of one person have similar tags, those of others different ones.

    Decoding enlarges all maps, and takes the highest peaks of each keypoint. One keypoint after
    another, the peaks are assigned to the people found so far at the lowest total cost, 100 times
    the rounded distance to the person's mean tag less the peak's value; a peak that is too far from
    its person starts a new one. A keypoint without a peak is at the pixel with the lowest cost. It
    runs on the device.

    The score of a keypoint is the value of its map, clipped to [0, 1]; `raw` is the value. `valid`
    is False for unused places.

    Attributes:
      input_hw: size of the model's input.
      stride: input pixels of a pixel of the heatmaps.
      sigma: standard deviation of the target Gaussians in heatmap pixels, in both resolutions.
      higher: the outputs have heatmaps of twice the resolution, which are averaged with the others.
      max_people: largest number of people in one image.
      candidates: number of highest peaks of each keypoint.
      min_peak: lowest value of a peak.
      max_tag: distance of tags from which a peak starts a person.
      window: side in pixels of the square in which a peak has to be the highest; odd.
      enlargement: factor on the maps (the finer ones, if there are two) before decoding.
      center_shift: share of an enlarged pixel that is added to peaks.
      order: keypoints in the order of grouping; empty for the order of the skeleton.
    """

    input_hw: tuple[int, int] = (512, 512)
    stride: int = 4
    sigma: float = 2.0
    higher: bool = False
    max_people: int = 30
    candidates: int = 30
    min_peak: float = 0.1
    max_tag: float = 1.0
    window: int = 5
    enlargement: int = 4
    center_shift: float = 0.5
    order: tuple[int, ...] = COCO_ORDER

    def __post_init__(self) -> None:
        if self.stride < 1 or any(s < self.stride or s % self.stride for s in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is no multiple of stride {self.stride}.")
        if min(self.sigma, self.max_tag) <= 0 or min(self.max_people, self.candidates) < 1:
            raise InputError(
                "sigma and max_tag must be positive, max_people and candidates at least 1."
            )
        if self.window < 1 or self.window % 2 == 0 or self.enlargement < 1:
            raise InputError("window must be odd and positive, and enlargement at least 1.")
        if self.order and sorted(self.order) != list(range(len(self.order))):
            raise InputError("order must list each keypoint once, from 0 on.")

    @property
    def udp(self) -> Udp:
        """Always True: images are letterboxed between outermost pixel centres."""
        return True

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the heatmaps of the lower resolution."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch; none for another number of keypoints."""
        if self.order and len(self.order) != num_keypoints:
            return ()
        height, width = self.heatmap_hw
        maps = (height, width, num_keypoints)
        fine = ((2 * height, 2 * width, num_keypoints),) if self.higher else ()
        return ((maps, maps, *fine),)

    def encode(self, sample: Sample) -> Targets:
        """Encode `TagTargets` and `TagWeights`.

        Weights are 0 in regions where people are not labelled.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; counted `[B, h, w]`, with the size
            of the heatmaps, or None.
        """
        labelled = sample.labelled()
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(labelled[..., None], sample.keypoints.astype(jnp.float32), 0.0)
        height, width = self.heatmap_hw
        middle = jnp.trunc(points / self.stride + 0.5)
        size = np.array([width, height], np.float32)[None, None, None]
        known = labelled & jnp.all((middle >= 0) & (middle < size), axis=-1)
        cell = jnp.where(known, middle[..., 1] * width + middle[..., 0], 0).astype(jnp.int32)
        heatmaps = rounded_gaussians(points / self.stride, labelled, (height, width), self.sigma)
        counted = jnp.ones((len(points), height, width))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        fine, fine_counted = None, None
        if self.higher:
            points, finer = points * (2 / self.stride), (2 * height, 2 * width)
            fine = rounded_gaussians(points, labelled, finer, self.sigma)
            fine_counted = counted.repeat(2, axis=1).repeat(2, axis=2)
        return Targets(TagTargets(heatmaps, fine, cell, known), TagWeights(counted, fine_counted))

    def decode(self, outputs: TagMaps) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, in the order of grouping."""
        heatmaps, tags = self._enlarged(outputs)
        batch, height, width, count = heatmaps.shape
        half = self.window // 2
        padding = ((0, 0), (half, half), (half, half), (0, 0))
        highest = jax.lax.reduce_window(
            heatmaps, -jnp.inf, jax.lax.max, (1, self.window, self.window, 1), (1,) * 4, padding
        )
        peaks = jnp.where(heatmaps == highest, heatmaps, 0.0)
        flat = jnp.swapaxes(peaks.reshape(batch, height * width, count), 1, 2)
        value, place = jax.lax.top_k(flat, min(self.candidates, height * width))
        # [B, K, h w, L]
        flat_tags = jnp.swapaxes(tags.reshape(batch, height * width, count, -1), 1, 2)
        index = jnp.broadcast_to(place[..., None], (*place.shape, flat_tags.shape[-1]))
        tag = values_at(flat_tags, index, axis=2)
        chosen, number = jax.vmap(self._group)(value, tag)  # [B, P, K], [B]

        there = chosen >= 0
        order = jnp.swapaxes(jnp.maximum(chosen, 0), 1, 2)  # [B, K, P]
        raw = jnp.where(there, jnp.swapaxes(values_at(value, order, axis=2), 1, 2), 0.0)
        pixel = values_at(place, order, axis=2)
        x, y = pixel % width, pixel // width
        dx, dy = jax.vmap(quarter_step, (None, 2, 2), 2)(heatmaps, x, y)
        xy = jnp.stack([x + dx, y + dy], axis=-1) + self.center_shift
        xy = jnp.swapaxes(xy, 1, 2)  # [B, P, K, 2]
        xy, raw = self._filled(xy, raw, there, heatmaps, tags, number)
        valid = jnp.arange(chosen.shape[1])[None] < number[:, None]
        valid = jnp.broadcast_to(valid[..., None], raw.shape)
        # Tags that are not numbers are in no group, and a model that diverged would find nobody.
        finite = jnp.isfinite(heatmaps.sum(axis=(1, 2, 3)) + tags.sum(axis=(1, 2, 3, 4)))
        finite = finite[:, None, None]
        scale = self.stride / (self.enlargement * (2 if self.higher else 1))
        raw = jnp.where(finite, jnp.where(valid, raw, 0.0), jnp.nan)
        return Decoded(
            jnp.where(valid[..., None], xy * scale, 0.0),
            jnp.clip(raw, 0.0, 1.0),
            raw,
            valid & finite,
        )

    def flip_back(self, outputs: TagMaps, permutation: Any) -> TagMaps:
        """Convert outputs for the mirrored input to the frame of the original input."""
        heatmaps, tags = (mirror_maps(x, permutation) for x in outputs[:2])
        fine = None if outputs.fine is None else mirror_maps(outputs.fine, permutation)
        return TagMaps(heatmaps, tags, fine)

    def average(self, a: TagMaps, b: TagMaps) -> TagMaps:
        """Mean of the heatmaps of two outputs in the same frame; tags become two dimensions."""

        def mean(x: jax.Array, y: jax.Array) -> jax.Array:
            return 0.5 * (x.astype(jnp.float32) + y.astype(jnp.float32))

        fine = None if a.fine is None or b.fine is None else mean(a.fine, b.fine)
        return TagMaps(mean(a.heatmaps, b.heatmaps), jnp.stack([a.tags, b.tags], axis=-1), fine)

    def maps(self, outputs: TagMaps) -> jax.Array:
        """Heatmaps of the keypoints, the finer ones if there are two, float32 `[B, h, w, K]`."""
        maps = outputs.heatmaps if outputs.fine is None else outputs.fine
        return maps.astype(jnp.float32)

    def _enlarged(self, outputs: TagMaps) -> tuple[jax.Array, jax.Array]:
        """Heatmaps `[B, H, W, K]` and tags `[B, H, W, K, L]` for decoding."""
        heatmaps = outputs.heatmaps.astype(jnp.float32)
        tags = outputs.tags.astype(jnp.float32)
        tags = tags.reshape(*heatmaps.shape, -1)
        factor = self.enlargement
        if outputs.fine is not None:
            fine = outputs.fine.astype(jnp.float32)
            heatmaps = 0.5 * (_resized(heatmaps, 2) + fine)
            tags = _resized(tags, 2)
        return _resized(heatmaps, factor), _resized(tags, factor)

    def _group(self, value: jax.Array, tag: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Assign candidates to people: candidate of each keypoint `[P, K]`, and their number.

        Args:
          value: `[K, N]`, sorted downwards.
          tag: `[K, N, L]`.
        """
        count, candidates = value.shape
        size = max(candidates, self.max_people)
        order = jnp.array(self.order or range(count))

        def add(state: tuple[jax.Array, ...], keypoint: jax.Array) -> tuple[Any, None]:
            total, members, chosen, people = state
            high, own = value[keypoint], tag[keypoint]
            rows = (high > self.min_peak).sum()
            mean = total / jnp.maximum(members, 1)[:, None]
            away = jnp.sqrt(jnp.square(own[:, None] - mean[None]).sum(axis=-1))
            cost = jnp.round(away) * 100 - high[:, None]
            exists = jnp.arange(self.max_people) < people
            cost = jnp.where(exists[None], cost, jnp.inf)
            square = jnp.full((size, size), jnp.inf)
            square = square.at[:candidates, : self.max_people].set(cost)
            square = jnp.where(jnp.arange(size)[:, None] < rows, square, jnp.inf)
            # The smaller side has all its members assigned.
            wide = rows <= people
            found = assign(jnp.where(wide, square, square.T), jnp.minimum(rows, people))
            back = (
                jnp.full(size + 1, -1)
                .at[jnp.where(found >= 0, found, size)]
                .set(jnp.arange(size))[:size]
            )
            person = jnp.where(wide, found, back)[:candidates]
            near = jnp.take_along_axis(away, jnp.maximum(person, 0)[:, None], axis=1)[:, 0]
            real = jnp.arange(candidates) < rows
            fits = real & (person >= 0) & (near < self.max_tag)
            new = real & ~fits
            fresh = people + jnp.cumsum(new) - 1
            target = jnp.where(fits, person, jnp.where(new, fresh, self.max_people))
            target = jnp.where(target < self.max_people, target, self.max_people)
            total = total.at[target].add(own, mode="drop")
            members = members.at[target].add(1, mode="drop")
            chosen = chosen.at[target, keypoint].set(jnp.arange(candidates), mode="drop")
            people = jnp.minimum(people + new.sum(), self.max_people)
            return (total, members, chosen, people), None

        start = (
            jnp.zeros((self.max_people, tag.shape[-1])),
            jnp.zeros(self.max_people, int),
            jnp.full((self.max_people, count), -1),
            jnp.zeros((), int),
        )
        (_, _, chosen, people), _ = jax.lax.scan(add, start, order)
        return chosen, people

    def _filled(
        self,
        xy: jax.Array,
        raw: jax.Array,
        there: jax.Array,
        heatmaps: jax.Array,
        tags: jax.Array,
        number: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Put keypoints without a peak at the pixel with the lowest cost; one person at a time."""
        batch, height, width, count = heatmaps.shape
        flat = tags.reshape(batch, height * width, count, -1)
        maps = heatmaps.reshape(batch, height * width, count)
        limit = jnp.array([width - 1, height - 1], jnp.float32)[None, None]

        def fill(state: Any) -> Any:
            i, xy, raw = state
            own, known = xy[:, i], there[:, i]
            pixel = jnp.clip(jnp.trunc(own), 0, limit).astype(jnp.int32)
            at = (pixel[..., 1] * width + pixel[..., 0])[:, None, :, None]
            mine = values_at(flat, jnp.broadcast_to(at, (*at.shape[:3], flat.shape[-1])), axis=1)
            total = jnp.where(known[..., None], mine[:, 0], 0.0).sum(axis=1)
            mean = total / jnp.maximum(known.sum(axis=1), 1)[:, None]
            away = jnp.sqrt(jnp.square(flat - mean[:, None, None]).sum(axis=-1))
            best = jnp.argmin(jnp.round(away) * 100 - maps, axis=1)  # [B, K]
            found = jnp.stack([best % width, best // width], axis=-1).astype(jnp.float32)
            value = values_at(maps, best[:, None], axis=1)[:, 0]
            xy = xy.at[:, i].set(jnp.where(known[..., None], own, found))
            raw = raw.at[:, i].set(jnp.where(known, raw[:, i], value))
            return i + 1, xy, raw

        last = number.max()
        start = (jnp.zeros((), int), xy, raw)
        _, xy, raw = jax.lax.while_loop(lambda state: state[0] < last, fill, start)
        return xy, raw


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
    height, width = heatmap_hw
    middle = jnp.trunc(points + 0.5)
    sigmas = jnp.broadcast_to(jnp.asarray(sigma, jnp.float32), points.shape[:2])

    def profile(length: int, at: jax.Array, spread: jax.Array) -> jax.Array:
        reach = 3 * spread
        first = jnp.trunc(at - reach)
        center = first + jnp.floor(reach + 0.5)
        pixel = jnp.arange(length, dtype=jnp.float32)[None, :, None]
        away = pixel - center[:, None]
        values = jnp.exp(-(away**2) / (2 * spread[:, None] ** 2))
        drawn = (pixel >= first[:, None]) & (pixel < jnp.trunc(at + reach + 1)[:, None])
        return jnp.where(drawn, values, 0.0)

    def add(maps: jax.Array, person: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        at, known, spread = person
        spread = jnp.maximum(spread, 1e-3)[:, None]
        rows, columns = (profile(n, at[..., axis], spread) for n, axis in ((height, 1), (width, 0)))
        rows = jnp.where(known[:, None], rows, 0.0)
        return jnp.maximum(maps, rows[:, :, None] * columns[:, None]), None

    empty = jnp.zeros((points.shape[0], height, width, points.shape[2]))
    people = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (middle, labelled, sigmas))
    return jax.lax.scan(add, empty, people)[0]


def _resized(maps: jax.Array, factor: int) -> jax.Array:
    """Bilinear enlargement of `[B, h, w, ...]`, edges aligned."""
    if factor == 1:
        return maps
    shape = (maps.shape[0], maps.shape[1] * factor, maps.shape[2] * factor, *maps.shape[3:])
    return jax.image.resize(maps, shape, "bilinear")
