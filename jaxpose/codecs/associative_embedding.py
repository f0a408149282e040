"""Codec of associative embedding: heatmaps of all people, and a tag of each keypoint's person.

Newell et al. 2017, arXiv:1611.05424; Cheng et al. 2020 (HigherHRNet), arXiv:1908.10357.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.assignment import assign
from jaxpose.codecs.codec import mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.people_maps import beyond, exact_gaussians, local_peaks, rounded_gaussians
from jaxpose.codecs.refine import dark_udp_step, modulate, quarter_step, shortened
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import values_at

COCO_ORDER = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
"""COCO's 17 keypoints in the order of grouping: from the head and the trunk outwards."""

_FAR = 100.0  # capped distance of tags
_LONGEST_STEP = 2.0  # heatmap pixels of a DARK step, as in `codecs.heatmap`


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

    `raw` is the value of a keypoint's map. Scores are `raw`, clipped to [0, 1], times a factor of
    the person by which their mean is the person's published score: the mean of the peaks alone, in
    which keypoints without a peak count 0. `valid` is False for unused places.

    As published, targets are on whole pixels, so a keypoint is off by up to half a pixel of the
    heatmaps, and decoded places are moved by about 1.75 input pixels. With `unbiased`, targets are
    between pixels, maps are aligned at their outermost pixel centres, and decoding takes the DARK
    step: the codec that is published with UDP (arXiv:1911.07524).

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
      center_shift: share of an enlarged pixel that is added to peaks; no effect with `unbiased`.
      order: keypoints in the order of grouping; empty for the order of the skeleton.
      unbiased: targets between pixels and DARK steps, as in UDP.
      blur_kernel: taps of the Gaussian that modulates maps before the DARK step.
      near_only: tags farther than `max_tag` all cost the same, and a keypoint is not searched for
        there: it is at the mean of the person's others, with score 0 and `valid` False. As
        published (False), costs grow with the distance, so that the peak of a new person may push
        other peaks away from their people, for on a line an exchange of two people costs as much
        as none; and a keypoint that a person lacks may be that of another person, with its score.
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
    unbiased: bool = False
    blur_kernel: int = 3
    near_only: bool = False

    def __post_init__(self) -> None:
        if self.stride < 1 or any(s < self.stride or s % self.stride for s in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is no multiple of stride {self.stride}.")
        if min(self.sigma, self.max_tag) <= 0 or min(self.max_people, self.candidates) < 1:
            raise InputError(
                "sigma and max_tag must be positive, max_people and candidates at least 1."
            )
        if any(side < 1 or side % 2 == 0 for side in (self.window, self.blur_kernel)):
            raise InputError("window and blur_kernel must be odd and positive.")
        if self.enlargement < 1:
            raise InputError(f"enlargement is {self.enlargement}; it must be at least 1.")
        if self.unbiased and min(self.heatmap_hw) < 2:
            raise InputError("unbiased needs heatmaps of at least 2 x 2 pixels.")
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
        coarse = points / self._scale(height, width)
        middle = jnp.trunc(coarse + 0.5)
        size = np.array([width, height], np.float32)[None, None, None]
        known = labelled & jnp.all((middle >= 0) & (middle < size), axis=-1)
        cell = jnp.where(known, middle[..., 1] * width + middle[..., 0], 0).astype(jnp.int32)
        draw = exact_gaussians if self.unbiased else rounded_gaussians
        heatmaps = draw(coarse, labelled, (height, width), self.sigma)
        counted = jnp.ones((len(points), height, width))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        fine, fine_counted = None, None
        if self.higher:
            finer = (2 * height, 2 * width)
            fine = draw(points / self._scale(*finer), labelled, finer, self.sigma)
            fine_counted = counted.repeat(2, axis=1).repeat(2, axis=2)
        return Targets(TagTargets(heatmaps, fine, cell, known), TagWeights(counted, fine_counted))

    def decode(self, outputs: TagMaps) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, in the order of grouping."""
        heatmaps, tags = self._enlarged(outputs)
        batch, height, width, _ = heatmaps.shape

        def by_keypoint(maps: jax.Array) -> jax.Array:
            """`[B, h, w, K, ...]` -> `[B, K, h w, ...]`."""
            return jnp.swapaxes(maps.reshape(batch, height * width, *maps.shape[3:]), 1, 2)

        flat = by_keypoint(local_peaks(heatmaps, self.window))
        value, place = jax.lax.top_k(flat, min(self.candidates, height * width))
        excess = beyond(flat, self.min_peak, self.candidates)  # [B, K]
        flat_tags = by_keypoint(tags)
        index = jnp.broadcast_to(place[..., None], (*place.shape, flat_tags.shape[-1]))
        tag = values_at(flat_tags, index, axis=2)
        # [B, P, K], [B], [B, K]
        chosen, number, left = jax.vmap(self._group)(value, tag)

        there = chosen >= 0
        order = jnp.swapaxes(jnp.maximum(chosen, 0), 1, 2)  # [B, K, P]
        raw = jnp.where(there, jnp.swapaxes(values_at(value, order, axis=2), 1, 2), 0.0)
        pixel = values_at(place, order, axis=2)
        x, y = pixel % width, pixel // width
        if self.unbiased:
            step = jax.vmap(partial(dark_udp_step, blur_kernel=self.blur_kernel), (None, 2, 2), 2)
            dx, dy = shortened(step(heatmaps, x, y), _LONGEST_STEP)
        else:
            dx, dy = jax.vmap(quarter_step, (None, 2, 2), 2)(heatmaps, x, y)
            dx, dy = dx + self.center_shift, dy + self.center_shift
        xy = jnp.swapaxes(jnp.stack([x + dx, y + dy], axis=-1), 1, 2)  # [B, P, K, 2]
        valid = jnp.arange(chosen.shape[1])[None] < number[:, None]
        valid = jnp.broadcast_to(valid[..., None], raw.shape)
        searched = heatmaps
        if self.unbiased:  # as published: missing keypoints are searched for in modulated maps
            searched = jnp.clip(modulate(heatmaps, self.blur_kernel, axes=(1, 2)), 1e-3, 50.0)
        missing = valid & ~there
        xy, raw, away = _filled(
            xy, raw, there, missing, by_keypoint(searched), flat_tags, (height, width)
        )
        if self.near_only:
            far = missing & (away >= self.max_tag)
            known = there[..., None]
            middle = jnp.where(known, xy, 0.0).sum(axis=2, keepdims=True)
            middle = middle / jnp.maximum(known.sum(axis=2, keepdims=True), 1)
            xy, raw = jnp.where(far[..., None], middle, xy), jnp.where(far, 0.0, raw)
        else:
            far = jnp.zeros_like(missing)
        # Tags that are not numbers are in no group, and a model that diverged would find nobody.
        finite = jnp.isfinite(heatmaps.sum(axis=(1, 2, 3)) + tags.sum(axis=(1, 2, 3, 4)))
        finite = finite[:, None, None]
        raw = jnp.where(finite, jnp.where(valid, raw, 0.0), jnp.nan)
        scores = jnp.clip(raw, 0.0, 1.0)
        mean = jnp.where(there, scores, 0.0).mean(axis=2) / jnp.maximum(scores.mean(axis=2), 1e-6)
        return Decoded(
            jnp.where(valid[..., None], xy * self._scale(height, width), 0.0),
            scores * mean[..., None],
            raw,
            valid & ~far & finite,
            (excess + left).max(axis=1),
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
        factor, aligned = self.enlargement, self.unbiased
        if outputs.fine is not None:
            fine = outputs.fine.astype(jnp.float32)
            heatmaps = 0.5 * (_resized(heatmaps, 2, aligned) + fine)
            tags = _resized(tags, 2, aligned)
        return _resized(heatmaps, factor, aligned), _resized(tags, factor, aligned)

    def _group(self, value: jax.Array, tag: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Assign candidates to people.

        Args:
          value: `[K, N]`, sorted downwards.
          tag: `[K, N, L]`.

        Returns:
          Candidate of each keypoint `[P, K]`, -1 for none; number of people; candidates of each
          keypoint `[K]` that are of people beyond `max_people`.
        """
        count, candidates = value.shape
        size = max(candidates, self.max_people)
        order = jnp.array(self.order or range(count))

        def add(state: tuple[jax.Array, ...], keypoint: jax.Array) -> tuple[Any, jax.Array]:
            total, members, chosen, people = state
            high, own = value[keypoint], tag[keypoint]
            rows = (high > self.min_peak).sum()
            mean = total / jnp.maximum(members, 1)[:, None]
            away = jnp.sqrt(jnp.square(own[:, None] - mean[None]).sum(axis=-1))
            counted = jnp.where(away < self.max_tag, away, _FAR) if self.near_only else away
            cost = jnp.round(counted) * 100 - high[:, None]
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
            left = (new & (fresh >= self.max_people)).sum()
            people = jnp.minimum(people + new.sum(), self.max_people)
            return (total, members, chosen, people), left

        start = (
            jnp.zeros((self.max_people, tag.shape[-1])),
            jnp.zeros(self.max_people, int),
            jnp.full((self.max_people, count), -1),
            jnp.zeros((), int),
        )
        (_, _, chosen, people), left = jax.lax.scan(add, start, order)
        return chosen, people, jnp.zeros_like(left).at[order].set(left)

    def _scale(self, height: int, width: int) -> np.ndarray:
        """Input pixels per pixel (x, y) of maps of a size, `[1, 1, 1, 2]`."""
        less = 1 if self.unbiased else 0
        input_wh, map_wh = np.array(self.input_hw[::-1]), np.array([width, height])
        scale = (input_wh - less) / (map_wh - less)
        return scale.astype(np.float32)[None, None, None]


def _filled(
    xy: jax.Array,
    raw: jax.Array,
    there: jax.Array,
    missing: jax.Array,
    maps: jax.Array,
    tags: jax.Array,
    hw: tuple[int, int],
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Put missing keypoints at the pixel with the lowest cost, one after another.

    Returns:
      `xy` and `raw` with these keypoints, and the distances `[B, P, K]` of their tags from the
      person's.

    Args:
      xy: `[B, P, K, 2]` in pixels of the maps.
      raw: `[B, P, K]`.
      there, missing: bool `[B, P, K]`, keypoints with a peak, and keypoints to search for.
      maps: `[B, K, h w]`.
      tags: `[B, K, h w, L]`.
      hw: height and width of the maps.
    """
    batch, people, count = there.shape
    limit = jnp.array([hw[1] - 1, hw[0] - 1], jnp.float32)
    pixel = jnp.clip(jnp.trunc(xy), 0, limit[None, None, None]).astype(jnp.int32)
    at = jnp.swapaxes(pixel[..., 1] * hw[1] + pixel[..., 0], 1, 2)[..., None]  # [B, K, P, 1]
    own = values_at(tags, jnp.broadcast_to(at, (*at.shape[:3], tags.shape[-1])), axis=2)
    known = jnp.swapaxes(there, 1, 2)
    total = jnp.where(known[..., None], own, 0.0).sum(axis=1)
    mean = total / jnp.maximum(known.sum(axis=1), 1)[..., None]  # [B, P, L]
    flat = missing.reshape(batch, -1)
    number = flat.sum(axis=1)
    listed = jnp.argsort(~flat, axis=1, stable=True)
    pick = jax.vmap(lambda rows, i: jax.lax.dynamic_index_in_dim(rows, i, keepdims=False))

    def fill(state: Any) -> Any:
        i, xy, raw, far = state
        place = listed[:, i]
        person, keypoint = place // count, place % count
        lead = pick(tags, keypoint) - pick(mean, person)[:, None]
        values = pick(maps, keypoint)
        away = jnp.sqrt(jnp.square(lead).sum(axis=-1))
        best = jnp.argmin(jnp.round(away) * 100 - values, axis=1)
        value = values_at(values, best[:, None], axis=1)
        found = jnp.stack([best % hw[1], best // hw[1]], axis=-1).astype(jnp.float32)
        here = (jnp.arange(people * count)[None] == place[:, None]) & (i < number)[:, None]
        here = here.reshape(there.shape)
        xy = jnp.where(here[..., None], found[:, None, None], xy)
        least = values_at(away, best[:, None], axis=1)
        far = jnp.where(here, least[..., None], far)
        return i + 1, xy, jnp.where(here, value[..., None], raw), far

    start = (jnp.zeros((), int), xy, raw, jnp.zeros_like(raw))
    return jax.lax.while_loop(lambda state: state[0] < number.max(), fill, start)[1:]


def _resized(maps: jax.Array, factor: int, aligned: bool) -> jax.Array:
    """Bilinear enlargement of `[B, h, w, ...]`: edges aligned, or outermost pixel centres."""
    if factor == 1:
        return maps
    height, width = maps.shape[1:3]
    shape = (maps.shape[0], height * factor, width * factor, *maps.shape[3:])
    if not aligned:
        return jax.image.resize(maps, shape, "bilinear")
    scale = jnp.array([(n * factor - 1) / max(n - 1, 1) for n in (height, width)], jnp.float32)
    # Pixel centres are at halves here.
    return jax.image.scale_and_translate(
        maps, shape, (1, 2), scale, 0.5 - 0.5 * scale, "bilinear", antialias=False
    )
