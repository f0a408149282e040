"""Gallery of the people with the largest errors, each cut out of its image."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton
from jaxpose.viz.sheets import comparison, contact_sheet

View = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]
"""Function of a row: image uint8 RGB; estimate and truth `[K, 2]`, box `[4]` in its pixels."""


def worst_people(
    view: View,
    rows: Sequence[int] | np.ndarray,
    visible: np.ndarray,
    skeleton: Skeleton,
    captions: Sequence[str],
    *,
    margin: float = 0.2,
) -> np.ndarray:
    """Draws truth beside estimate for people, cut out of their images.

    Args:
      view: image, estimate, truth and box of a row.
      rows: the people, in the order of the gallery; at least one.
      visible: `[N, K]` flags of all people.
      skeleton: the K keypoints.
      captions: one line for each of `rows`.
      margin: part of the box's size around box and estimate.

    Returns:
      uint8 RGB `[H, W, 3]`.

    Raises:
      InputError: no rows.
    """
    if not len(rows):
        raise InputError("A gallery needs at least one person.")
    panels = []
    for row in rows:
        image, estimate, truth, box = view(int(row))
        x0, y0, x1, y1 = _window(image.shape[:2], estimate, box, margin)
        corner = np.array([x0, y0], np.float64)
        panels.append(
            comparison(
                image[y0:y1, x0:x1],
                (estimate - corner)[None],
                (truth - corner)[None],
                skeleton,
                visible=visible[row][None],
            )
        )
    return contact_sheet(panels, columns=min(2, len(panels)), captions=captions)


def _window(
    image_hw: tuple[int, ...], estimate: np.ndarray, box: np.ndarray, margin: float
) -> tuple[int, int, int, int]:
    """Corners (x0, y0, x1, y1) of the part of an image around a box and an estimate."""
    height, width = image_hw
    low = np.minimum(box[:2], np.nanmin(estimate, axis=0)) - margin * box[2:]
    high = np.maximum(box[:2] + box[2:], np.nanmax(estimate, axis=0)) + margin * box[2:]
    # An estimate far away does not shrink the person to a few pixels.
    low = np.maximum(low, box[:2] - box[2:])
    high = np.minimum(high, box[:2] + 2 * box[2:])
    x0, y0 = np.clip(np.floor(low).astype(int), 0, [width - 1, height - 1]).tolist()
    x1, y1 = np.clip(np.ceil(high).astype(int), [x0 + 1, y0 + 1], [width, height]).tolist()
    return x0, y0, x1, y1
