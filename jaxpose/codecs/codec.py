"""The interface of every codec."""

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets


@runtime_checkable
class Codec(Protocol):
    """Encodes labels as targets and decodes outputs of the same form.

    `input_hw` is the size of the model's input that keypoints refer to. `udp` says which crop
    convention belongs to the codec (`jaxpose.geometry.crop_matrix`).

    Two methods more are optional: `maps(outputs)`, float32 maps `[B, h, w, K]` that show where the
    outputs place each keypoint, and `bounded()`, the codec that prediction uses in place of this
    one.
    """

    @property
    def input_hw(self) -> tuple[int, int]: ...

    @property
    def udp(self) -> bool: ...

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Alternatives that `decode` accepts: the shapes of all outputs, without the batch."""

    def encode(self, sample: Sample) -> Targets:
        """Targets of the labels, and what each of them weighs."""

    def decode(self, outputs: Any) -> Decoded:
        """Keypoints in input pixels, scores in [0, 1], raw values, and what is there at all."""

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Outputs for the mirrored input, brought back to the frame of the input itself."""

    def average(self, a: Any, b: Any) -> Any:
        """The mean of two outputs in the same frame."""


def mirror_maps(maps: jax.Array, permutation: Any) -> jax.Array:
    """Maps `[B, h, w, K]` reversed along the width, left and right keypoints exchanged."""
    return jnp.take(maps, permutation, axis=3)[:, :, ::-1]


def mean_of_two(a: Any, b: Any) -> Any:
    """The mean of two pytrees of arrays, float32 whatever their type."""
    return jax.tree.map(lambda x, y: 0.5 * (x.astype(jnp.float32) + y.astype(jnp.float32)), a, b)
