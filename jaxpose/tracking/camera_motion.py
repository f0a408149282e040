"""Motion of the camera between two frames, from the background."""

from typing import Any

import cv2
import numpy as np

_SIDE = 480  # longest side of the images that are compared, pixels
_POINTS = 400
_FEWEST = 12  # points that must agree on a motion

STILL = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Map of a camera that does not move, `[2, 3]`."""


class CameraMotion:
    """Estimator of the background's motion from frame to frame; keeps the last frame.

    Corners outside the people's boxes are followed by optical flow (Lucas and Kanade, IJCAI 1981),
    and a rotation, scale and shift is fitted to them that most of them share (RANSAC), as in
    BoT-SORT (Aharon et al. 2022, arXiv:2206.14651, section 3.2).
    """

    def __init__(self) -> None:
        """Starts without a frame."""
        self._last: np.ndarray | None = None
        self._corners: np.ndarray | None = None

    def __call__(self, image: np.ndarray, boxes_xywh: np.ndarray) -> np.ndarray:
        """Map `[2, 3]` from pixels of the last frame to those of `image`.

        It is `STILL` for the first frame, after a change of the size, and where too few corners
        agree.

        Args:
          image: uint8 RGB `[H, W, 3]`.
          boxes_xywh: `[P, 4]` boxes of the people, which are left out in the next call.
        """
        scale = min(1.0, _SIDE / max(image.shape[:2]))
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        grey = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size)
        found = STILL if self._last is None else self._between(grey, scale)
        background = np.full(grey.shape, 255, np.uint8)
        for x, y, w, h in np.nan_to_num(np.asarray(boxes_xywh, np.float64)) * scale:
            left, top, right, bottom = (max(0, int(v)) for v in (x, y, x + w + 1, y + h + 1))
            background[top:bottom, left:right] = 0
        self._last = grey
        self._corners = cv2.goodFeaturesToTrack(grey, _POINTS, 0.01, 6, mask=background)
        return found

    def _between(self, grey: np.ndarray, scale: float) -> np.ndarray:
        if self._last is None or self._corners is None or self._last.shape != grey.shape:
            return STILL
        flow: Any = cv2.calcOpticalFlowPyrLK  # its stubs do not allow for a missing guess
        moved, status, _ = flow(self._last, grey, self._corners, None)
        kept = status[:, 0] == 1
        if kept.sum() < _FEWEST:
            return STILL
        matrix, inliers = cv2.estimateAffinePartial2D(
            self._corners[kept], moved[kept], ransacReprojThreshold=2.0
        )
        if matrix is None or inliers.sum() < _FEWEST:
            return STILL
        # Pixel centres are at integers: x' = s (x + 0.5) - 0.5 of the smaller image.
        centre = 0.5 * (scale - 1) / scale
        shift = matrix[:, 2] / scale + (matrix[:, :2] - np.eye(2)) @ np.full(2, centre)
        return np.concatenate([matrix[:, :2], shift[:, None]], axis=1)
