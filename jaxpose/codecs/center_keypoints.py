"""Codec of MoveNet: the centre of one person leads to the peaks of its keypoints.

Sources: TensorFlow's announcement of MoveNet (2021); CenterNet (arXiv:1904.07850, section 4.2). The
numbers are those of the published graphs, version 4.
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

# Cells that are added to a distance before a score is divided by it.
_NEAR = 1.8


class CenterFields(NamedTuple):
    """Maps of a `CenterKeypointHead`.

    Vectors are (y, x) of each keypoint in turn, in cells. Cell (i, j) has its top-left corner at
    the point (i, j).

    Attributes:
      center: logits of the person's centre, `[B, h, w, 1]`.
      heatmaps: logits of the keypoints, `[B, h, w, K]`.
      regression: vectors from a cell, as the person's centre, to the keypoints, `[B, h, w, 2 K]`.
      offsets: vectors from a cell with a keypoint to the keypoint itself, `[B, h, w, 2 K]`.
    """

    center: jax.Array
    heatmaps: jax.Array
    regression: jax.Array
    offsets: jax.Array


@dataclass(frozen=True)
class CenterKeypoints:
    """Maps `CenterFields` of one person, who is in the middle of the input.

    Decoding takes the cell of highest centre probability, divided by 1.8 plus its distance in cells
    from the middle. The regression of this cell says about where the keypoints are. A keypoint is
    in the cell of highest probability divided by 1.8 plus the distance from there, and is moved by
    the offset of its cell. The score is the probability in its cell, `raw` the logit.

    The centre for training is the mean of the labelled keypoints inside the input. A cell with a
    keypoint, or with the centre, is the one that contains the point.

    Attributes:
      input_hw: size of the model's input.
      stride: input pixels of a cell.
      sigma: standard deviation of the target Gaussians in cells.
      half_constants: round the numbers of the decoding to float16, as the published files do. The
        side of a cell is then 1/48 of the input only to four digits, which moves keypoints of the
        model for 192 pixels by up to 0.05 pixels. Leave it out for training.
      udp: convention of the crops (`jaxpose.geometry.crop_matrix`).
    """

    input_hw: tuple[int, int] = (192, 192)
    stride: int = 4
    sigma: float = 1.5
    half_constants: bool = False
    udp: Udp = "edges"

    def __post_init__(self) -> None:
        if self.stride < 1 or self.sigma <= 0:
            raise InputError("stride must be at least 1, and sigma positive.")
        if any(side < self.stride or side % self.stride for side in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is no multiple of stride {self.stride}.")

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Height and width of the maps in cells."""
        return self.input_hw[0] // self.stride, self.input_hw[1] // self.stride

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        channels = (1, num_keypoints, 2 * num_keypoints, 2 * num_keypoints)
        return (tuple((*self.heatmap_hw, count) for count in channels),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets `CenterFields` and weights `[B, K]`, float32.

        The maps of probabilities are Gaussians that are 1 in the cell with the point; only there
        the vectors are correct (see `losses.CenterKeypointLoss`). Weights are 0 for keypoints that
        are not labelled or outside the input.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        height, width = self.heatmap_hw
        size = jnp.array([[[width, height]]], jnp.float32)
        points = (sample.keypoints.astype(jnp.float32) + 0.5) / self.stride
        inside = jnp.all((points >= 0) & (points < size), axis=-1)
        labelled = sample.labelled() & inside
        # `where` instead of a product: an unlabelled keypoint may be NaN.
        points = jnp.where(labelled[..., None], points, 0.0)
        count = jnp.maximum(labelled.sum(axis=1), 1)[:, None]
        center = points.sum(axis=1) / count
        there = labelled.any(axis=1, keepdims=True)
        cells = grid(self.heatmap_hw)
        vectors = points[:, None, None, :, ::-1] - cells[None, :, :, None]
        flat = (*vectors.shape[:3], -1)
        values = CenterFields(
            gaussians(center[:, None], there, self.heatmap_hw, self.sigma),
            gaussians(points, labelled, self.heatmap_hw, self.sigma),
            vectors.reshape(flat),
            vectors.reshape(flat),
        )
        return Targets(values, labelled.astype(jnp.float32))

    def decode(self, outputs: CenterFields) -> Decoded:
        """Decode keypoints `[B, K, 2]` in input pixels; see the class."""
        fields = CenterFields(*(values.astype(jnp.float32) for values in outputs))
        batch, height, width, count = fields.heatmaps.shape
        cells = grid(self.heatmap_hw)
        likely = jax.nn.sigmoid(fields.center[..., 0]) * self._closeness()[None]
        at = jnp.argmax(likely.reshape(batch, -1), axis=1)[:, None]
        middle = _corner(at[:, 0], width)
        vectors = fields.regression.reshape(batch, height * width, count, 2)
        about = middle[:, None] + _of_cells(vectors, at)

        difference = cells[None, :, :, None] - about[:, None, None]
        distance = jnp.sqrt(jnp.square(difference[..., 0]) + jnp.square(difference[..., 1]))
        near = self._rounded(np.array(_NEAR, np.float32))
        likely = jax.nn.sigmoid(fields.heatmaps) / (distance + near)
        cell = jnp.argmax(likely.reshape(batch, height * width, count), axis=1)
        offsets = fields.offsets.reshape(batch, height * width, count, 2)
        offset = _of_cells(offsets, cell)
        logits = fields.heatmaps.reshape(batch, height * width, count)
        raw = values_at(logits, cell[:, None], axis=1)[:, 0]
        place = (_corner(cell, width) + offset)[..., ::-1]
        share = self._rounded(1 / np.array([[self.heatmap_hw[::-1]]], np.float32))
        size = np.array([[self.input_hw[::-1]]], np.float32)
        return Decoded(
            place * share * size - 0.5, jax.nn.sigmoid(raw), raw, jnp.ones(raw.shape, bool)
        )

    def flip_back(self, outputs: CenterFields, permutation: Any) -> CenterFields:
        """Convert outputs for the mirrored input to the frame of the original input."""
        return CenterFields(
            outputs.center[:, :, ::-1],
            mirror_maps(outputs.heatmaps, permutation),
            mirror_vectors(outputs.regression, permutation),
            mirror_vectors(outputs.offsets, permutation),
        )

    def average(self, a: CenterFields, b: CenterFields) -> CenterFields:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: CenterFields) -> jax.Array:
        """Probabilities of the keypoints, float32 `[B, h, w, K]`."""
        return jax.nn.sigmoid(outputs.heatmaps.astype(jnp.float32))

    def _closeness(self) -> np.ndarray:
        """Weight of each cell as a centre, `[h, w]`."""
        height, width = self.heatmap_hw
        y, x = np.mgrid[:height, :width]
        return self._rounded(1 / (np.hypot(y - height / 2, x - width / 2) + _NEAR))

    def _rounded(self, constant: np.ndarray) -> np.ndarray:
        return constant.astype(np.float16 if self.half_constants else np.float32).astype(np.float32)


def grid(heatmap_hw: tuple[int, int]) -> jax.Array:
    """Row and column of each cell, float32 `[h, w, 2]` (y, x)."""
    height, width = heatmap_hw
    rows = jnp.arange(height, dtype=jnp.float32)[:, None]
    columns = jnp.arange(width, dtype=jnp.float32)[None]
    return jnp.stack(jnp.broadcast_arrays(rows, columns), axis=-1)


def gaussians(
    points: jax.Array, there: jax.Array, heatmap_hw: tuple[int, int], sigma: float
) -> jax.Array:
    """Gaussians `[B, h, w, K]` around the cells of points `[B, K, 2]` (x, y) in cells.

    They are 1 in the cell with the point. `there` is bool `[B, K]`: maps without a point are 0.
    """
    away = grid(heatmap_hw)[None, :, :, None] - jnp.floor(points)[:, None, None, :, ::-1]
    values = jnp.exp(-jnp.square(away).sum(axis=-1) / (2 * sigma**2))
    return jnp.where(there[:, None, None], values, 0.0)


def mirror_vectors(values: jax.Array, permutation: Any) -> jax.Array:
    """Vectors `[B, h, w, 2 K]` (y, x) in cells of a mirrored input, in the original frame."""
    pairs = values[:, :, ::-1].reshape(*values.shape[:3], -1, 2)
    y, x = jnp.moveaxis(reordered(pairs, permutation, axis=3), -1, 0)
    # Column j becomes w - 1 - j, and the point x becomes w - x.
    return jnp.stack([y, 1.0 - x], axis=-1).reshape(values.shape)


def _corner(cell: jax.Array, width: int) -> jax.Array:
    """Row and column float32 `[..., 2]` of cells that are counted row by row."""
    return jnp.stack([cell // width, cell % width], axis=-1).astype(jnp.float32)


def _of_cells(vectors: jax.Array, cell: jax.Array) -> jax.Array:
    """Vectors `[B, K, 2]` of `[B, h w, K, 2]` in cells `[B, K]`, or `[B, 1]` for all keypoints."""
    # The index has all axes, because ONNX has no lookup of slices.
    index = jnp.broadcast_to(cell[:, None, :, None], (vectors.shape[0], 1, *vectors.shape[2:]))
    return values_at(vectors, index, axis=1)[:, 0]
