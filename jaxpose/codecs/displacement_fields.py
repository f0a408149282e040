"""Codecs of PoseNet: probabilities, offsets, and vectors from each joint to its neighbours.

PersonLab (arXiv:1803.08225, sections 3.1 and 3.2) without its segmentation, as it is decoded by
TensorFlow's PoseNet: whole images with many people, or crops of one person.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two, mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered, values_at

COCO_TREE = (
    *((0, 1), (1, 3), (0, 2), (2, 4)),
    *((0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15)),
    *((0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16)),
)
"""Edges of PoseNet's tree for COCO's 17 keypoints: parent and child; the root is the nose."""


class PersonFields(NamedTuple):
    """Maps of a `DisplacementHead`.

    Vectors are in input pixels: first the y of all keypoints or edges, then the x. Cell (i, j) is
    the input pixel (i stride, j stride).

    Attributes:
      heatmaps: logits of a keypoint near the cell, `[B, h, w, K]`.
      offsets: vectors from the cell to the nearest keypoint, `[B, h, w, 2 K]`.
      forward: vectors from a parent near the cell to its child, `[B, h, w, 2 E]`.
      backward: vectors from a child near the cell to its parent, `[B, h, w, 2 E]`.
    """

    heatmaps: jax.Array
    offsets: jax.Array
    forward: jax.Array
    backward: jax.Array


@dataclass(frozen=True)
class DisplacementFields:
    """Maps `PersonFields` of many people in a whole image.

    Every local maximum of a keypoint's probability is a candidate, the highest ones first. A
    person grows from it along the tree: the vector of an edge leads near the next keypoint, and the
    offsets there lead to it in two steps. A candidate that lies near the same keypoint of a person
    found before is left out (section 3.2 of the paper).

    The score of a keypoint is the probability in the nearest cell, `raw` its logit. A person's own
    score is the sum over the keypoints that no earlier person has nearby, divided by K; `valid` is
    False where it is below `min_person`, and for unused places.

    Attributes:
      input_hw: size of the model's input: 1 more than a multiple of the stride.
      stride: input pixels between cells.
      tree: edges (parent, child) from the root outwards, one less than keypoints.
      radius: distance from a keypoint in input pixels within which its fields are trained.
      max_people: largest number of people in one image.
      candidates: number of highest local maxima that are tried.
      min_score: lowest probability of a candidate.
      min_person: lowest score of a person.
      nms_radius: distance in input pixels within which keypoints of two people are the same.
    """

    input_hw: tuple[int, int] = (385, 385)
    stride: int = 16
    tree: tuple[tuple[int, int], ...] = COCO_TREE
    radius: float = 32.0
    max_people: int = 10
    candidates: int = 256
    min_score: float = 0.5
    min_person: float = 0.15
    nms_radius: float = 20.0

    def __post_init__(self) -> None:
        if self.stride < 1 or any((side - 1) % self.stride for side in self.input_hw):
            raise InputError(
                f"input_hw {self.input_hw} must be 1 more than multiples of stride {self.stride}."
            )
        if self.max_people < 1 or self.candidates < self.max_people:
            raise InputError("max_people must be at least 1, and candidates as many.")
        if min(self.radius, self.nms_radius) <= 0:
            raise InputError("radius and nms_radius must be positive.")
        reached = {0} if not self.tree else {self.tree[0][0]}
        for parent, child in self.tree:
            if parent not in reached or child in reached:
                raise InputError(
                    f"tree has the edge {(parent, child)}, whose parent is not reached before, or "
                    "whose child is reached twice. Order the edges from the root outwards."
                )
            reached.add(child)
        if reached != set(range(len(self.tree) + 1)):
            raise InputError("tree must join the keypoints 0 to K - 1.")

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
        edges = len(self.tree)
        if num_keypoints != edges + 1:
            return ()
        channels = (num_keypoints, 2 * num_keypoints, 2 * edges, 2 * edges)
        return (tuple((*self.heatmap_hw, count) for count in channels),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `PersonFields` and their weights, float32.

        Probabilities are 1 within `radius` of a keypoint, otherwise 0; where several people's are
        near, the vectors are those of the nearest. Weights are `PersonFields` without the last
        axis' pairs: `[B, h, w, K]` twice, `[B, h, w, E]` twice. They are 0 where vectors lead
        nowhere, and in regions where people are not labelled.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; counted `[B, h, w]`, with the size
            of the maps, or None.
        """
        points = sample.keypoints.astype(jnp.float32)
        last = np.array(self.input_hw[::-1], np.float32)[None, None, None] - 0.5
        inside = jnp.all((points >= -0.5) & (points <= last), axis=-1)
        labelled = sample.labelled() & inside
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(labelled[..., None], points, 0.0)
        parents, children = (np.array(ends) for ends in zip(*self.tree, strict=True))
        heatmaps, offsets, near = self._to_nearest(points, labelled, points, labelled, cells=True)
        ends = [reordered(points, order, axis=2) for order in (parents, children)]
        there = [reordered(labelled, order, axis=2) for order in (parents, children)]
        _, forward, forward_near = self._to_nearest(ends[0], there[0], ends[1], there[1])
        _, backward, backward_near = self._to_nearest(ends[1], there[1], ends[0], there[0])
        counted = jnp.ones(heatmaps.shape[:3])
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)
        counted = counted[..., None]
        return Targets(
            PersonFields(heatmaps, offsets, forward, backward),
            PersonFields(
                jnp.broadcast_to(counted, heatmaps.shape),
                near * counted,
                forward_near * counted,
                backward_near * counted,
            ),
        )

    def decode(self, outputs: PersonFields) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the highest candidate first."""
        fields = PersonFields(*(values.astype(jnp.float32) for values in outputs))
        probability, flat = self._candidates(jax.nn.sigmoid(fields.heatmaps))
        logit = values_at(fields.heatmaps.reshape(flat.shape[0], -1), flat, axis=1)
        count = fields.heatmaps.shape[-1]
        width = self.heatmap_hw[1]
        kind, cell = flat % count, flat // count
        corner = jnp.stack([cell % width, cell // width], axis=-1).astype(jnp.float32)
        start = corner * self.stride + self._vectors(fields.offsets, cell, kind, count)
        people = self._grow(fields, kind, start)
        raw = self._logits(fields.heatmaps, people)
        # The candidate's own value is that of its cell, which its offset may have left.
        own = kind[..., None] == jnp.arange(count)[None, None]
        raw = jnp.where(own, logit[..., None], raw)
        return self._suppress(probability > -jnp.inf, kind, start, people, raw)

    def flip_back(self, outputs: PersonFields, permutation: Any) -> PersonFields:
        """Convert outputs for the mirrored input to the frame of the original input."""
        order = np.asarray(permutation)
        mirrored = [(order[parent], order[child]) for parent, child in self.tree]
        if not set(mirrored) <= set(self.tree):
            raise InputError(
                "The codec's tree is not the same after exchanging left and right: predict without "
                "the flip test (--no-flip-test)."
            )
        edges = np.array([self.tree.index(edge) for edge in mirrored])

        def vectors(values: jax.Array, order: np.ndarray) -> jax.Array:
            y, x = jnp.split(values[:, :, ::-1], 2, axis=3)
            return jnp.concatenate(
                [reordered(y, order, axis=3), -reordered(x, order, axis=3)], axis=3
            )

        return PersonFields(
            mirror_maps(outputs.heatmaps, order),
            vectors(outputs.offsets, order),
            vectors(outputs.forward, edges),
            vectors(outputs.backward, edges),
        )

    def average(self, a: PersonFields, b: PersonFields) -> PersonFields:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: PersonFields) -> jax.Array:
        """Probabilities of the keypoints, float32 `[B, h, w, K]`."""
        return jax.nn.sigmoid(outputs.heatmaps.astype(jnp.float32))

    def _cells(self) -> np.ndarray:
        """Input pixel of each cell, `[h, w, 2]` (x, y)."""
        height, width = self.heatmap_hw
        rows, columns = np.mgrid[:height, :width] * self.stride
        return np.stack([columns, rows], axis=-1).astype(np.float32)

    def _to_nearest(
        self,
        sources: jax.Array,
        sources_there: jax.Array,
        ends: jax.Array,
        ends_there: jax.Array,
        cells: bool = False,
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Fields around the sources `[B, P, C, 2]`, of the person whose source is nearest.

        Returns:
          1 within the radius of a source `[B, h, w, C]`; vectors from the source, or from the cell
          with `cells`, to the end `[B, h, w, 2 C]`; 1 where such a vector leads somewhere.
        """
        grid = self._cells()[None, :, :, None, None]
        # [B, h, w, C, P]
        place, there, end, end_there = (
            jnp.swapaxes(x, 1, 2)[:, None, None] for x in (sources, sources_there, ends, ends_there)
        )
        away = jnp.square(place - grid).sum(axis=-1)
        away = jnp.where(there, away, jnp.inf)
        nearest = jnp.argmin(away, axis=-1)[..., None]
        inside = jnp.min(away, axis=-1) <= self.radius**2

        def of_nearest(x: jax.Array) -> jax.Array:
            wide = jnp.broadcast_to(x, (*away.shape, *x.shape[5:]))
            index = nearest.reshape(*nearest.shape, *(1,) * (x.ndim - 5))
            return values_at(wide, index, axis=4)[:, :, :, :, 0]

        vectors = of_nearest(end) - (grid[:, :, :, :, 0] if cells else of_nearest(place))
        known = inside & of_nearest(end_there)
        vectors = jnp.where(known[..., None], vectors, 0.0)
        flat = jnp.concatenate([vectors[..., 1], vectors[..., 0]], axis=-1)
        return inside.astype(jnp.float32), flat, known.astype(jnp.float32)

    def _candidates(self, probabilities: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Highest local maxima of maps `[B, h, w, K]`: values and flat indices, `[B, N]`.

        Equal neighbours are maxima both. Values of unused places are minus infinity.
        """
        highest = jax.lax.reduce_window(
            probabilities, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"
        )
        peak = (probabilities == highest) & (probabilities >= self.min_score)
        flat = jnp.where(peak, probabilities, -jnp.inf).reshape(probabilities.shape[0], -1)
        return jax.lax.top_k(flat, min(self.candidates, flat.shape[1]))

    def _near(self, places: jax.Array) -> jax.Array:
        """Index `[B, N]` of the cell nearest to each place `[B, N, 2]` (x, y)."""
        height, width = self.heatmap_hw
        # Halves go up, as in JavaScript.
        cell = jnp.floor(places / self.stride + 0.5)
        x = jnp.clip(cell[..., 0], 0, width - 1).astype(jnp.int32)
        y = jnp.clip(cell[..., 1], 0, height - 1).astype(jnp.int32)
        return y * width + x

    @staticmethod
    def _vectors(field: jax.Array, cell: jax.Array, channel: Any, count: int) -> jax.Array:
        """Vectors `[B, N, 2]` (x, y) of a field `[B, h, w, 2 count]` in cells `[B, N]`."""
        flat = field.reshape(field.shape[0], -1)
        at = cell * (2 * count) + channel
        y, x = (values_at(flat, at + half, axis=1) for half in (0, count))
        return jnp.stack([x, y], axis=-1)

    def _grow(self, fields: PersonFields, kind: jax.Array, start: jax.Array) -> jax.Array:
        """Keypoints `[B, N, K, 2]` of the people that grow from candidates.

        Args:
          fields: the maps.
          kind: keypoint of each candidate, `[B, N]`.
          start: place of each candidate, `[B, N, 2]` (x, y).
        """
        count, edges = len(self.tree) + 1, len(self.tree)
        places: list[jax.Array] = []
        known: list[jax.Array] = []
        for keypoint in range(count):
            known.append(kind == keypoint)
            places.append(jnp.where(known[-1][..., None], start, 0.0))

        def step(field: jax.Array, edge: int, source: int, target: int) -> None:
            place = places[source]
            place = place + self._vectors(field, self._near(place), edge, edges)
            for _ in range(2):
                cell = self._near(place)
                x, y = cell % self.heatmap_hw[1], cell // self.heatmap_hw[1]
                corner = jnp.stack([x, y], axis=-1).astype(jnp.float32) * self.stride
                place = corner + self._vectors(fields.offsets, cell, target, count)
            new = known[source] & ~known[target]
            places[target] = jnp.where(new[..., None], place, places[target])
            known[target] = known[target] | new

        for edge in reversed(range(edges)):
            parent, child = self.tree[edge]
            step(fields.backward, edge, child, parent)
        for edge, (parent, child) in enumerate(self.tree):
            step(fields.forward, edge, parent, child)
        return jnp.stack(places, axis=2)

    def _logits(self, heatmaps: jax.Array, people: jax.Array) -> jax.Array:
        """Logits `[B, N, K]` in the cells nearest to keypoints `[B, N, K, 2]`."""
        batch, number, count, _ = people.shape
        cell = self._near(people.reshape(batch, number * count, 2)).reshape(batch, number, count)
        at = (cell * count + jnp.arange(count)[None, None]).reshape(batch, -1)
        flat = values_at(heatmaps.reshape(batch, -1), at, axis=1)
        return flat.reshape(batch, number, count)

    def _suppress(
        self,
        there: jax.Array,
        kind: jax.Array,
        start: jax.Array,
        people: jax.Array,
        raw: jax.Array,
    ) -> Decoded:
        """Keep the first candidates, each of which no earlier person contains.

        Args:
          there: bool `[B, N]`, False for unused places.
          kind, start: as for `_grow`.
          people, raw: keypoints `[B, N, K, 2]` of each candidate's person, and their logits.
        """
        count = people.shape[2]
        limit = self.nms_radius**2
        kept: list[tuple[jax.Array, ...]] = []
        for _ in range(self.max_people):
            # Candidates are sorted: the first one that is left is the highest.
            best = jnp.argmax(there.astype(jnp.float32), axis=1)[:, None]
            exists = values_at(there, best, axis=1)
            person, logit = _row(people, best), _row(raw, best)
            new = jnp.ones(logit.shape, bool)
            for earlier, real, *_ in kept:
                new &= ~real | (jnp.square(person - earlier).sum(axis=-1) > limit)
            total = jnp.where(new, jax.nn.sigmoid(logit), 0.0).sum(axis=-1) / count
            kept.append((person, exists, logit, total))
            index = jnp.broadcast_to(kind[..., None], start.shape)
            same = values_at(person, index, axis=1)
            there &= ~exists | (jnp.square(start - same).sum(axis=-1) > limit)
        person, exists, logit, total = (
            jnp.stack(values, axis=1) for values in zip(*kept, strict=True)
        )
        valid = exists & (total >= self.min_person)[..., None]
        score = jnp.where(valid, jax.nn.sigmoid(logit), 0.0)
        return Decoded(
            jnp.where(valid[..., None], person, 0.0),
            score,
            jnp.where(valid, logit, 0.0),
            jnp.broadcast_to(valid, score.shape),
            # What is left may be several keypoints of the same person, so it counts once.
            (there & (jax.nn.sigmoid(raw).mean(axis=-1) >= self.min_person))
            .any(axis=1)
            .astype(jnp.int32),
        )


def _row(values: jax.Array, row: jax.Array) -> jax.Array:
    """Row `[B, 1]` of each image's values: `[B, N, ...]` -> `[B, ...]`."""
    # The index has all axes, because ONNX has no lookup of slices.
    index = row.reshape(row.shape[0], 1, *(1,) * (values.ndim - 2))
    index = jnp.broadcast_to(index, (row.shape[0], 1, *values.shape[2:]))
    return values_at(values, index, axis=1)[:, 0]


@dataclass(frozen=True)
class SinglePersonFields(DisplacementFields):
    """Maps `PersonFields` of one person in a crop: the highest cell of each keypoint.

    A keypoint is at the end of its cell's offset; the other vectors have no effect. The score is
    the probability in the cell, `raw` its logit.

    Attributes:
      alignment: convention of the crops (`jaxpose.geometry.crop_matrix`).
    """

    alignment: Udp = "edges"

    @property
    def udp(self) -> Udp:
        """Convention of the crops."""
        return self.alignment

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `PersonFields` and weights `[B, K]`, float32.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        one = Sample(sample.visible[:, None], sample.keypoints[:, None])
        values, dense = super().encode(one)
        weights = dense.offsets.max(axis=(1, 2))
        return Targets(values, weights)

    def decode(self, outputs: PersonFields) -> Decoded:
        """Decode keypoints `[B, K, 2]` in input pixels; see the class."""
        heatmaps = outputs.heatmaps.astype(jnp.float32)
        batch, height, width, count = heatmaps.shape
        flat = heatmaps.reshape(batch, height * width, count)
        cell = jnp.argmax(jax.nn.sigmoid(flat), axis=1)
        raw = values_at(flat, cell[:, None], axis=1)[:, 0]
        corner = jnp.stack([cell % width, cell // width], axis=-1).astype(jnp.float32)
        channel = jnp.arange(count)[None]
        offsets = self._vectors(outputs.offsets.astype(jnp.float32), cell, channel, count)
        there = jnp.ones(raw.shape, bool)
        return Decoded(corner * self.stride + offsets, jax.nn.sigmoid(raw), raw, there)
