"""Short texts on images: labels on a dark plate, and captions of limited width."""

import cv2
import numpy as np

from jaxpose.console import printable

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_PLATE = (16, 16, 16)
_LETTERS = (255, 255, 255)


def draw_label(image: np.ndarray, text: str, corner: tuple[float, float], height: float) -> None:
    """Draws `text` in place on a dark plate with its lower left at `corner` (x, y), kept inside.

    Args:
      image: uint8 [H, W, 3].
      text: one line.
      corner: pixels.
      height: height of capital letters, pixels.
    """
    text = printable(text)  # OpenCV ends the process for bytes that are not UTF-8
    scale, thickness = _scale(height)
    (width, rise), drop = cv2.getTextSize(text, _FONT, scale, thickness)
    pad = max(2, round(0.35 * height))
    plate_width, plate_height = width + 2 * pad, rise + drop // 2 + 2 * pad
    x = int(np.clip(corner[0], 0, max(0, image.shape[1] - plate_width)))
    y = int(np.clip(corner[1] - plate_height, 0, max(0, image.shape[0] - plate_height)))
    plate = image[y : y + plate_height, x : x + plate_width]
    plate[:] = (plate * 0.3 + np.array(_PLATE) * 0.7).astype(np.uint8)
    origin = (x + pad, y + pad + rise)
    cv2.putText(image, text, origin, _FONT, scale, _LETTERS, thickness, cv2.LINE_AA)


def caption_strip(text: str, width: int, height: int, background: int) -> np.ndarray:
    """One centred line of text, uint8 [height, width, 3], shortened with dots if it is too long."""
    strip = np.full((height, width, 3), background, dtype=np.uint8)
    text = printable(text)
    scale, thickness = _scale(0.5 * height)
    while text and cv2.getTextSize(text, _FONT, scale, thickness)[0][0] > width - 4:
        text = text.removesuffix("..")[:-1]
        text = f"{text}.." if text else ""
    (size, rise), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    origin = ((width - size) // 2, (height + rise) // 2)
    cv2.putText(strip, text, origin, _FONT, scale, _LETTERS, thickness, cv2.LINE_AA)
    return strip


def _scale(height: float) -> tuple[float, int]:
    """Font scale and stroke for capitals that are `height` pixels high."""
    reference = cv2.getTextSize("H", _FONT, 1.0, 1)[0][1]
    return height / reference, max(1, round(height / 12))
