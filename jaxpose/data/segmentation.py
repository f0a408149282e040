"""Reading of COCO's segmentations of a region: polygons or run lengths."""

from typing import Any

import numpy as np

from jaxpose import geometry
from jaxpose.data.instances import IGNORE_STRIDE


def draw_segmentation(
    ignore: np.ndarray, segmentation: Any, matrix: np.ndarray, image_hw: tuple[int, int]
) -> bool:
    """Mark a region in `ignore [h, w]` with 255; False if the segmentation is absent or unusable.

    Args:
      ignore: mask with one pixel for each `IGNORE_STRIDE` x `IGNORE_STRIDE` pixels of a canvas.
      segmentation: a list of polygons (x1, y1, x2, y2, ...) in image pixels, or a dict with
        `counts` and `size`.
      matrix: `[2, 3]`, from image to canvas pixels.
      image_hw: height and width of the image.
    """
    import cv2

    half = (IGNORE_STRIDE - 1) / 2
    cells = np.array([[1, 0, -half], [0, 1, -half]]) / IGNORE_STRIDE
    cell_from_image = geometry.compose_affine(cells, np.asarray(matrix, np.float64))
    if isinstance(segmentation, dict):
        mask = decode_runs(segmentation)
        if mask is None or mask.shape != tuple(image_hw):
            return False
        height, width = ignore.shape
        # Any part of a cell counts: a region that is too small is worse than one that is too large.
        small = cv2.warpAffine(mask * np.uint8(255), cell_from_image, (width, height))
        ignore[small > 0] = 255
        return True
    try:
        polygons = [np.asarray(line, np.float64).reshape(-1, 2) for line in segmentation or ()]
    except (TypeError, ValueError):
        return False
    polygons = [line for line in polygons if len(line) >= 3 and np.isfinite(line).all()]
    for line in polygons:
        corners = np.round(geometry.apply_affine(cell_from_image, line)).astype(np.int32)
        cv2.fillPoly(ignore, [corners], 255)
    return bool(polygons)


def decode_runs(segmentation: dict[str, Any]) -> np.ndarray | None:
    """Decode COCO's run lengths to uint8 `[H, W]` in {0, 1}; None if they do not fill the mask.

    They are the lengths of alternating runs of zeros and ones, column by column. They are a list,
    or COCO's text form, in which each number is the difference from the number two places before
    it, with five bits per character.
    """
    try:
        height, width = (int(side) for side in segmentation["size"])
        counts = segmentation["counts"]
        lengths = _numbers_of(counts) if isinstance(counts, str | bytes) else list(counts)
        runs = np.asarray(lengths, np.int64)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):
        return None
    # Each run is checked, because a sum of huge ones could overflow to the right number.
    whole = height * width
    if runs.ndim != 1 or (runs < 0).any() or (runs > whole).any() or runs.sum() != whole:
        return None
    values = np.arange(len(runs)) % 2
    return np.repeat(values.astype(np.uint8), runs).reshape(width, height).T


def _numbers_of(text: str | bytes) -> list[int]:
    data = text.encode() if isinstance(text, str) else text
    numbers: list[int] = []
    place = 0
    while place < len(data):
        value, shift, more = 0, 0, True
        while more:
            code = data[place] - 48
            value |= (code & 31) << shift
            more = bool(code & 32)
            shift += 5
            place += 1
        if code & 16:
            value -= 1 << shift
        if len(numbers) > 2:
            value += numbers[-2]
        numbers.append(value)
    return numbers
