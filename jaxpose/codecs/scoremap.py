"""Score maps with location refinement, as DeepLabCut's models for one animal have them."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two, mirror_maps
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.refine import highest
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import values_at


class ScoremapOutputs(NamedTuple):
    """Score maps `[B, h, w, K]`, and offsets `[B, h, w, K, 2]` (x, y) in units of the codec."""

    scores: jax.Array
    offsets: jax.Array


class ScoremapTargets(NamedTuple):
    """Targets of `Scoremap`: those of `ScoremapOutputs`, and where offsets count.

    `near` `[B, h, w, K]` is 1 within the codec's `reach` of the keypoint.
    """

    scores: jax.Array
    offsets: jax.Array
    near: jax.Array


@dataclass(frozen=True)
class Scoremap:
    """Gaussian score maps, and offsets from the centre of a cell to the keypoint.

    Mathis et al. 2018, arXiv:1804.03142, after DeeperCut (arXiv:1605.03170), in the form of
    DeepLabCut 3: the keypoint is at the highest cell, `(cell + 0.5) * stride`, plus the offset
    there. The score is the highest value, clipped to [0, 1].

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      stride: side of a cell in pixels of the input.
      refine: True if the model has offsets. Otherwise its outputs are the score maps alone.
      reach: distance from the keypoint in pixels of the input up to which offsets are trained; the
        standard deviation of the Gaussian is two thirds of it.
      unit: offset in pixels for an output of 1.
      udp: convention of the crops.
      beyond: cells of the maps beyond the right and the lower edge of the input, 1 for a head that
        doubles its maps (`models.scoremap.ScoremapHead`). There is then no flip test.
    """

    input_hw: tuple[int, int] = (256, 256)
    stride: int = 4
    refine: bool = True
    reach: float = 17.0
    unit: float = 7.2801
    udp: Udp = False
    beyond: int = 0

    def __post_init__(self) -> None:
        if self.stride < 1 or any(side % self.stride for side in self.input_hw):
            raise InputError(f"input_hw {self.input_hw} is not in cells of stride {self.stride}.")
        if self.reach <= 0 or self.unit <= 0:
            raise InputError("reach and unit must be positive.")

    @property
    def heatmap_hw(self) -> tuple[int, int]:
        """Size of the maps."""
        height, width = (side // self.stride + self.beyond for side in self.input_hw)
        return height, width

    @property
    def averages(self) -> bool:
        """True if outputs of mirrored images can be averaged."""
        return not self.beyond

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        maps = (*self.heatmap_hw, num_keypoints)
        return ((maps, (*maps, 2)),) if self.refine else ((maps,),)

    def encode(self, sample: Sample) -> Targets:
        """Encode score maps or `ScoremapTargets`, and weights `[B, K]`: 1 for labelled keypoints.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        points = jnp.asarray(sample.keypoints, jnp.float32)
        finite = jnp.isfinite(points).all(axis=-1)
        weights = sample.weights() * finite.astype(jnp.float32)
        points = jnp.where(finite[..., None], points, 0.0)
        height, width = self.heatmap_hw
        away = points[:, None, None] - self._centers(height, width)
        squared = (away**2).sum(axis=-1)
        labelled = weights[:, None, None]
        scores = labelled * jnp.exp(-squared / (2 * (2 * self.reach / 3) ** 2))
        if not self.refine:
            return Targets(scores, weights)
        near = labelled * (squared <= self.reach**2).astype(jnp.float32)
        return Targets(ScoremapTargets(scores, away / self.unit, near), weights)

    def decode(self, outputs: Any) -> Decoded:
        """Decode keypoints and scores from `ScoremapOutputs`, or from score maps alone."""
        maps = (outputs.scores if self.refine else outputs).astype(jnp.float32)
        batch, height, width, count = maps.shape
        x, y, raw = highest(maps)
        points = (jnp.stack([x, y], axis=-1).astype(jnp.float32) + 0.5) * self.stride
        if self.refine:
            offsets = outputs.offsets.astype(jnp.float32).reshape(batch, height * width, count, 2)
            place = (y * width + x)[:, None, :, None]
            points = points + self.unit * values_at(offsets, place, axis=1)[:, 0]
        return Decoded(points, jnp.clip(raw, 0.0, 1.0), raw, jnp.ones(raw.shape, bool))

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Convert outputs for the mirrored input to the frame of the original input.

        Cell centres are `(cell + 0.5) * stride`, pixels are mirrored about `(W - 1) / 2`: the
        offsets differ by one pixel.
        """
        if not self.refine:
            return mirror_maps(outputs, permutation)
        scores = mirror_maps(outputs.scores, permutation)
        across, down = (mirror_maps(outputs.offsets[..., i], permutation) for i in (0, 1))
        return ScoremapOutputs(scores, jnp.stack([-across - 1 / self.unit, down], axis=-1))

    def average(self, a: Any, b: Any) -> Any:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: Any) -> jax.Array:
        """Return the score maps as float32."""
        maps: jax.Array = (outputs.scores if self.refine else outputs).astype(jnp.float32)
        return maps

    def _centers(self, height: int, width: int) -> np.ndarray:
        """Centres (x, y) of the cells, `[1, h, w, 1, 2]` in pixels of the input."""
        y, x = np.mgrid[:height, :width]
        cells = np.stack([x, y], axis=-1).astype(np.float32)
        return ((cells + 0.5) * self.stride)[None, :, :, None]
