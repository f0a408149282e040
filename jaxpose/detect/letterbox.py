"""Photos of any size on canvases of one size, on the host."""

from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError

# What is outside the photo, as YOLOX and RTMDet were trained with.
_GREY = 114


class Letterbox(NamedTuple):
    """A photo on a canvas.

    Attributes:
      canvas: uint8 RGB `[h, w, 3]`; the photo is in the upper left corner.
      photo_hw: the photo's height and width, in pixels.
      scale_xy: float32 `[2]`: photo pixels to a pixel of the canvas, in x and in y.
    """

    canvas: np.ndarray
    photo_hw: tuple[int, int]
    scale_xy: np.ndarray

    def to_photo(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Boxes `[P, 4]` on the canvas as boxes (x, y, w, h) within the photo, in its pixels."""
        corners = boxes_xyxy.reshape(-1, 2, 2) * self.scale_xy
        height, width = self.photo_hw
        corners = np.clip(corners, 0, np.array([width, height], np.float32))
        return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)


def letterbox(photo: np.ndarray, input_hw: tuple[int, int]) -> Letterbox:
    """The photo as large as it fits on a canvas of `input_hw`, its aspect kept, the rest grey.

    Resampling is OpenCV's bilinear one, which the published detectors were trained and are
    evaluated with: it does not average when it shrinks. On the host, because the photo would have
    to travel to the device whole, on a canvas larger than any photo, and its 0.2 ms for 1920 x 1080
    pixels are a hundredth of what the smallest model takes on the same CPU.

    Raises:
      InputError: unless `photo` is uint8 RGB `[H, W, 3]` with at least one pixel.
    """
    import cv2

    if not isinstance(photo, np.ndarray):
        raise InputError(f"a photo is a numpy array, not {type(photo).__name__}")
    if photo.ndim != 3 or photo.shape[-1] != 3 or photo.dtype != np.uint8:
        raise InputError(
            f"a photo is uint8 RGB [H, W, 3], not {photo.dtype} {list(photo.shape)}; "
            "jaxpose.media.image.read_photo reads files so"
        )
    height, width = photo.shape[:2]
    if not height or not width:
        raise InputError(f"a photo of {width} x {height} pixels shows nothing")
    ratio = min(input_hw[0] / height, input_hw[1] / width)
    # A photo thousands of times as wide as high still has a row.
    new_h, new_w = (max(1, int(side * ratio + 0.5)) for side in (height, width))
    canvas = np.full((*input_hw, 3), _GREY, np.uint8)
    canvas[:new_h, :new_w] = cv2.resize(photo, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    scale_xy = np.array([width / new_w, height / new_h], np.float32)
    return Letterbox(canvas, (height, width), scale_xy)
