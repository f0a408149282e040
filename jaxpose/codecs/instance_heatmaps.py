"""Codec of CID: a heatmap of centres, and heatmaps of each person alone.

Wang and Zhang 2022, "Contextual Instance Decoupling for Robust Multi-Person Pose Estimation".
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.people_maps import beyond, exact_gaussians, local_peaks, rounded_gaussians
from jaxpose.codecs.refine import Step, dark_udp_step, highest, quarter_step, shortened
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered, values_at

_OVERLAP = 0.7  # of boxes, from which a person's sigma follows (CornerNet, arXiv:1808.01244)
_WINDOWS = ((300, 7), (200, 5), (0, 3))
_BLUR = 3  # taps of the Gaussian that modulates maps before the DARK step, as for tags in MMPose
_LONGEST_STEP = 2.0  # heatmap pixels of a DARK step
_SAME = 2.0  # heatmap pixels between centres of a person in an image and its mirror image


class InstanceMaps(NamedTuple):
    """Outputs of a `CIDHead`, and targets of them.

    Attributes:
      coupled: probabilities of all people's keypoints, and of centres, `[B, h, w, K + 1]`.
      instances: probabilities of each person's keypoints, `[B, P, h, w, K]`.
      center: pixel (x, y) of each person, int32 `[B, P, 2]`.
      score: probability of each centre, `[B, P]`; 0 for people who do not exist.
      features: the backbone's features at the centres, `[B, P, C]`; None except in training.
    """

    coupled: jax.Array
    instances: jax.Array
    center: jax.Array
    score: jax.Array
    features: jax.Array | None = None


class GuidedImages(NamedTuple):
    """Images `[B, H, W, 3]`, and the centres of their people: (x, y) int32 `[B, P, 2]`.

    Training needs the heatmaps of the annotated people, wherever the model sees centres.
    """

    images: jax.Array
    center: jax.Array


@dataclass(frozen=True)
class InstanceHeatmaps:
    """Outputs `InstanceMaps`: each person's heatmaps by themselves, so nothing is grouped.

    The model takes the highest local maxima of the centres. Decoding smooths each person's
    heatmaps, and takes their highest pixels with quarter steps. The score of a keypoint is the
    value of its heatmap times the centre's, `raw` the same; `valid` is False where the centre is
    below `min_score`, and for unused places.

    The centre is the mean of the labelled keypoints. Of two people with the same pixel, the larger
    one is left out in training. The Gaussians' sigma follows from the size of the person's box.

    As published, a Gaussian is on the nearest pixel or, if three sigma are no whole number, one
    before, and a decoded place is the centre of the input pixels that a pixel covers: a place is
    off by up to one pixel of the heatmaps. With `unbiased`, which is not published, Gaussians are
    between pixels, with a sigma of at least one pixel, maps are aligned at their outermost pixel
    centres, and decoding takes the DARK step of UDP (arXiv:1911.07524).

    Attributes:
      input_hw: size of the model's input.
      stride: input pixels of a heatmap pixel.
      max_people: largest number of people in one image; that of the model.
      min_score: lowest value of a centre.
      unbiased: Gaussians between pixels and DARK steps.
    """

    input_hw: tuple[int, int] = (512, 512)
    stride: int = 4
    max_people: int = 30
    min_score: float = 0.01
    unbiased: bool = False

    def __post_init__(self) -> None:
        if self.stride < 1 or any(s < self.stride or s % self.stride for s in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is no multiple of stride {self.stride}.")
        if not 1 <= self.max_people <= self.heatmap_hw[0] * self.heatmap_hw[1]:
            raise InputError("max_people must be at least 1, and at most the pixels of a map.")
        if self.unbiased and min(self.heatmap_hw) < 2:
            raise InputError("unbiased needs heatmaps of at least 2 x 2 pixels.")

    @property
    def udp(self) -> Udp:
        """Always True: images are letterboxed between outermost pixel centres."""
        return True

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the heatmaps."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch and without the features."""
        height, width = self.heatmap_hw
        people = self.max_people
        maps = (height, width, num_keypoints + 1), (people, height, width, num_keypoints)
        return ((*maps, (people, 2), (people,)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `InstanceMaps`, and weights (pixels `[B, h, w]`, keypoints `[B, P, K]`).

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; box_xywh `[B, P, 4]`, or None for
            the extent of the keypoints; counted `[B, h, w]`, with the size of the maps, or None.
        """
        height, width = self.heatmap_hw
        hw = (height, width)
        labelled = sample.labelled()
        known = labelled[..., None]
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(known, sample.keypoints.astype(jnp.float32), 0.0) / self._scale
        number = jnp.maximum(labelled.sum(axis=-1), 1)
        middle = points.sum(axis=2) / number[..., None]
        low = jnp.where(known, points, jnp.inf).min(axis=2)
        high = jnp.where(known, points, -jnp.inf).max(axis=2)
        there = labelled.any(axis=-1)
        extent = jnp.where(there[..., None], high - low, 0.0)
        size = extent
        if sample.box_xywh is not None:
            size = sample.box_xywh[..., 2:].astype(jnp.float32) / self._scale[0]
        sigma = jnp.where(there, box_sigma(size), 1.0)
        draw: Callable[..., jax.Array] = rounded_gaussians
        if self.unbiased:
            draw = partial(exact_gaussians, whole_peaks=True)
            sigma = jnp.maximum(sigma, 1.0)
        limit = np.array([width, height], np.float32)
        inside = jnp.all((middle >= 0) & (middle < limit[None, None]), axis=-1)
        coupled = draw(
            jnp.concatenate([points, middle[:, :, None]], axis=2),
            jnp.concatenate([labelled, there[..., None]], axis=2),
            hw,
            sigma,
        )
        center = jnp.clip(jnp.trunc(middle), 0, limit[None, None] - 1).astype(jnp.int32)
        there = there & inside & ~_repeated(center, jnp.linalg.norm(extent, axis=-1), there)
        batch, people, count = labelled.shape
        flat = points.reshape(batch * people, 1, count, 2), labelled.reshape(-1, 1, count)
        instances = draw(*flat, hw, sigma.reshape(-1, 1))
        instances = instances.reshape(batch, people, height, width, count)
        counted = jnp.ones((batch, height, width))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        # A keypoint counts if a part of its Gaussian is in the map.
        pixel, reach = jnp.trunc(points + 0.5), 3 * sigma[..., None, None]
        first, last = jnp.trunc(pixel - reach), jnp.trunc(pixel + reach + 1)
        near = jnp.all((first < limit[None, None, None]) & (last >= 0), axis=-1)
        weights = (labelled & near & there[..., None]).astype(jnp.float32)
        score = there.astype(jnp.float32)
        return Targets(InstanceMaps(coupled, instances, center, score), (counted, weights))

    def guided(self, images: jax.Array, targets: Targets) -> GuidedImages:
        """Return the input of the model in training: images with the centres of their people."""
        return GuidedImages(images, targets.values.center)

    def decode(self, outputs: InstanceMaps) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the highest centre first; see the class."""
        maps = outputs.instances.astype(jnp.float32)
        score = outputs.score.astype(jnp.float32)
        points, value = exact_peaks(maps) if self.unbiased else instance_peaks(smoothed(maps))
        raw = value * score[..., None]
        finite = jnp.isfinite(outputs.coupled.sum(axis=(1, 2, 3)) + maps.sum(axis=(1, 2, 3, 4)))
        finite = finite[:, None, None]
        valid = jnp.broadcast_to((score > self.min_score)[..., None], raw.shape)
        raw = jnp.where(finite, jnp.where(valid, raw, 0.0), jnp.nan)
        # Without `unbiased`, the centre of the input pixels that a pixel of the heatmap covers.
        points = points * self._scale + (0 if self.unbiased else (self.stride - 1) / 2)
        points = jnp.where(valid[..., None], points, 0.0)
        centers = smoothed(outputs.coupled[..., -1:].astype(jnp.float32))
        centers = local_peaks(centers, center_window(self.heatmap_hw))
        lost = beyond(centers.reshape(centers.shape[0], -1), self.min_score, self.max_people)
        return Decoded(points, jnp.clip(raw, 0.0, 1.0), raw, valid & finite, lost)

    def flip_back(self, outputs: InstanceMaps, permutation: Any) -> InstanceMaps:
        """Convert outputs for the mirrored input to the frame of the original input."""
        permutation = np.asarray(permutation)
        order = np.append(permutation, len(permutation))
        width = outputs.coupled.shape[2]
        x = width - 1 - outputs.center[..., :1]
        return InstanceMaps(
            mirror_maps(outputs.coupled, order),
            reordered(outputs.instances, permutation, axis=4)[:, :, :, ::-1],
            jnp.concatenate([x, outputs.center[..., 1:]], axis=-1),
            outputs.score,
            outputs.features,
        )

    def average(self, a: InstanceMaps, b: InstanceMaps) -> InstanceMaps:
        """Mean of two outputs in the same frame; people are those of `a`.

        The heatmaps of a person whose centre is found in only one of both are that one's.
        """
        away = (a.center[:, :, None] - b.center[:, None]).astype(jnp.float32)
        away = jnp.sqrt(jnp.square(away).sum(axis=-1))
        away = jnp.where(b.score[:, None] > self.min_score, away, jnp.inf)
        nearest = jnp.argmin(away, axis=-1)
        same = (away.min(axis=-1) <= _SAME)[:, :, None, None, None]
        index = jnp.broadcast_to(nearest[:, :, None, None, None], a.instances.shape)
        others = values_at(b.instances, index, axis=1)
        both = 0.5 * (a.instances + others)
        return a._replace(
            coupled=0.5 * (a.coupled + b.coupled), instances=jnp.where(same, both, a.instances)
        )

    def maps(self, outputs: InstanceMaps) -> jax.Array:
        """Heatmaps of all people's keypoints, float32 `[B, h, w, K]`."""
        return outputs.coupled[..., :-1].astype(jnp.float32)

    @property
    def _scale(self) -> np.ndarray:
        """Input pixels per heatmap pixel (x, y), `[1, 1, 1, 2]`."""
        less = 1 if self.unbiased else 0
        input_wh, map_wh = (np.array(hw[::-1]) - less for hw in (self.input_hw, self.heatmap_hw))
        return (input_wh / map_wh).astype(np.float32)[None, None, None]


def box_sigma(size: jax.Array) -> jax.Array:
    """Standard deviation for boxes of `size` (w, h) `[..., 2]`: a third of CornerNet's radius."""
    total, area = size.sum(axis=-1), size[..., 0] * size[..., 1]
    cases = (
        (1.0, total, area * (1 - _OVERLAP) / (1 + _OVERLAP)),
        (4.0, 2 * total, (1 - _OVERLAP) * area),
        (4 * _OVERLAP, -2 * _OVERLAP * total, (_OVERLAP - 1) * area),
    )
    radii = [(b + jnp.sqrt(jnp.maximum(b**2 - 4 * a * c, 0.0))) / 2 for a, b, c in cases]
    return jnp.maximum(jnp.minimum(jnp.minimum(radii[0], radii[1]), radii[2]), 0.0) / 3


def center_window(heatmap_hw: tuple[int, int]) -> int:
    """Side of the square in which a centre is the highest, by the mean side of the maps."""
    return next(side for least, side in _WINDOWS if sum(heatmap_hw) / 2 > least)


def smoothed(maps: jax.Array) -> jax.Array:
    """Mean of maps `[..., h, w, K]` and of their means over 3x3 pixels."""
    *lead, height, width, count = maps.shape
    flat = maps.reshape(-1, height, width, count)
    total = jax.lax.reduce_window(flat, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    return ((flat + total / 9) / 2).reshape(*lead, height, width, count)


def instance_peaks(maps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Highest pixels of maps `[B, P, h, w, K]` with quarter steps: `[B, P, K, 2]`, and values."""
    return _peaks(maps, quarter_step)


def exact_peaks(maps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Highest pixels of maps `[B, P, h, w, K]` with DARK steps: `[B, P, K, 2]`, and values."""

    def step(maps: jax.Array, x: jax.Array, y: jax.Array) -> Step:
        return shortened(dark_udp_step(maps, x, y, _BLUR), _LONGEST_STEP)

    return _peaks(maps, step)


def _peaks(
    maps: jax.Array, step: Callable[[jax.Array, jax.Array, jax.Array], Step]
) -> tuple[jax.Array, jax.Array]:
    batch, people, height, width, count = maps.shape
    flat = maps.reshape(-1, height, width, count)
    x, y, value = highest(flat)
    dx, dy = step(flat, x, y)
    points = jnp.stack([x + dx, y + dy], axis=-1)
    return points.reshape(batch, people, count, 2), value.reshape(batch, people, count)


def _repeated(center: jax.Array, extent: jax.Array, there: jax.Array) -> jax.Array:
    """True for people `[B, P]` whose centre is also that of a smaller one."""
    same = jnp.all(center[:, :, None] == center[:, None], axis=-1)
    order = jnp.arange(center.shape[1])
    earlier = (order[None] < order[:, None])[None]
    smaller = extent[:, None] < extent[:, :, None]
    equal = extent[:, None] == extent[:, :, None]
    return (same & there[:, None] & (smaller | (equal & earlier))).any(axis=-1)
