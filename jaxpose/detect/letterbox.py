"""Letterboxing and stretching on the host: images of any size on canvases of one size."""

from typing import NamedTuple

import numpy as np

from jaxpose.errors import InputError

# Grey value outside the image, as in the training of YOLOX and RTMDet.
_GREY = 114


class Letterbox(NamedTuple):
    """Image on a canvas.

    Attributes:
      canvas: uint8 RGB `[h, w, 3]`; the image is in the upper left corner.
      image_hw: the image's height and width, in pixels.
      scale_xy: float32 `[2]`: image pixels per canvas pixel, in x and in y.
    """

    canvas: np.ndarray
    image_hw: tuple[int, int]
    scale_xy: np.ndarray

    def to_image(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Converts canvas boxes `[P, 4]` to boxes (x, y, w, h) within the image, in its pixels."""
        corners = boxes_xyxy.reshape(-1, 2, 2) * self.scale_xy
        height, width = self.image_hw
        corners = np.clip(corners, 0, np.array([width, height], np.float32))
        return np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1)


def letterbox(image: np.ndarray, input_hw: tuple[int, int]) -> Letterbox:
    """Resizes an image to fit a canvas of `input_hw`; keeps its aspect, fills with grey.

    Resampling is OpenCV's bilinear one, which the published detectors were trained and are
    evaluated with: it does not average when it shrinks. It runs on the host: on the device, the
    whole image would have to be transferred on a canvas larger than any image, and the 0.2 ms for
    1920 x 1080 pixels are a hundredth of the smallest model's time on the same CPU.

    Raises:
      InputError: `image` is not uint8 RGB `[H, W, 3]` with at least one pixel.
    """
    import cv2

    height, width = checked_hw(image)
    ratio = min(input_hw[0] / height, input_hw[1] / width)
    # An image thousands of times as wide as high keeps at least one row.
    new_h, new_w = (max(1, int(side * ratio + 0.5)) for side in (height, width))
    canvas = np.full((*input_hw, 3), _GREY, np.uint8)
    canvas[:new_h, :new_w] = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    scale_xy = np.array([width / new_w, height / new_h], np.float32)
    return Letterbox(canvas, (height, width), scale_xy)


def stretch(image: np.ndarray, input_hw: tuple[int, int]) -> Letterbox:
    """Resizes an image `[H, W, 3]` to `input_hw` without regard to its aspect.

    Resampling is OpenCV's bicubic one, which PicoDet was trained and is evaluated with.

    Raises:
      InputError: as for `letterbox`.
    """
    import cv2

    height, width = checked_hw(image)
    canvas = cv2.resize(image, input_hw[::-1], interpolation=cv2.INTER_CUBIC)
    scale_xy = np.array([width / input_hw[1], height / input_hw[0]], np.float32)
    return Letterbox(canvas, (height, width), scale_xy)


def checked_hw(image: np.ndarray) -> tuple[int, int]:
    """Height and width of an image, uint8 RGB `[H, W, 3]` with at least one pixel.

    Raises:
      InputError: it is something else.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"an image must be a numpy array, not {type(image).__name__}")
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise InputError(
            f"an image must be uint8 RGB [H, W, 3], not {image.dtype} {list(image.shape)}; "
            "jaxpose.media.image.read_image reads files so"
        )
    height, width = image.shape[:2]
    if not height or not width:
        raise InputError(f"an image of {width} x {height} pixels is empty")
    return height, width
