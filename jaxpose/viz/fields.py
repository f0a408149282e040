"""Vector fields and tags of bottom-up models, drawn as colour over an image."""

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.viz.heatmaps import blend_cells
from jaxpose.viz.people import as_rgb


def draw_fields(
    image: np.ndarray, fields: np.ndarray, *, udp: Udp = "edges", opacity: float = 0.8
) -> np.ndarray:
    """Copy of an image with vector fields over it: the hue is the direction, by the longest vector.

    Part affinity fields and displacements are such fields. Red points to the right, the hues
    follow clockwise: green down and to the left, blue up and to the left.

    Args:
      image: uint8 [H, W, 3] RGB, the network's input.
      fields: [h, w, 2 L], (x, y) of each of L fields.
      udp: position of the cells; see `draw_heatmaps`.
      opacity: opacity of the longest vector.

    Raises:
      InputError: shapes that do not fit.
    """
    picture = as_rgb(image)
    values = np.nan_to_num(np.asarray(fields, np.float32))
    if values.ndim != 3 or values.size == 0 or values.shape[2] % 2:
        raise InputError(f"fields must be [h, w, 2 L], (x, y) each, not {list(values.shape)}.")
    vectors = values.reshape(*values.shape[:2], -1, 2)
    length = np.linalg.norm(vectors, axis=-1)
    longest = length.argmax(axis=-1)[..., None]
    vector = np.take_along_axis(vectors, longest[..., None], axis=2)[:, :, 0]
    turn = np.arctan2(vector[..., 1], vector[..., 0]) / (2 * np.pi) % 1
    top = max(float(length.max()), 1e-6)
    share = opacity * np.take_along_axis(length, longest, axis=2) / top
    return blend_cells(picture, _hues(turn), share, udp)


def draw_tags(
    image: np.ndarray,
    heatmaps: np.ndarray,
    tags: np.ndarray,
    *,
    udp: Udp = False,
    opacity: float = 0.9,
) -> np.ndarray:
    """Copy of an image with tags over it: one hue for one person, if the tags are good.

    A pixel has the tag of its most likely keypoint, and is the more opaque the likelier this is.
    Hues follow the order of the tags at likely pixels.

    Args:
      image: uint8 [H, W, 3] RGB, the network's input.
      heatmaps: [h, w, K].
      tags: [h, w, K].
      udp: position of the cells; see `draw_heatmaps`.
      opacity: opacity of the highest pixel.

    Raises:
      InputError: shapes that do not fit.
    """
    picture = as_rgb(image)
    maps, values = (np.nan_to_num(np.asarray(x, np.float32)) for x in (heatmaps, tags))
    if maps.ndim != 3 or maps.size == 0 or maps.shape != values.shape:
        raise InputError(
            f"heatmaps and tags must both be [h, w, K], not {list(maps.shape)} and "
            f"{list(values.shape)}."
        )
    best = maps.argmax(axis=2)[..., None]
    tag = np.take_along_axis(values, best, axis=2)[..., 0]
    strength = np.clip(np.take_along_axis(maps, best, axis=2), 0, None)
    strength = strength / max(float(strength.max()), 1e-6)
    likely = tag[strength[..., 0] > 0.2]
    low, high = (likely.min(), likely.max()) if likely.size else (0.0, 1.0)
    place = np.clip((tag - low) / max(float(high - low), 1e-6), 0, 1)
    # The last hue would be the first one again.
    return blend_cells(picture, _hues(0.85 * place), opacity * strength, udp)


def _hues(turn: np.ndarray) -> np.ndarray:
    """Bright colours float32 `[h, w, 3]` (RGB) of hues in [0, 1], `[h, w]`."""
    hsv = np.stack([360 * turn, np.ones_like(turn), np.ones_like(turn)], axis=-1)
    return 255 * cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB)
