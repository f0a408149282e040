"""Maps of a network's outputs over its input, for visualization."""

from typing import Any

import jax

from jaxpose.codecs.codec import Codec


def has_maps(codec: Codec) -> bool:
    """True if the codec's outputs have a likelihood for each place, not only coordinates."""
    return hasattr(codec, "maps")


def as_maps(codec: Codec, outputs: Any) -> jax.Array:
    """Convert a network's outputs to maps float32 `[B, h, w, K]`, at any scale.

    Args:
      codec: a codec that `has_maps`; its `udp` determines the alignment of cells with the input.
      outputs: outputs that `codec.decode` accepts.
    """
    maps: jax.Array = codec.maps(outputs)  # type: ignore[attr-defined]
    return maps
