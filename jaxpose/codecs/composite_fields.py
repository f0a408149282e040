"""Codec of OpenPifPaf: composite fields of keypoints, and of the associations between them.

Kreiss et al. 2021, arXiv:2103.02440; Kreiss et al. 2019, "PifPaf", arXiv:1903.06593. Written
without the published package's code, and checked against numbers that it computed.
"""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.greedy_frontier import Thresholds, decode_people
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import marked, reordered, values_at
from jaxpose.skeletons import COCO17, Skeleton

COCO_PAIRS = (
    *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8)),
    *((7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
)
"""Associations of the published models for COCO's 17 keypoints, in the order of the channels."""

COCO_UPRIGHT = (
    *((0.0, 9.3), (-0.35, 9.7), (0.35, 9.7), (-0.7, 9.5), (0.7, 9.5), (-1.4, 8.0), (1.4, 8.0)),
    *((-1.75, 6.0), (1.75, 6.2), (-1.75, 4.0), (1.75, 4.2), (-1.26, 4.0), (1.26, 4.0)),
    *((-1.4, 2.0), (1.4, 2.1), (-1.4, 0.0), (1.4, 0.1)),
)
"""Keypoints of a standing person, by whose extent that of a partly visible one is completed."""

# Cells along one side of the squares in which fields are trained: around keypoints, and around
# points of an association's line.
_KEYPOINT_SIDE, _LINE_SIDE = 4, 3
# Shares of an association's line at both ends that have no square.
_LEAST_MARGIN, _MOST_MARGIN = 0.25, 0.4
# Largest scale of a keypoint, relative to the distance from another person's.
_APART = 0.25
# Largest factor on the extent of a partly visible person, and smallest scale in cells.
_MOST_HIDDEN, _LEAST_SCALE = 5.0, 0.1


class CompositeMaps(NamedTuple):
    """Outputs of a `CompositeFieldHead`, as the network computes them.

    Attributes:
      keypoints: `[B, h, w, K, 5]`: spread of the vector's error, logit of the confidence, vector
        (x, y) in cells from the cell to the keypoint, scale before softplus.
      associations: `[B, h, w, L, 8]`: spread, logit, vectors to the first and to the second
        keypoint, scales of both.
    """

    keypoints: jax.Array
    associations: jax.Array


class FieldTargets(NamedTuple):
    """Targets of one kind of fields, with N vectors each: 1 for keypoints, 2 for associations.

    Attributes:
      confidence: `[B, h, w, C]`, 1 or 0.
      vectors: `[B, h, w, C, N, 2]` (x, y) in cells; 0 where the confidence is 0.
      scales: `[B, h, w, C, N]` in cells; 0 where none is known.
    """

    confidence: jax.Array
    vectors: jax.Array
    scales: jax.Array


class CompositeTargets(NamedTuple):
    """Targets of a `CompositeFieldLoss`: of keypoints, and of associations."""

    keypoints: FieldTargets
    associations: FieldTargets


@dataclass(frozen=True)
class CompositeFields:
    """Maps `CompositeMaps` of many people in a whole image.

    Each cell near a keypoint has a vector to it and its scale; each cell near the line of an
    association has vectors to both its ends. Decoding adds up an accurate map of each keypoint, and
    grows people along the associations, the surest first (`codecs.greedy_frontier`). It runs in
    NumPy on the host, so it cannot be exported.

    A keypoint's score is that of its connection, `raw` the same. A keypoint that a person lacks is
    at the mean of the others, with score 0 and `valid` False.

    Attributes:
      input_hw: size of the model's input: 1 more than multiples of 16.
      stride: input pixels of a cell.
      pairs: keypoints (first, second) of each association, in the order of the channels.
      sigmas: K sizes of keypoints relative to a person, as published for COCO's OKS.
      upright: places (x, y) of K keypoints of a standing person, in any unit; empty if not known:
        the extent of a person is then that of the labelled keypoints.
      max_people: largest number of people in one image.
      thresholds: thresholds of the decoding.
    """

    input_hw: tuple[int, int] = (641, 641)
    stride: int = 8
    pairs: tuple[tuple[int, int], ...] = COCO_PAIRS
    sigmas: tuple[float, ...] = tuple(COCO17.sigmas or ())
    upright: tuple[tuple[float, float], ...] = COCO_UPRIGHT
    max_people: int = 30
    thresholds: Thresholds = field(default_factory=Thresholds)

    on_host: ClassVar[bool] = True
    """True: the decoding is not a part of a compiled program."""

    def __post_init__(self) -> None:
        if self.stride < 1 or any((side - 1) % (2 * self.stride) for side in self.input_hw):
            raise InputError(
                f"input_hw {self.input_hw} must be 1 more than multiples of {2 * self.stride}."
            )
        count = len(self.sigmas)
        if not self.pairs:
            raise InputError(
                "A codec with composite fields needs associations (pairs of keypoints). Choose a "
                "skeleton with limbs, or name the pairs."
            )
        if any(a == b or not min(a, b) >= 0 or max(a, b) >= count for a, b in self.pairs):
            raise InputError(f"pairs must be two different keypoints each, from 0 to {count - 1}.")
        if self.upright and len(self.upright) != count:
            raise InputError(f"upright has {len(self.upright)} keypoints, and sigmas {count}.")
        if self.max_people < 1:
            raise InputError("max_people must be at least 1.")

    @property
    def udp(self) -> Udp:
        """Always True: sizes are distances between outermost pixel centres."""
        return True

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the maps in cells."""
        return (self.input_hw[0] - 1) // self.stride + 1, (self.input_hw[1] - 1) // self.stride + 1

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch; none for another number of keypoints."""
        if num_keypoints != len(self.sigmas):
            return ()
        hw = self.heatmap_hw
        return (((*hw, num_keypoints, 5), (*hw, len(self.pairs), 8)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `CompositeTargets`, and weights `[B, h, w]`, 0 in regions without labels.

        A cell that several people claim belongs to the nearest keypoint, or to the nearest line.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; counted `[B, h, w]`, with the size
            of the maps, or None.
        """
        points = sample.keypoints.astype(jnp.float32)
        last = np.array(self.input_hw[::-1], np.float32)[None, None, None] - 1
        inside = jnp.all((points >= 0) & (points <= last), axis=-1)
        labelled = sample.labelled() & inside
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(labelled[..., None], points, 0.0) / self.stride
        scales = self._scales(points, labelled)
        height, width = self.heatmap_hw
        counted = jnp.ones((len(points), height, width))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        return Targets(
            CompositeTargets(
                self._keypoint_targets(points, labelled, scales),
                self._association_targets(points, labelled, scales),
            ),
            counted,
        )

    def _scales(self, points: jax.Array, labelled: jax.Array) -> jax.Array:
        """Scales of keypoints in cells, `[B, P, K]`; 0 where a person's extent is not known."""
        extent = _spread(points, labelled[..., None])
        factor = jnp.ones(extent.shape)
        if self.upright:
            standing = np.array(self.upright, np.float32)
            turn = math.sqrt(0.5) * np.array([[1, 1], [-1, 1]], np.float32)
            parts = []
            for pose in (standing, standing @ turn):
                whole = float(np.prod(np.ptp(pose, axis=0)))
                part = _spread(pose[None, None], labelled[..., None])
                known = part > 0.1
                parts.append(jnp.where(known, whole / jnp.where(known, part, 1.0), jnp.inf))
            factor = jnp.minimum(jnp.sqrt(jnp.minimum(*parts)), _MOST_HIDDEN)
        size = jnp.sqrt(extent) * factor
        known = (labelled.sum(axis=-1) >= 3) & (size >= _LEAST_SCALE)
        scales = size[..., None] * np.array(self.sigmas, np.float32)[None, None]
        there = labelled[:, :, None] & labelled[:, None]
        there = there & ~jnp.eye(points.shape[1], dtype=bool)[None, :, :, None]
        apart = jnp.sqrt(jnp.square(points[:, :, None] - points[:, None]).sum(axis=-1))
        apart = jnp.where(there, apart, jnp.inf).min(axis=2)
        return jnp.where(known[..., None], jnp.minimum(scales, _APART * apart), 0.0)

    def _cells(self) -> np.ndarray:
        """Cells `[h, w, 2]` (x, y)."""
        rows, columns = np.mgrid[: self.heatmap_hw[0], : self.heatmap_hw[1]]
        return np.stack([columns, rows], axis=-1).astype(np.float32)

    def _keypoint_targets(
        self, points: jax.Array, labelled: jax.Array, scales: jax.Array
    ) -> FieldTargets:
        cells = self._cells()[None, None, :, :, None]  # [1, 1, h, w, 1, 2]
        place = points[:, :, None, None]  # [B, P, 1, 1, K, 2]
        first = jnp.round(place - (_KEYPOINT_SIDE - 1) / 2)
        near = jnp.all((cells >= first) & (cells < first + _KEYPOINT_SIDE), axis=-1)
        near = near & labelled[:, :, None, None]
        away = jnp.sqrt(jnp.square(place - cells).sum(axis=-1))
        return _of_nearest(away, near, points[:, :, :, None], scales[..., None], cells[:, 0])

    def _association_targets(
        self, points: jax.Array, labelled: jax.Array, scales: jax.Array
    ) -> FieldTargets:
        order = np.array(self.pairs).T
        (first, second), (one, two), (size_1, size_2) = (
            [reordered(values, number, axis=2) for number in order]
            for values in (points, labelled, scales)
        )
        there = one & two
        line = second - first
        length = jnp.sqrt(jnp.square(line).sum(axis=-1))
        cells = self._cells()[None, None, :, :, None]
        near = self._near_lines(first, line, length, there)
        to_first = first[:, :, None, None] - cells
        across = line[:, :, None, None]
        away = jnp.abs(across[..., 1] * to_first[..., 0] - across[..., 0] * to_first[..., 1])
        away = away / (length[:, :, None, None] + 0.01)
        ends = jnp.stack([first, second], axis=3)
        return _of_nearest(away, near, ends, jnp.stack([size_1, size_2], axis=3), cells[:, 0])

    def _near_lines(
        self, first: jax.Array, line: jax.Array, length: jax.Array, there: jax.Array
    ) -> jax.Array:
        """Cells in a square around points of lines `[B, P, L, 2]`; bool `[B, P, h, w, L]`."""
        height, width = self.heatmap_hw
        most = math.ceil(math.hypot(height, width)) + 1
        count = jnp.maximum(jnp.ceil(length), 2.0)[..., None]
        margin = jnp.clip(_LINE_SIDE / 2 / jnp.maximum(length, 1e-6), _LEAST_MARGIN, _MOST_MARGIN)
        margin = margin[..., None]
        step = jnp.arange(most, dtype=jnp.float32)[None, None, None]
        share = margin + step * (1 - 2 * margin) / (count - 1)
        half = (_LINE_SIDE - 1) / 2
        middle = first[:, :, :, None] - half + share[..., None] * line[:, :, :, None]
        column, row = jnp.moveaxis(jnp.round(middle) + half, -1, 0)
        used = (step < count) & there[..., None]
        inside = (row >= -half) & (row < height + half) & (column >= -half)
        inside = inside & (column < width + half) & used
        # With a border, so that squares around points beyond the edge count.
        pad = int(half)
        places = (jnp.where(inside, x + pad, -1).astype(jnp.int32) for x in (row, column))
        around = marked(*places, (height + 2 * pad, width + 2 * pad)).astype(jnp.float32)
        window = (1, 1, 1, _LINE_SIDE, _LINE_SIDE)
        around = jax.lax.reduce_window(around, 0.0, jax.lax.max, window, (1,) * 5, "VALID")
        return jnp.moveaxis(around > 0, 2, -1)

    def fields(self, outputs: CompositeMaps) -> tuple[jax.Array, jax.Array]:
        """Confidences, places and scales in cells: `[B, h, w, K, 4]` and `[B, h, w, L, 7]`."""
        cells = self._cells()[None, :, :, None]
        made = []
        for values, vectors in ((outputs.keypoints, 1), (outputs.associations, 2)):
            x = values.astype(jnp.float32)
            places = x[..., 2 : 2 + 2 * vectors] + jnp.tile(cells, vectors)
            scales = jax.nn.softplus(x[..., 2 + 2 * vectors :])
            made.append(jnp.concatenate([jax.nn.sigmoid(x[..., 1:2]), places, scales], axis=-1))
        return made[0], made[1]

    def decode(self, outputs: CompositeMaps) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the highest score first; see the class."""
        keypoints, associations = self.fields(outputs)
        shape = (keypoints.shape[0], self.max_people, len(self.sigmas))
        result = (
            jax.ShapeDtypeStruct((*shape, 2), jnp.float32),
            jax.ShapeDtypeStruct(shape, jnp.float32),
            jax.ShapeDtypeStruct(shape, jnp.bool_),
        )
        points, raw, valid = jax.pure_callback(self._on_host, result, keypoints, associations)
        finite = jnp.isfinite(keypoints.sum((1, 2, 3, 4)) + associations.sum((1, 2, 3, 4)))
        raw = jnp.where(finite[:, None, None], raw, jnp.nan)
        return Decoded(points, jnp.clip(raw, 0.0, 1.0), raw, valid)

    def _on_host(self, keypoints: Any, associations: Any) -> tuple[np.ndarray, ...]:
        """Places `[B, P, K, 2]`, scores and validity of the people, from `fields`."""
        keypoints, associations = np.asarray(keypoints), np.asarray(associations)
        shape = (len(keypoints), self.max_people, len(self.sigmas))
        places, scores = np.zeros((*shape, 2), np.float32), np.zeros(shape, np.float32)
        settings = self.pairs, self.stride, self.input_hw, self.thresholds
        for image, (one, two) in enumerate(zip(keypoints, associations, strict=True)):
            if not (np.isfinite(one).all() and np.isfinite(two).all()):
                continue  # `decode` marks these
            people = decode_people(one, two, *settings)[: self.max_people]
            for row, (_, person) in enumerate(people):
                places[image, row] = np.mean([point[:2] for point in person.values()], axis=0)
                for kind, point in person.items():
                    places[image, row, kind] = point.x, point.y
                    scores[image, row, kind] = point.score
        return places, scores, scores > 0

    def flip_back(self, outputs: CompositeMaps, permutation: Any) -> CompositeMaps:
        """Convert outputs for the mirrored input to the frame of the original input."""
        order = np.asarray(permutation)
        numbers, turned = [], []
        for first, second in self.pairs:
            mirrored = (int(order[first]), int(order[second]))
            turned.append(mirrored not in self.pairs)
            mirrored = mirrored[::-1] if turned[-1] else mirrored
            if mirrored not in self.pairs:
                raise InputError(
                    "The codec's associations are not the same after exchanging left and right: "
                    "predict without the flip test (--no-flip-test)."
                )
            numbers.append(self.pairs.index(mirrored))
        keypoints = reordered(outputs.keypoints, order, axis=3)[:, :, ::-1]
        associations = reordered(outputs.associations, np.array(numbers), axis=3)[:, :, ::-1]
        swapped = reordered(associations, [0, 1, 4, 5, 2, 3, 7, 6], axis=-1)
        associations = jnp.where(np.array(turned)[None, None, None, :, None], swapped, associations)
        # The x of vectors changes its sign.
        one = np.array([1, 1, -1, 1, 1], np.float32)
        two = np.array([1, 1, -1, 1, -1, 1, 1, 1], np.float32)
        shape = (1, 1, 1, 1, -1)
        return CompositeMaps(keypoints * one.reshape(shape), associations * two.reshape(shape))

    def average(self, a: CompositeMaps, b: CompositeMaps) -> CompositeMaps:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: CompositeMaps) -> jax.Array:
        """Confidences of the keypoints, float32 `[B, h, w, K]`."""
        return jax.nn.sigmoid(outputs.keypoints[..., 1].astype(jnp.float32))


def composite_fields_of(
    skeleton: Skeleton, input_hw: tuple[int, int], **options: Any
) -> CompositeFields:
    """Build the codec for a skeleton: associations are its limbs; COCO's are the published ones.

    Raises:
      InputError: the skeleton has no limbs, or no falloffs.
    """
    if skeleton.keypoints == COCO17.keypoints:
        return CompositeFields(input_hw, **options)
    if skeleton.sigmas is None:
        raise InputError(
            f"Skeleton {skeleton.name!r} has no sigmas, from which composite fields get the size "
            "of a keypoint: add them to the skeleton, or give CompositeFields(sigmas=...)."
        )
    index = {name: number for number, name in enumerate(skeleton.keypoints)}
    pairs = tuple((index[a], index[b]) for a, b in skeleton.limbs)
    sigmas = tuple(float(sigma) for sigma in skeleton.sigmas)
    return CompositeFields(input_hw, pairs=pairs, sigmas=sigmas, upright=(), **options)


def _spread(points: Any, there: jax.Array) -> jax.Array:
    """Area `[B, P]` of the box around points `[..., K, 2]` where `there` `[B, P, K, 1]`; else 0."""
    low = jnp.where(there, points, jnp.inf).min(axis=-2)
    high = jnp.where(there, points, -jnp.inf).max(axis=-2)
    return jnp.where(there.any(axis=(-2, -1)), jnp.prod(jnp.maximum(high - low, 0.0), axis=-1), 0.0)


def _of_nearest(
    away: jax.Array, near: jax.Array, ends: jax.Array, scales: jax.Array, cells: np.ndarray
) -> FieldTargets:
    """Targets of cells, from the nearest person of those that are near.

    Args:
      away, near: distances and masks `[B, P, h, w, C]`.
      ends: `[B, P, C, N, 2]`; scales: `[B, P, C, N]`.
      cells: `[1, h, w, 1, 2]`.
    """
    away = jnp.where(near, away, jnp.inf)
    nearest = jnp.argmin(away, axis=1)  # [B, h, w, C]
    any_near = near.any(axis=1)

    def chosen(values: jax.Array) -> jax.Array:
        """Values `[B, P, C, ...]` of the nearest person, `[B, h, w, C, ...]`."""
        batch, people, count = values.shape[:3]
        flat = jnp.moveaxis(values.reshape(batch, people, count, -1), 1, 2)  # [B, C, P, V]
        index = jnp.moveaxis(nearest, -1, 1).reshape(batch, count, -1, 1)
        found = values_at(flat, jnp.broadcast_to(index, (*index.shape[:3], flat.shape[-1])), axis=2)
        found = found.reshape(batch, count, *nearest.shape[1:3], *values.shape[3:])
        return jnp.moveaxis(found, 1, 3)

    vectors = chosen(ends) - cells[..., None, :]
    return FieldTargets(
        any_near.astype(jnp.float32),
        jnp.where(any_near[..., None, None], vectors, 0.0),
        jnp.where(any_near[..., None], chosen(scales), 0.0),
    )
