"""A network's outputs as maps over its input, to be shown to people."""

from typing import Any

import jax

from jaxpose.codecs.codec import Codec


def has_maps(codec: Codec) -> bool:
    """Whether the outputs say how likely each place is, and not just where a keypoint is."""
    return hasattr(codec, "maps")


def as_maps(codec: Codec, outputs: Any) -> jax.Array:
    """Maps float32 `[B, h, w, K]` of a network's outputs, at any scale.

    Args:
      codec: one that `has_maps`; its `udp` says how cells lie on the input.
      outputs: what `codec.decode` takes.
    """
    maps: jax.Array = codec.maps(outputs)  # type: ignore[attr-defined]
    return maps
