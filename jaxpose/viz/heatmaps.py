"""Heatmaps drawn as colour over an image."""

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.skeletons import Skeleton
from jaxpose.viz.people import as_rgb


def draw_heatmaps(
    image: np.ndarray,
    heatmaps: np.ndarray,
    *,
    skeleton: Skeleton | None = None,
    udp: Udp = False,
    peak: float | None = None,
    opacity: float = 0.8,
) -> np.ndarray:
    """Copy of an image with heatmaps over it: a higher value has more colour.

    Args:
      image: uint8 [H, W, 3] RGB, the network's input.
      heatmaps: [h, w, K], or [h, w] already summed over keypoints.
      skeleton: gives each keypoint's map the colour of its limbs; None colours by value.
      udp: cell i lies at input pixel i W / w (False, MSRA), i (W - 1) / (w - 1) (True, UDP), or in
        the middle of its share of the input, (i + 0.5) W / w - 0.5 ("edges").
      peak: the value with full colour; None takes the highest one.
      opacity: opacity of the colour at the peak.

    Raises:
      InputError: shapes that do not fit.
    """
    picture = as_rgb(image)
    maps = np.asarray(heatmaps, dtype=np.float32)
    if maps.ndim == 2:
        maps = maps[:, :, None]
    if maps.ndim != 3 or maps.size == 0:
        raise InputError(f"heatmaps must be [h, w, K] or [h, w], not {list(maps.shape)}.")
    if skeleton is not None and maps.shape[2] != skeleton.num_keypoints:
        raise InputError(
            f"{maps.shape[2]} heatmaps; skeleton {skeleton.name!r} has"
            f" {skeleton.num_keypoints} keypoints."
        )
    top = float(np.nanmax(maps)) if peak is None else peak
    maps = np.clip(np.nan_to_num(maps) / (top if top > 0 else 1.0), 0, 1)
    strength = maps.max(axis=2)
    if skeleton is None:
        level = (255 * strength).astype(np.uint8)
        color = cv2.applyColorMap(level, cv2.COLORMAP_INFERNO)[:, :, ::-1].astype(np.float32)
    else:
        palette = skeleton.keypoint_palette.astype(np.float32)
        color = (maps @ palette) / np.maximum(maps.sum(axis=2), 1e-6)[:, :, None]
        glow = (
            strength[:, :, None] ** 6
        )  # white at the peak, whose position must be exactly visible
        color = color * (1 - glow) + 255 * glow
    share = opacity * strength[:, :, None]
    return blend_cells(picture, color, share, udp)


def blend_cells(image: np.ndarray, color: np.ndarray, share: np.ndarray, udp: Udp) -> np.ndarray:
    """Copy of an image `[H, W, 3]` with coloured cells over it.

    Args:
      image: uint8 RGB.
      color: `[h, w, 3]`, RGB in 0 to 255.
      share: `[h, w, 1]`, opacity in [0, 1].
      udp: position of the cells; see `draw_heatmaps`.
    """
    # Interpolate colour times share; colour alone is undefined where share is 0.
    layers = np.concatenate([color * share, share], axis=2).astype(np.float32)
    spread = _to_pixels(layers, image.shape[1], image.shape[0], udp)
    mixed = image * (1 - spread[:, :, 3:]) + spread[:, :, :3]
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def _to_pixels(cells: np.ndarray, width: int, height: int, udp: Udp) -> np.ndarray:
    """Resizes heatmap cells [h, w, C] bilinearly to [height, width, C] pixels."""
    h, w = cells.shape[:2]
    start = (0.0, 0.0)
    if udp == "edges":
        step = (width / w, height / h)
        start = (0.5 * step[0] - 0.5, 0.5 * step[1] - 0.5)
    elif udp:
        step = ((width - 1) / max(w - 1, 1), (height - 1) / max(h - 1, 1))
    else:
        step = (width / w, height / h)
    matrix = np.array([[step[0], 0, start[0]], [0, step[1], start[1]]], dtype=np.float64)
    return cv2.warpAffine(
        cells, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
