"""Interface of every codec."""

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from jaxpose.codecs.decoded import Decoded
from jaxpose.codecs.sample import Sample, Targets
from jaxpose.geometry import Udp
from jaxpose.geometry.lookup import reordered


@runtime_checkable
class Codec(Protocol):
    """Interface of a codec: encodes labels as targets and decodes outputs of the same form.

    `input_hw` is the size of the model's input, the frame of the keypoints. `udp` is the
    convention of the crops that the codec needs (`jaxpose.geometry.crop_matrix`).

    Two more methods are optional: `maps(outputs)` returns float32 maps `[B, h, w, K]` of each
    keypoint's likelihood over the input, and `bounded()` returns the codec that prediction uses in
    place of this one. So are five attributes: `averages`, False if there is no flip test because
    outputs cannot be averaged, `border`, the value around an image on the input (0 if absent),
    `on_host`, True if the decoding runs in NumPy and cannot be exported, `takes_depth`, True if
    `encode` reads `Sample.depth` and `decode` returns `Decoded.depth`, and `takes_mask`, True if
    `encode` reads `Sample.mask`.
    """

    @property
    def input_hw(self) -> tuple[int, int]: ...

    @property
    def udp(self) -> Udp: ...

    def output_shapes(self, num_keypoints: int) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Alternatives that `decode` accepts: shapes of all outputs, without the batch."""

    def encode(self, sample: Sample) -> Targets:
        """Encode the labels as targets and their weights."""

    def decode(self, outputs: Any) -> Decoded:
        """Decode the outputs to keypoints in input pixels, with scores and validity."""

    def flip_back(self, outputs: Any, permutation: Any) -> Any:
        """Convert outputs for the mirrored input to the frame of the original input."""

    def average(self, a: Any, b: Any) -> Any:
        """Mean of two outputs in the same frame."""


@runtime_checkable
class ImageCodec(Codec, Protocol):
    """Interface of a codec for all people in a whole image.

    `decode` returns up to `max_people` people `[B, P, K]`. `heatmap_hw` is the size of the maps,
    and of `Sample.counted`. A codec of keypoints that are not on maps has no `maps`; it has
    `check_levels(outputs, num_keypoints)`, which raises InputError for outputs that `decode` cannot
    read, in place of shapes in `output_shapes`. One more method is optional: `guided(images,
    targets)` returns the input of the model in training, which may contain targets.
    """

    @property
    def heatmap_hw(self) -> tuple[int, int]: ...

    @property
    def max_people(self) -> int: ...


def averages(codec: Codec) -> bool:
    """True if the outputs for an image and for its mirror image can be averaged (flip test)."""
    return getattr(codec, "averages", True)


def border_of(codec: Codec) -> int:
    """Value of the input around the image, 0 to 255."""
    return getattr(codec, "border", 0)


def finds_hands(codec: Codec) -> bool:
    """True if decoded keypoints have facts about two hands, and depths from each hand's wrist."""
    return getattr(codec, "finds_hands", False)


def takes_depth(codec: Codec) -> bool:
    """True if the codec encodes and decodes depths."""
    return getattr(codec, "takes_depth", False)


def takes_mask(codec: Codec) -> bool:
    """True if the codec encodes masks of objects."""
    return getattr(codec, "takes_mask", False)


def mirror_maps(maps: jax.Array, permutation: Any) -> jax.Array:
    """Reverse maps `[B, h, w, K]` along the width and exchange left and right keypoints."""
    return reordered(maps, permutation, axis=3)[:, :, ::-1]


def mean_of_two(a: Any, b: Any) -> Any:
    """Mean of two pytrees of arrays, float32 for every input dtype."""
    return jax.tree.map(lambda x, y: 0.5 * (x.astype(jnp.float32) + y.astype(jnp.float32)), a, b)
