"""The interface of every codec, and the one rule from visibility to weight."""

from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxpose.codecs.decoded import Decoded


class Codec(Protocol):
    """Encodes keypoints as targets and decodes outputs of the same form.

    `input_hw` is the size of the model's input that keypoints refer to. `udp` says which crop
    convention belongs to the codec (`jaxpose.geometry.crop_matrix`).
    """

    @property
    def input_hw(self) -> tuple[int, int]: ...

    @property
    def udp(self) -> bool: ...

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Alternatives that `decode` accepts: the shapes of all outputs, without the batch."""

    def encode(self, keypoints: jax.Array, visible: jax.Array) -> tuple[Any, jax.Array]:
        """Targets and weights `[B, K]` float32 of keypoints `[B, K, 2]`, visible `[B, K]`."""

    def decode(self, outputs: Any) -> Decoded:
        """Keypoints in input pixels, scores in [0, 1] and raw values."""

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Outputs for the mirrored input, brought back to the frame of the input itself."""

    def average(self, a: Any, b: Any) -> Any:
        """The mean of two outputs in the same frame."""


def visible_to_weight(visible: jax.Array) -> jax.Array:
    """1 for a labelled keypoint, occluded or not, and 0 for one that is not: float32."""
    return (visible > 0).astype(jnp.float32)


def mirror_maps(maps: jax.Array, permutation: Any) -> jax.Array:
    """Maps `[B, h, w, K]` reversed along the width, left and right keypoints exchanged."""
    return jnp.take(maps, permutation, axis=3)[:, :, ::-1]


def mean_of_two(a: Any, b: Any) -> Any:
    """The mean of two pytrees of arrays, float32 whatever their type."""
    return jax.tree.map(lambda x, y: 0.5 * (x.astype(jnp.float32) + y.astype(jnp.float32)), a, b)
