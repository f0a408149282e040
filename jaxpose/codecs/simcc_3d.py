"""SimCC with a third axis: depth from the root of the body (RTMW3D, arXiv:2407.08634)."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.codecs import simcc
from jaxpose.codecs.codec import mean_of_two
from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.codecs.simcc import SimCC
from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered

Vectors = tuple[jax.Array, jax.Array, jax.Array]


class DepthTargets(NamedTuple):
    """Labels of `SimCC3D`: x `[B, K, Wx]`, y `[B, K, Wy]`, z `[B, K, Wz]`, and weights of z.

    `weights_z` `[B, K]` is 0 for keypoints whose depth is not known, and 1 for others.
    """

    x: jax.Array
    y: jax.Array
    z: jax.Array
    weights_z: jax.Array


@dataclass(frozen=True)
class SimCC3D:
    """Three vectors per keypoint: those of `SimCC` for x and y, and one for depth.

    Depth is the distance along the camera's axis from the mean of the roots, positive away from
    the camera. The vector of z covers `reach` in front of and behind them. Scores are those of x
    and y alone, as in the published code.

    Attributes:
      plane: codec of x and y; the split ratio, the form of the labels, and `use_dark` are also
        those of z.
      depth: length of the axis of z in pixels.
      sigma_z: standard deviation of z's Gaussian labels in bins.
      reach: half of the length of the axis of z in millimetres.
      roots: indices of the keypoints in the middle of which depth is 0.
    """

    plane: SimCC = field(default_factory=simcc.rtmpose)
    depth: int = 192
    sigma_z: float = 4.9
    reach: float = 2174.4869
    roots: tuple[int, ...] = (11, 12)

    takes_depth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.depth < 1 or self.reach <= 0 or not self.roots:
            raise InputError("depth and reach must be positive, and roots must name a keypoint.")

    @property
    def input_hw(self) -> tuple[int, int]:
        """Size of the model's input, the frame of x and y."""
        return self.plane.input_hw

    @property
    def udp(self) -> Udp:
        """Convention of the crops."""
        return self.plane.udp

    @cached_property
    def _axis(self) -> SimCC:
        """Codec of z, as that of two equal axes."""
        return replace(self.plane, input_hw=(self.depth, self.depth), sigma=self.sigma_z)

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Shapes that `decode` accepts, without the batch."""
        (plane,) = self.plane.output_shapes(num_keypoints)
        return ((*plane, (num_keypoints, self._axis.bins_xy[0])),)

    def encode(self, sample: Sample) -> Targets:
        """Encode `DepthTargets`, and weights `[B, K]` of x and y, as those of `SimCC`.

        A depth has weight 0 if the keypoint has, if it or a root's depth is not finite, or if its
        label is outside the vector.

        `sample`: keypoints `[B, K, 2]`, visible `[B, K]`, depth `[B, K]` or None.
        """
        (x, y), weights = self.plane.encode(sample)
        if sample.depth is None:
            z = jnp.zeros((*weights.shape, self._axis.bins_xy[0]), jnp.float32)
            return Targets(DepthTargets(x, y, z, jnp.zeros_like(weights)), weights)
        depth = sample.depth.astype(jnp.float32)
        root = reordered(depth, np.asarray(self.roots), axis=1).mean(axis=1, keepdims=True)
        relative = depth - root
        known = jnp.isfinite(relative)
        pixels = (jnp.where(known, relative, 0.0) / self.reach + 1) * (self.depth / 2)
        along = Sample(sample.visible * known, jnp.stack([pixels, pixels], axis=-1))
        (z, _), weights_z = self._axis.encode(along)
        weights_z = weights_z * weights
        z = jnp.where(weights_z[..., None] > 0, z, 0.0)
        return Targets(DepthTargets(x, y, z, weights_z), weights)

    def decode(self, outputs: Vectors) -> Decoded:
        """Decode keypoints, scores and depths from x, y and z of any floating type."""
        x, y, z = outputs
        place = self._axis.decode((z, z)).keypoints[..., 0]
        depth = (place / (self.depth / 2) - 1) * self.reach
        return self.plane.decode((x, y))._replace(depth=depth)

    def flip_back(self, outputs: Vectors, permutation: Any) -> Vectors:
        """Convert vectors for the mirrored input to the original frame; z stays."""
        x, y = self.plane.flip_back(outputs[:2], permutation)
        return x, y, reordered(outputs[2], permutation, axis=1)

    def average(self, a: Vectors, b: Vectors) -> Vectors:
        """Mean of two outputs in the same frame, float32."""
        mean: Vectors = mean_of_two(a, b)
        return mean

    def maps(self, outputs: Vectors) -> jax.Array:
        """Maps of x and y, float32 `[B, H, W, K]`, as those of `SimCC`."""
        return self.plane.maps(outputs[:2])


def rtmw3d(input_hw: tuple[int, int] = (384, 288)) -> SimCC3D:
    """Codec of RTMW3D (arXiv:2407.08634): `simcc.rtmpose`, and depth as wide as the image.

    Train with `SimCC3DKL()`.
    """
    plane = simcc.rtmpose(input_hw)
    return SimCC3D(plane, input_hw[1], plane.sigma_xy[0])
