"""Display matrices: how players turn and mirror the frames of a video."""

from typing import Any

import numpy as np


def matrix_of(frame: Any) -> np.ndarray | None:
    """Display matrix `[2, 2]` of a frame of PyAV; None without one.

    A row (x, y) of the stored frame, times the matrix, is its position on the screen (ISO 14496-12,
    6.2.2; the numbers are 16.16 fixed point in the machine's byte order).
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    return np.frombuffer(bytes(data), np.int32).reshape(3, 3)[:2, :2] / 65536


def displayed(image: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    """Turns and mirrors `[H, W, 3]` as a display matrix does; the nearest of the eight positions.

    Phones turn by quarters; another angle, which editors can write, is rounded to one.
    """
    if matrix is None:
        return image
    across = np.diag(matrix)
    aside = matrix[1, 0], matrix[0, 1]
    if np.abs(aside).sum() > np.abs(across).sum():
        image, across = image.swapaxes(0, 1), np.array(aside)
    if across[0] < 0:
        image = image[:, ::-1]
    if across[1] < 0:
        image = image[::-1]
    return image
