"""Codec of MoveNet MultiPose: centres of people lead to the peaks of their keypoints.

Source: the published graph, version 1; CenterNet (arXiv:1904.07850, section 4.2).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.codecs.center_keypoints import gaussians, grid, mirror_vectors
from jaxpose.codecs.codec import mean_of_two, mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.people_maps import beyond
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import values_at

# Side of the window in cells in which a centre has to be the highest.
_WINDOW = 5
# Share of the map's shorter side in cells, as the published file rounds 0.3: squared distances are
# divided by it.
_SPREAD = 0.300048828125
# Lowest score of the keypoints that count for a person's score.
_COUNTED = 0.126953125


class PeopleFields(NamedTuple):
    """Maps of a `MultiPoseHead`: those of `CenterFields`, and boxes.

    Attributes:
      center: logits of people's centres, `[B, h, w, 1]`.
      heatmaps: logits of the keypoints, `[B, h, w, K]`.
      regression: vectors from a centre to the keypoints, `[B, h, w, 2 K]`.
      offsets: vectors from a cell with a keypoint to the keypoint itself, `[B, h, w, 2 K]`.
      box_offsets: vectors from a person's centre to the centre of the box, `[B, h, w, 2]`.
      box_sizes: height and width of the box in cells, `[B, h, w, 2]`.
    """

    center: jax.Array
    heatmaps: jax.Array
    regression: jax.Array
    offsets: jax.Array
    box_offsets: jax.Array
    box_sizes: jax.Array


@dataclass(frozen=True)
class CenterPeople:
    """Maps `PeopleFields` of several people in a whole image.

    Decoding takes the highest local maxima of the centre's probability. A keypoint of a person is
    in the cell of the person's box in which its probability, times exp(-d^2 / (0.3 s)), is highest,
    and is moved by the offset there; d is the distance in cells from the end of the centre's
    regression, s the shorter side of the map in cells. The score of the keypoint, and `raw`, is the
    highest such product that any person has in the cell. A person's own score is the centre's
    probability times the mean of the scores above 0.127; `valid` is False where it is below
    `min_person`.

    The centre for training is the mean of the labelled keypoints inside the input.

    Attributes:
      input_hw: size of the model's input.
      stride: input pixels of a cell.
      sigma: standard deviation of the target Gaussians in cells.
      max_people: largest number of people in one image.
      min_person: lowest score of a person.
    """

    input_hw: tuple[int, int] = (256, 256)
    stride: int = 4
    sigma: float = 1.5
    max_people: int = 6
    min_person: float = 0.2

    def __post_init__(self) -> None:
        if self.stride < 1 or self.sigma <= 0 or self.max_people < 1:
            raise InputError("stride and max_people must be at least 1, and sigma positive.")
        if any(side < self.stride or side % self.stride for side in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is no multiple of stride {self.stride}.")

    @property
    def udp(self) -> Udp:
        """Always True: images are letterboxed between outermost pixel centres."""
        return True

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the maps in cells."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        channels = (1, num_keypoints, 2 * num_keypoints, 2 * num_keypoints, 2, 2)
        return (tuple((*self.heatmap_hw, count) for count in channels),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `PeopleFields`, and weights of as many fields, float32.

        The weights are `[B, h, w, 1]` for centre and boxes and `[B, h, w, K]` for the others. Those
        of vectors are 1 in the cells with the points, which are the only correct ones.

        Args:
          sample: keypoints `[B, P, K, 2]`, visible `[B, P, K]`; box_xywh `[B, P, 4]`, or None for
            the extent of the keypoints; counted `[B, h, w]`, with the size of the maps, or None.
        """
        height, width = self.heatmap_hw
        size = jnp.array([width, height], jnp.float32)[None, None, None]
        points = (sample.keypoints.astype(jnp.float32) + 0.5) / self.stride
        labelled = sample.labelled() & jnp.all((points >= 0) & (points < size), axis=-1)
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(labelled[..., None], points, 0.0)
        batch, people, count, _ = points.shape
        there = labelled.any(axis=-1)
        center = points.sum(axis=2) / jnp.maximum(labelled.sum(axis=2), 1)[..., None]
        low = jnp.where(labelled[..., None], points, jnp.inf).min(axis=2)
        high = jnp.where(labelled[..., None], points, -jnp.inf).max(axis=2)
        if sample.box_xywh is not None:
            low = (sample.box_xywh[..., :2].astype(jnp.float32) + 0.5) / self.stride
            high = low + sample.box_xywh[..., 2:].astype(jnp.float32) / self.stride

        def at(place: jax.Array, known: jax.Array, values: jax.Array) -> jax.Array:
            """Maps `[B, h, w, ...]` with values `[B, P, ...]` in the cells of places."""
            column, row = jnp.moveaxis(jnp.floor(place).astype(jnp.int32), -1, 0)
            row = jnp.where(known, row, height)  # out of range, which is dropped
            images = jnp.broadcast_to(jnp.arange(batch)[:, None], row.shape)
            maps = jnp.zeros((batch, height, width, *values.shape[2:]))
            return maps.at[images, row, column].set(values, mode="drop")

        def from_cell(ends: jax.Array, place: jax.Array) -> jax.Array:
            return (ends - jnp.floor(place))[..., ::-1]

        one = jnp.ones((batch, people, 1))
        lead = from_cell(points, center[:, :, None]).reshape(batch, people, -1)
        offsets, near = [], []
        for k in range(count):
            place, known = points[:, :, k], labelled[:, :, k]
            offsets.append(at(place, known, from_cell(place, place)))
            near.append(at(place, known, one))
        boxes = from_cell((low + high) / 2, center), (high - low)[..., ::-1]
        whole = there[..., None]
        values = PeopleFields(
            gaussians(center, there, self.heatmap_hw, self.sigma).max(axis=-1, keepdims=True),
            jnp.stack(
                [
                    gaussians(points[:, :, k], labelled[:, :, k], self.heatmap_hw, self.sigma).max(
                        axis=-1
                    )
                    for k in range(count)
                ],
                axis=-1,
            ),
            at(center, there, lead),
            jnp.concatenate(offsets, axis=-1),
            *(at(center, there, jnp.where(whole, box, 0.0)) for box in boxes),
        )
        counted = jnp.ones((batch, height, width, 1))
        if sample.counted is not None:
            counted = sample.counted.astype(jnp.float32)[..., None]
        at_center = at(center, there, one) * counted
        weights = PeopleFields(
            counted,
            jnp.broadcast_to(counted, values.heatmaps.shape),
            at(center, there, labelled.astype(jnp.float32)) * counted,
            jnp.concatenate(near, axis=-1) * counted,
            at_center,
            at_center,
        )
        return Targets(values, weights)

    def decode(self, outputs: PeopleFields) -> Decoded:
        """Decode up to `max_people` people `[B, P, K]`, the highest centre first; see the class."""
        fields = PeopleFields(*(values.astype(jnp.float32) for values in outputs))
        batch, height, width, count = fields.heatmaps.shape
        center = jax.nn.sigmoid(fields.center[..., 0])
        highest = jax.lax.reduce_window(
            center, -jnp.inf, jax.lax.max, (1, _WINDOW, _WINDOW), (1, 1, 1), "SAME"
        )
        peaks = jnp.where(center == highest, center, 0.0).reshape(batch, -1)
        likely, cell = jax.lax.top_k(peaks, self.max_people)
        rows = jnp.stack([cell // width, cell % width], axis=-1).astype(jnp.float32)

        def of_cell(field: jax.Array) -> jax.Array:
            channels = field.shape[-1]
            index = jnp.broadcast_to(cell[..., None], (*cell.shape, channels))
            return values_at(field.reshape(batch, -1, channels), index, axis=1)

        middle = rows + of_cell(fields.box_offsets)
        half = jnp.maximum(of_cell(fields.box_sizes), 0.0) / 2
        about = rows[:, :, None] + of_cell(fields.regression).reshape(batch, -1, count, 2)
        # [B, P, h w, ...] from here on.
        cells = grid(self.heatmap_hw).reshape(1, 1, -1, 2)
        low, high = (middle - half)[:, :, None], (middle + half)[:, :, None]
        limit = jnp.array([[[[height, width]]]], jnp.float32)
        low, high = (jnp.clip(side, 0.0, limit) for side in (low, high))
        inside = (cells >= low) & (cells < high)
        inside = inside[..., 0] & inside[..., 1]
        away = cells[:, :, :, None] - about[:, :, None]
        squared = jnp.square(away[..., 0]) + jnp.square(away[..., 1])
        nearness = jnp.exp(-squared / (min(height, width) * _SPREAD))
        heatmaps = jax.nn.sigmoid(fields.heatmaps).reshape(batch, 1, -1, count)
        value = jnp.where(inside[..., None], heatmaps * nearness, 0.0)
        best = jnp.argmax(value, axis=2)  # [B, P, K]
        score = values_at(value.max(axis=1), best, axis=1)
        offsets = fields.offsets.reshape(batch, -1, count, 2)
        index = jnp.broadcast_to(best[..., None], (*best.shape, 2))
        offset = values_at(offsets, index, axis=1)
        place = jnp.stack([best // width, best % width], axis=-1) + offset
        counted = score > _COUNTED
        mean = jnp.where(counted, score, 0.0).sum(axis=-1) / jnp.maximum(counted.sum(axis=-1), 1)
        valid = jnp.broadcast_to((likely * mean >= self.min_person)[..., None], score.shape)
        score = jnp.where(valid, score, 0.0)
        keypoints = place[..., ::-1] * self.stride - 0.5
        lost = beyond(peaks, self.min_person, self.max_people)
        return Decoded(jnp.where(valid[..., None], keypoints, 0.0), score, score, valid, lost)

    def flip_back(self, outputs: PeopleFields, permutation: Any) -> PeopleFields:
        """Convert outputs for the mirrored input to the frame of the original input."""
        return PeopleFields(
            outputs.center[:, :, ::-1],
            mirror_maps(outputs.heatmaps, permutation),
            mirror_vectors(outputs.regression, permutation),
            mirror_vectors(outputs.offsets, permutation),
            mirror_vectors(outputs.box_offsets, jnp.array([0])),
            outputs.box_sizes[:, :, ::-1],
        )

    def average(self, a: PeopleFields, b: PeopleFields) -> PeopleFields:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: PeopleFields) -> jax.Array:
        """Probabilities of the keypoints, float32 `[B, h, w, K]`."""
        return jax.nn.sigmoid(outputs.heatmaps.astype(jnp.float32))
