"""Codec of DEKR: heatmaps of keypoints and centres, and displacements from centres to keypoints.

Geng et al. 2021, arXiv:2104.02300.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.people_maps import beyond, local_peaks, rounded_gaussians
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered, values_at

Pair = tuple[jax.Array, jax.Array]
_WINDOW = 5  # pixels; a centre has to be the highest in this square


@dataclass(frozen=True)
class Displacements:
    """Heatmaps `[B, h, w, K + 1]`, centres last, and displacements `[B, h, w, 2 K]`.

    Displacements are the (x, y) of each keypoint relative to the pixel, in heatmap pixels. The
    centre of a person is the mean of the labelled keypoints. Where people overlap, displacements
    are those of the smaller one. People whose extent is below `min_extent` have no centre.

    As published, a keypoint that the smaller one of two people lacks is taken from the larger one,
    who also overwrites the keypoints that follow in the order of the skeleton: the pixels of both
    centres then mix two people. With `exclusive` a pixel has the displacements of one person.

    Decoding takes the highest local maxima of the centres, whose displacements lead to the
    keypoints. The score of a keypoint is the centre's value times that of the keypoint's map there
    (interpolated, with the published half-pixel shift), clipped to [0, 1]; `raw` is the product.
    Then a pose of which more than `nms_joints` keypoints are near those of a better one is left out
    (section 3.4). `valid` is False for unused places.

    Attributes:
      input_hw: size of the model's input.
      stride: input pixels of a heatmap pixel.
      sigma: standard deviations of the Gaussians of centres and of keypoints in heatmap pixels; the
        first is the distance from a centre within which displacements are trained.
      background: weight of pixels where the target heatmap is 0.
      min_extent: least diagonal of a person in heatmap pixels.
      max_people: largest number of people in one image.
      min_score: lowest value of a centre.
      nms_distance: distance of keypoints that are near, as a share of the person's diagonal.
      nms_joints: number of near keypoints above which a pose is left out; None for half of them.
      exclusive: a pixel has displacements of one person only, the smallest one.
    """

    input_hw: tuple[int, int] = (512, 512)
    stride: int = 4
    sigma: tuple[float, float] = (4.0, 2.0)
    background: float = 0.1
    min_extent: float = 5.656854249492381
    max_people: int = 30
    min_score: float = 0.01
    nms_distance: float = 0.05
    nms_joints: int | None = None
    exclusive: bool = False

    def __post_init__(self) -> None:
        if self.stride < 1 or any(s < self.stride or s % self.stride for s in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is no multiple of stride {self.stride}.")
        if min(self.sigma) <= 0 or min(self.min_extent, self.background) < 0:
            raise InputError("Both sigmas must be positive, min_extent and background at least 0.")
        if not 1 <= self.max_people <= self.heatmap_hw[0] * self.heatmap_hw[1]:
            raise InputError("max_people must be at least 1, and at most the pixels of a map.")

    @property
    def udp(self) -> Udp:
        """Always True: images are letterboxed between outermost pixel centres."""
        return True

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the maps."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        return (tuple((*self.heatmap_hw, n) for n in (num_keypoints + 1, 2 * num_keypoints)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets (heatmaps, displacements), and weights of both with the same shapes.

        Weights of displacements are the inverse of the person's diagonal in heatmap pixels, and 0
        away from centres. Both are 0 in regions where people are not labelled.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; counted `[B, h, w]`, with the size
            of the maps, or None.
        """
        height, width = self.heatmap_hw
        labelled = sample.labelled()
        known = labelled[..., None]
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(known, sample.keypoints.astype(jnp.float32), 0.0) / self.stride
        number = jnp.maximum(labelled.sum(axis=-1), 1)
        center = points.sum(axis=2) / number[..., None]
        low = jnp.where(known, points, jnp.inf).min(axis=2)
        high = jnp.where(known, points, -jnp.inf).max(axis=2)
        there = labelled.any(axis=-1)
        extent = jnp.where(there, jnp.linalg.norm(high - low, axis=-1), 0.0)
        there &= (extent >= self.min_extent) & (extent > 0)
        hw = (height, width)
        maps = [
            rounded_gaussians(points, labelled, hw, self.sigma[1]),
            rounded_gaussians(center[:, :, None], there[..., None], hw, self.sigma[0]),
        ]
        heatmaps = jnp.concatenate(maps, axis=-1)
        limit = np.array([width, height], np.float32)
        inside = jnp.all((points >= 0) & (points < limit[None, None, None]), axis=-1)
        there &= jnp.all((center >= 0) & (center < limit[None, None]), axis=-1)
        vectors, weights = self._vectors(points, labelled & inside, center, there, extent)
        counted = jnp.ones((len(points), height, width))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        counted = counted[..., None]
        return Targets(
            (heatmaps, vectors),
            (jnp.where(heatmaps > 0, 1.0, self.background) * counted, weights * counted),
        )

    def decode(self, outputs: Pair) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the highest centre first; see the class."""
        heatmaps, vectors = (x.astype(jnp.float32) for x in outputs)
        batch, height, width, count = heatmaps.shape
        center = heatmaps[..., -1]
        peaks = local_peaks(center[..., None], _WINDOW).reshape(batch, -1)
        value, place = jax.lax.top_k(peaks, self.max_people)
        index = jnp.broadcast_to(place[..., None], (*place.shape, vectors.shape[-1]))
        lead = values_at(vectors.reshape(batch, height * width, -1), index, axis=1)
        start = jnp.stack([place % width, place // width], axis=-1).astype(jnp.float32)
        points = start[:, :, None] + lead.reshape(*place.shape, count - 1, 2)
        raw = value[..., None] * self._sampled(heatmaps[..., :-1], points)
        there = self._apart(points, raw.mean(axis=-1), value > self.min_score)
        finite = jnp.isfinite(heatmaps.sum(axis=(1, 2, 3)) + vectors.sum(axis=(1, 2, 3)))
        valid = jnp.broadcast_to(there[..., None], raw.shape) & finite[:, None, None]
        raw = jnp.where(finite[:, None, None], jnp.where(valid, raw, 0.0), jnp.nan)
        points = jnp.where(valid[..., None], points * self.stride, 0.0)
        lost = beyond(peaks, self.min_score, self.max_people)
        return Decoded(points, jnp.clip(raw, 0.0, 1.0), raw, valid, lost)

    def flip_back(self, outputs: Pair, permutation: Any) -> Pair:
        """Convert outputs for the mirrored input to the frame of the original input."""
        heatmaps, vectors = outputs
        permutation = np.asarray(permutation)
        order = np.append(permutation, len(permutation))
        pairs = vectors[:, :, ::-1].reshape(*vectors.shape[:3], -1, 2)
        sign = np.array([-1, 1], np.float32).reshape(1, 1, 1, 1, 2)
        mirrored = reordered(pairs, permutation, axis=3) * sign
        return reordered(heatmaps, order, axis=3)[:, :, ::-1], mirrored.reshape(vectors.shape)

    def average(self, a: Pair, b: Pair) -> Pair:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: Pair) -> jax.Array:
        """Heatmaps of the keypoints, float32 `[B, h, w, K]`."""
        return outputs[0][..., :-1].astype(jnp.float32)

    def _vectors(
        self,
        points: jax.Array,
        known: jax.Array,
        center: jax.Array,
        there: jax.Array,
        extent: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Displacements `[B, h, w, 2 K]` and their weights, of the same shape."""
        batch, _, count = known.shape
        height, width = self.heatmap_hw
        radius = self.sigma[0]
        column, row = (jnp.arange(n, dtype=jnp.float32) for n in (width, height))

        def near(cell: jax.Array, at: jax.Array) -> jax.Array:
            low = jnp.maximum(jnp.trunc(at - radius), 0)[:, None]
            return (cell[None] >= low) & (cell[None] < jnp.trunc(at + radius)[:, None])

        def add(carry: tuple[jax.Array, ...], person: tuple[jax.Array, ...]) -> tuple[Any, None]:
            vectors, weights, size = carry
            point, labelled, middle, exists, diagonal = person
            box = near(row, middle[:, 1])[:, :, None] & near(column, middle[:, 0])[:, None]
            box &= exists[:, None, None]
            own = diagonal[:, None, None]
            x = point[:, None, None, :, 0] - column[None, None, :, None]
            y = point[:, None, None, :, 1] - row[None, :, None, None]
            lead = jnp.stack(jnp.broadcast_arrays(x, y), axis=-1)
            share = 1.0 / jnp.maximum(own, 1e-6)
            if self.exclusive:
                mine = (box & (own < size))[..., None]
                known = labelled[:, None, None]
                lead = jnp.where(known[..., None], lead, 0.0)
                vectors = jnp.where(mine[..., None], lead, vectors)
                weights = jnp.where(mine, jnp.where(known, share[..., None], 0.0), weights)
                return (vectors, weights, jnp.where(mine[..., 0], own, size)), None
            # One keypoint after another: the first one that is written makes the pixel this
            # person's, as published.
            drawn = []
            for k in range(count):
                empty = (vectors[..., k, :] == 0).all(axis=-1)
                write = box & labelled[:, k, None, None] & (empty | (own <= size))
                size = jnp.where(write, own, size)
                drawn.append(write)
            written = jnp.stack(drawn, axis=-1)
            vectors = jnp.where(written[..., None], lead, vectors)
            weights = jnp.where(written, share[..., None], weights)
            return (vectors, weights, size), None

        start = (
            jnp.zeros((batch, height, width, count, 2)),
            jnp.zeros((batch, height, width, count)),
            jnp.full((batch, height, width), jnp.inf if self.exclusive else 0.0),
        )
        people = jax.tree.map(
            lambda x: jnp.moveaxis(x, 1, 0), (points, known, center, there, extent)
        )
        (vectors, weights, _), _ = jax.lax.scan(add, start, people)
        shape = (batch, height, width, 2 * count)
        return vectors.reshape(shape), weights.repeat(2, axis=-1)

    @staticmethod
    def _sampled(maps: jax.Array, points: jax.Array) -> jax.Array:
        """Values `[B, P, K]` of maps `[B, h, w, K]` at points `[B, P, K, 2]`.

        The published code normalises points for aligned corners and samples for aligned edges.
        """
        batch, height, width, count = maps.shape
        flat = maps.reshape(batch, -1)
        sizes = np.array([width, height], np.float32)[None, None, None]
        place = jnp.clip(points * (sizes / np.maximum(sizes - 1, 1)) - 0.5, 0.0, sizes - 1)
        first = jnp.minimum(jnp.floor(place), np.maximum(sizes - 2, 0))
        part = place - first
        total = jnp.zeros(points.shape[:3])
        for dy in (0, 1):
            for dx in (0, 1):
                x = jnp.minimum(first[..., 0] + dx, width - 1)
                y = jnp.minimum(first[..., 1] + dy, height - 1)
                weight = jnp.abs(1 - dx - part[..., 0]) * jnp.abs(1 - dy - part[..., 1])
                at = ((y * width + x) * count + jnp.arange(count)[None, None]).astype(jnp.int32)
                value = values_at(flat, at.reshape(batch, -1), axis=1)
                total += weight * value.reshape(total.shape)
        return total

    def _apart(self, points: jax.Array, score: jax.Array, there: jax.Array) -> jax.Array:
        """Leave out poses `[B, P, K, 2]` beside better ones; bool `[B, P]`."""
        count = points.shape[2]
        limit = count // 2 if self.nms_joints is None else self.nms_joints
        extent = jnp.ptp(points, axis=2)
        diagonal = jnp.sqrt(jnp.square(extent).sum(axis=-1))
        away = jnp.sqrt(jnp.square(points[:, :, None] - points[:, None]).sum(axis=-1))
        near = away < self.nms_distance * diagonal[:, :, None, None]
        close = (near.sum(axis=-1) > limit) & there[:, None] & there[:, :, None]
        # A pose of no extent is not even near itself.
        close |= jnp.eye(points.shape[1], dtype=bool)[None] & there[:, :, None]
        ranked = jnp.where(there, score, -jnp.inf)
        order = jnp.argsort(-ranked, axis=1)

        def visit(i: int, state: Pair) -> Pair:
            kept, ignored = state
            own = values_at(order, jnp.full((order.shape[0], 1), i), axis=1)
            around = values_at(close, own[..., None], axis=1)[:, 0]
            real = values_at(there, own, axis=1)[:, 0] & ~values_at(ignored, own, axis=1)[:, 0]
            best = jnp.argmax(jnp.where(around, ranked, -jnp.inf), axis=1)
            free = real & ~values_at(ignored, best[:, None], axis=1)[:, 0]
            chosen = jnp.arange(points.shape[1])[None] == best[:, None]
            kept = kept | (chosen & free[:, None])
            return kept, ignored | (around & free[:, None])

        nobody = jnp.zeros(there.shape, bool)
        return jax.lax.fori_loop(0, points.shape[1], visit, (nobody, nobody))[0]
