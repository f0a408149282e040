"""SimCC: each coordinate as a distribution over the bins of one axis (arXiv:2107.03332)."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.refine import dark_step_1d
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry.lookup import reordered

Vectors = tuple[jax.Array, jax.Array]


@dataclass(frozen=True)
class SimCC:
    """Two vectors per keypoint, x `[B, K, Wx]` and y `[B, K, Wy]`; `rtmpose` makes RTMPose's.

    The score of an axis is the probability of the highest bin, softmax(beta * outputs), divided by
    the highest probability of a perfect target and clipped to [0, 1]; the keypoint's score is the
    lower one of the two axes. So the score is 1 for an output as certain as the labels and near 0
    for a flat output, and a constant added to the logits does not change it. `raw` is the lower of
    the two highest outputs, the score that MMPose reports. Of equal highest outputs the first is
    taken.

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      split_ratio: bins per input pixel.
      sigma: standard deviation of the Gaussian label in bins, one number or (x, y).
      smoothing: "gaussian" labels, or "standard": one bin has `1 - label_smooth_weight` and the
        others share the rest equally.
      label_smooth_weight: share of the other bins, for "standard" only.
      normalize: divide Gaussian labels by sigma sqrt(2 pi), so that they sum to 1 inside the image.
      use_dark: refine the highest bin by a DARK step; the outputs must have the form of the labels
        (positive, as RTMPose's), not of plain logits.
      udp: True if the model is trained on UDP's crops.
      beta: factor of the loss on outputs (and on labels that are not normalised); used for scores
        only.
      align_flip: False mirrors the bins as the published flip test does. Its average is
        (split_ratio - 1) / (2 split_ratio) input pixels too far right, because the image is
        mirrored about (W - 1) / 2 and the bins about (W - 1 / split_ratio) / 2. True corrects this.
    """

    input_hw: tuple[int, int] = (256, 192)
    split_ratio: float = 2.0
    sigma: float | tuple[float, float] = 6.0
    smoothing: Literal["gaussian", "standard"] = "gaussian"
    label_smooth_weight: float = 0.0
    normalize: bool = True
    use_dark: bool = False
    udp: bool = False
    beta: float = 1.0
    align_flip: bool = False

    def __post_init__(self) -> None:
        if self.smoothing not in ("gaussian", "standard"):
            raise InputError(f"smoothing is {self.smoothing!r}; choose 'gaussian' or 'standard'.")
        if not 0 <= self.label_smooth_weight < 1:
            raise InputError(
                f"label_smooth_weight is {self.label_smooth_weight}; it must be in [0, 1)."
            )
        if self.smoothing == "gaussian" and self.label_smooth_weight:
            raise InputError("label_smooth_weight belongs to smoothing='standard'; remove it.")
        if min(self.sigma_xy) <= 0 or self.split_ratio <= 0:
            raise InputError("sigma and split_ratio must be positive.")

    @property
    def sigma_xy(self) -> tuple[float, float]:
        """Standard deviations of the labels (x, y) in bins."""
        if isinstance(self.sigma, (int, float)):
            return float(self.sigma), float(self.sigma)
        return float(self.sigma[0]), float(self.sigma[1])

    @property
    def bins_xy(self) -> tuple[int, int]:
        """Lengths of the vectors, (Wx, Wy)."""
        height, width = self.input_hw
        return round(width * self.split_ratio), round(height * self.split_ratio)

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        x, y = self.bins_xy
        return (((num_keypoints, x), (num_keypoints, y)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode targets (x `[B, K, Wx]`, y `[B, K, Wy]`) and weights `[B, K]`, float32.

        Labels are centred on the nearest bin. A keypoint has weight 0 and empty labels if it is not
        labelled or its label is outside the vectors: by more than three sigma for Gaussian labels,
        in no bin for standard ones.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`.
        """
        center = jnp.round(sample.keypoints.astype(jnp.float32) * self.split_ratio)
        bins = np.asarray(self.bins_xy, np.float32)[None, None, :]
        if self.smoothing == "gaussian":
            reach = 3 * np.asarray(self.sigma_xy, np.float32)[None, None, :]
            inside = (center - reach < bins) & (center + reach + 1 >= 0)
        else:
            inside = (center >= 0) & (center < bins)
        weights = sample.weights() * jnp.all(inside, axis=-1).astype(jnp.float32)

        def label(axis: int) -> jax.Array:
            bin_index = jnp.arange(self.bins_xy[axis], dtype=jnp.float32)[None, None, :]
            values = self._label(bin_index - center[:, :, axis, None], axis)
            # `where` instead of a product with the weight: an unlabelled keypoint may be NaN.
            return jnp.where(weights[:, :, None] > 0, values, 0.0)

        return Targets((label(0), label(1)), weights)

    def decode(self, outputs: Vectors) -> Decoded:
        """Decode keypoints from (x `[B, K, Wx]`, y `[B, K, Wy]`) of any floating type."""
        vectors = [vector.astype(jnp.float32) for vector in outputs]
        peaks = [jnp.argmax(vector, axis=-1) for vector in vectors]
        positions = [peak.astype(jnp.float32) for peak in peaks]
        if self.use_dark:
            positions = [
                position + dark_step_1d(vector, peak, _blur_kernel(sigma))
                for position, vector, peak, sigma in zip(
                    positions, vectors, peaks, self.sigma_xy, strict=True
                )
            ]
        keypoints = jnp.stack(positions, axis=-1) / self.split_ratio
        raw = jnp.minimum(*(jnp.max(vector, axis=-1) for vector in vectors))
        certainty = [
            jnp.max(jax.nn.softmax(self.beta * vector, axis=-1), axis=-1) / best
            for vector, best in zip(vectors, self._best_probability(), strict=True)
        ]
        scores = jnp.clip(jnp.minimum(*certainty), 0.0, 1.0)
        return Decoded(keypoints, scores, raw, jnp.ones(raw.shape, bool))

    def flip_back(self, outputs: Vectors, permutation: Any) -> Vectors:
        """Convert vectors for the mirrored input to the original frame; see `align_flip`."""
        x, y = (reordered(vector, permutation, axis=1) for vector in outputs)
        x = x[:, :, ::-1]
        shift = round(self.split_ratio - 1) if self.align_flip else 0
        if shift > 0:
            x = jnp.concatenate([x[:, :, shift:], jnp.repeat(x[:, :, -1:], shift, axis=2)], axis=2)
        return x, y

    def average(self, a: Vectors, b: Vectors) -> Vectors:
        """Mean of two outputs in the same frame, float32."""
        return mean_of_two(a, b)

    def maps(self, outputs: Vectors) -> jax.Array:
        """Outer product of the probabilities of both axes, float32 `[B, H, W, K]`.

        There is a cell for each input pixel; it has the probability of the pixel's most likely bin.
        """
        x, y = (
            _pooled(jax.nn.softmax(self.beta * vector.astype(jnp.float32), axis=-1), side)
            for vector, side in zip(outputs, self.input_hw[::-1], strict=True)
        )
        return jnp.einsum("bky,bkx->byxk", y, x)

    def _label(self, distance: Any, axis: int) -> Any:
        """Value of a label at a distance in bins from its centre."""
        if self.smoothing == "standard":
            rest = self.label_smooth_weight / (self.bins_xy[axis] - 1)
            return jnp.where(distance == 0, 1.0 - self.label_smooth_weight, rest)
        sigma = self.sigma_xy[axis]
        values = jnp.exp(-(distance**2) / (2 * sigma**2))
        return values / (sigma * np.sqrt(2 * np.pi)) if self.normalize else values

    def _best_probability(self) -> tuple[float, float]:
        """Highest probability of a target in the middle of each axis (x, y)."""

        def peak(axis: int) -> float:
            if self.smoothing == "standard":
                return 1.0 - self.label_smooth_weight
            distance = np.arange(self.bins_xy[axis]) - self.bins_xy[axis] // 2
            label = np.exp(-(distance**2) / (2 * self.sigma_xy[axis] ** 2))
            if not self.normalize:
                label = np.exp(self.beta * (label - 1))
            return float(label.max() / label.sum())

        return peak(0), peak(1)


def rtmpose(input_hw: tuple[int, int] = (256, 192), use_dark: bool = False) -> SimCC:
    """Codec of RTMPose (arXiv:2303.07399): labels with peak 1, sigma (4.9, 5.66) at 256x192.

    For other sizes sigma is proportional to the square root of the side, as in the published
    recipes.
    Train with `SimCCKL(beta=10, label_softmax=True)`.
    """
    height, width = input_hw
    return SimCC(
        input_hw,
        split_ratio=2.0,
        sigma=(round(4.9 * (width / 192) ** 0.5, 2), round(5.66 * (height / 256) ** 0.5, 2)),
        normalize=False,
        use_dark=use_dark,
        beta=10.0,
    )


def _blur_kernel(sigma: float) -> int:
    """Number of taps of the modulating Gaussian for a label of `sigma` bins.

    It is the largest odd number whose width by OpenCV's rule (see `refine.gaussian_taps`) is not
    greater than sigma.
    """
    taps = int((20 * sigma - 7) // 3)
    return taps - (taps % 2 == 0)


def _pooled(vectors: jax.Array, cells: int) -> jax.Array:
    """`[B, K, N]` -> `[B, K, cells]`: the highest of the values that begin in each cell."""
    count = vectors.shape[-1]
    cell = (jnp.arange(count) * cells) // count
    highest = jax.ops.segment_max(vectors.transpose(2, 0, 1), cell, num_segments=cells)
    return jnp.maximum(highest, 0.0).transpose(1, 2, 0)  # cells without a bin: minus infinity
