"""Drawings of maps of bodies' surfaces: the parts in colours, and lines of equal U and V."""

import colorsys

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.viz.people import as_rgb

_PARTS = 24
_LINE = 0.5  # share of white in a line
_LINES = 4  # stripes of a part along U and V, whose borders are drawn
# Neighbouring numbers are the two charts of a pair: the hues of pairs differ, and the second of a
# pair is darker.
_COLORS = np.array(
    [(0.0, 0.0, 0.0)]
    + [
        colorsys.hsv_to_rgb((0.61803 * (part // 2)) % 1, 0.75, 1.0 if part % 2 else 0.75)
        for part in range(_PARTS)
    ]
)


def draw_surface(image: np.ndarray, iuv: np.ndarray, *, opacity: float = 0.65) -> np.ndarray:
    """Copy of an image with a map of bodies' surfaces over it.

    Each part has a colour, which is darker at V = 1; lighter lines are drawn where U or V is 1/4,
    1/2 and 3/4.

    Args:
      image: uint8 `[H, W, 3]`.
      iuv: `[H, W, 3]` part, and U and V from 0 to 1, as `bodies.surface_maps.render_iuv` gives it.
      opacity: 1 hides the image below.

    Raises:
      InputError: a map of another size, or with a part above 24.
    """
    image, iuv = as_rgb(image), np.asarray(iuv, np.float64)
    if iuv.shape != image.shape:
        raise InputError(
            f"the map of a surface has shape {list(iuv.shape)}, the image {list(image.shape)}"
        )
    part = iuv[..., 0].astype(int)
    if part.size and not (part.min() >= 0 and part.max() <= _PARTS):
        raise InputError(f"the map of a surface has parts outside 0 to {_PARTS}")
    color = 255 * _COLORS[part] * (1 - 0.5 * iuv[..., 2:])
    line = np.zeros(part.shape, bool)
    stripe = np.clip((iuv[..., 1:] * _LINES).astype(int), 0, _LINES - 1)
    for axis in (0, 1):
        here, there = (
            [slice(None)] * axis + [part_of] for part_of in (slice(None, -1), slice(1, None))
        )
        same = part[tuple(here)] == part[tuple(there)]
        changed = (stripe[tuple(here)] != stripe[tuple(there)]).any(axis=-1)
        line[tuple(here)] |= same & changed
    color[line] += _LINE * (255.0 - color[line])
    share = opacity * (part > 0)[..., None]
    return np.clip(np.rint(image * (1 - share) + color * share), 0, 255).astype(np.uint8)


def enlarge_map(iuv: np.ndarray, scale: int) -> np.ndarray:
    """Map `[H, W, 3]` with each pixel repeated `scale` times along both axes."""
    size = (iuv.shape[1] * scale, iuv.shape[0] * scale)
    return cv2.resize(np.asarray(iuv, np.float32), size, interpolation=cv2.INTER_NEAREST)
