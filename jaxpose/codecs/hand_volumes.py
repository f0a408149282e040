"""Two hands in 3D: a volume for each joint, the depth between the wrists, and handedness.

InterNet: Moon et al., InterHand2.6M: A Dataset and Baseline for 3D Interacting Hand Pose Estimation
from a Single RGB Image, ECCV 2020.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded, Hands
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered


class HandOutputs(NamedTuple):
    """Outputs of a model of two hands, float32, right hand first.

    Attributes:
      heatmaps: `[B, h, w, K, D]`, a volume for each joint; D is depth.
      root_depth: `[B, 1]` depth of the left wrist from the right one, in bins.
      hands: `[B, 2]` logits that the right hand and that the left hand are there.
    """

    heatmaps: jax.Array
    root_depth: jax.Array
    hands: jax.Array


class HandTargets(NamedTuple):
    """Targets of `HandVolumes`, with the shapes of `HandOutputs`; hands are 1 or 0.

    `weights_root` `[B, 1]` is 0 where the depth between the wrists is not known.
    """

    heatmaps: jax.Array
    root_depth: jax.Array
    hands: jax.Array
    weights_root: jax.Array


@dataclass(frozen=True)
class HandVolumes:
    """Volumes of K joints, the first half of the right hand, each hand with its wrist as root.

    A joint's depth is the distance along the camera's axis from the wrist of its hand. The score of
    a keypoint is the highest value of its volume divided by `peak`, clipped to [0, 1].

    Attributes:
      input_hw: size of the model's input, the frame of the keypoints.
      volume: height, width and depth of the volumes in voxels.
      depth_range: depth that a volume covers, in millimetres, half of it behind the wrist.
      root_range: the same for the depth between the wrists.
      root_bins: number of bins of the depth between the wrists.
      sigma: standard deviation of the Gaussians in voxels.
      peak: height of the Gaussians.
      wrists: indices of the right and of the left wrist.
      udp: convention of the crops.
    """

    input_hw: tuple[int, int] = (256, 256)
    volume: tuple[int, int, int] = (64, 64, 64)
    depth_range: float = 400.0
    root_range: float = 400.0
    root_bins: int = 64
    sigma: float = 2.5
    peak: float = 255.0
    wrists: tuple[int, int] = (20, 41)
    udp: Udp = False

    takes_depth: ClassVar[bool] = True
    finds_hands: ClassVar[bool] = True

    def __post_init__(self) -> None:
        numbers = (*self.volume, self.depth_range, self.root_range, self.sigma, self.peak)
        if min(numbers) <= 0:
            raise InputError("The volume, its ranges, sigma and peak must be positive.")

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        height, width, depth = self.volume
        return (((height, width, num_keypoints, depth), (1,), (2,)),)

    def encode(self, sample: Sample) -> Targets:
        """Encode `HandTargets`, and weights `[B, K]`: 1 for labelled joints within the depth range.

        A hand is there if a joint of it is labelled.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`, depth `[B, K]` or None.
        """
        labelled = sample.weights()
        number, half = labelled.shape[0], labelled.shape[1] // 2
        if sample.depth is None:
            depth = jnp.full(labelled.shape, jnp.nan, jnp.float32)
        else:
            depth = jnp.asarray(sample.depth, jnp.float32)
        right, left = (depth[:, wrist, None] for wrist in self.wrists)
        own = [jnp.broadcast_to(wrist, (number, half)) for wrist in (right, left)]
        heatmaps, weights = self.draw(
            sample.keypoints, depth - jnp.concatenate(own, axis=1), labelled
        )
        root = ((left - right) / self.root_range + 0.5) * self.root_bins
        wrists = reordered(labelled, np.asarray(self.wrists), axis=1).prod(axis=1, keepdims=True)
        inside = jnp.isfinite(root) & (root >= 0) & (root <= self.root_bins)
        there = jnp.stack([labelled[:, :half].max(axis=1), labelled[:, half:].max(axis=1)], axis=1)
        targets = HandTargets(
            heatmaps,
            jnp.where(jnp.isfinite(root), root, 0.0),
            there,
            wrists * inside.astype(jnp.float32),
        )
        return Targets(targets, weights)

    def draw(
        self, keypoints: jax.Array, depth: jax.Array, labelled: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Draw the volumes `[B, h, w, K, D]` of joints, and their weights `[B, K]`.

        As published, a joint outside the image has a Gaussian at the border, whose values are those
        of the distance from the joint; one outside the depth range, too, has weight 0.

        Args:
          keypoints: `[B, K, 2]` in pixels of the input.
          depth: `[B, K]` millimetres from the wrist of the joint's hand; NaN where unknown.
          labelled: `[B, K]`, 1 or 0.
        """
        height, width, bins = self.volume
        points = jnp.asarray(keypoints, jnp.float32)
        z = (jnp.asarray(depth, jnp.float32) / self.depth_range + 0.5) * bins
        known = jnp.isfinite(z) & jnp.isfinite(points).all(axis=-1)
        weights = labelled * (known & (z >= 0) & (z < bins)).astype(jnp.float32)
        across, down, away = (
            _profile(jnp.where(known, position, 0.0), size, self.sigma)
            for position, size in (
                (points[..., 0] * (width / self.input_hw[1]), width),
                (points[..., 1] * (height / self.input_hw[0]), height),
                (z, bins),
            )
        )
        heatmaps = jnp.einsum("bky,bkx,bkz->byxkz", down, across, away * self.peak)
        return heatmaps, weights

    def decode(self, outputs: HandOutputs) -> Decoded:
        """Decode keypoints, depths, the depth between the wrists, and which hands are there."""
        height, width, bins = self.volume
        heatmaps = outputs.heatmaps.astype(jnp.float32)
        batch, number = heatmaps.shape[0], heatmaps.shape[3]
        flat = heatmaps.transpose(0, 3, 4, 1, 2).reshape(batch, number, -1)
        place, raw = jnp.argmax(flat, axis=-1), jnp.max(flat, axis=-1)
        x, y, z = place % width, (place // width) % height, place // (width * height)
        scale = np.asarray([self.input_hw[1] / width, self.input_hw[0] / height], np.float32)
        keypoints = jnp.stack([x, y], axis=-1).astype(jnp.float32) * scale[None, None]
        depth = (z.astype(jnp.float32) / bins - 0.5) * self.depth_range
        root = outputs.root_depth[:, 0].astype(jnp.float32) / self.root_bins
        hands = Hands(
            jax.nn.sigmoid(outputs.hands.astype(jnp.float32)), (root - 0.5) * self.root_range
        )
        scores = jnp.clip(raw / self.peak, 0.0, 1.0)
        valid = jnp.ones(raw.shape, bool)
        return Decoded(keypoints, scores, raw, valid, depth=depth, hands=hands)

    def flip_back(self, outputs: HandOutputs, permutation: Any) -> HandOutputs:
        """Convert outputs for the mirrored input to the original frame; the hands change places."""
        return HandOutputs(
            reordered(outputs.heatmaps, permutation, axis=3)[:, :, ::-1],
            self.root_bins - outputs.root_depth,
            outputs.hands[:, ::-1],
        )

    def average(self, a: HandOutputs, b: HandOutputs) -> HandOutputs:
        """Mean of two outputs in the same frame, float32."""
        mean: HandOutputs = mean_of_two(a, b)
        return mean

    def maps(self, outputs: HandOutputs) -> jax.Array:
        """Highest values over depth, divided by `peak`: float32 `[B, h, w, K]`."""
        return outputs.heatmaps.astype(jnp.float32).max(axis=-1) / self.peak


def _profile(positions: jax.Array, size: int, sigma: float) -> jax.Array:
    """Gaussian values `[B, K, size]` of positions `[B, K]` along one axis, 0 beyond three sigmas.

    Cells are those at distances of whole numbers from the first one, three sigmas before the
    position, each rounded and then clipped to the axis.
    """
    reach = 3 * sigma
    steps = np.arange(2 * reach + 1, dtype=np.float32) - np.float32(reach)
    near = jnp.clip(jnp.round(positions[..., None] + steps[None, None]), 0, size - 1)
    cells = np.arange(size, dtype=np.float32)
    covered = (near[..., None] == cells[None, None, None]).any(axis=-2)
    distance = cells[None, None] - positions[..., None]
    return jnp.where(covered, jnp.exp(-(distance**2) / (2 * sigma**2)), 0.0)
