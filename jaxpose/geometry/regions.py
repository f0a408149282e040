"""Rotated square regions of an image, and the crops that a model of landmarks takes from them.

Positions within a region, and a region's centre, are distances from the outer edge of the image or
crop, as in MediaPipe: the centre of the first pixel is at 0.5. Functions that return pixels of the
image return them with pixel centres at integers, as everywhere in this library.
"""

import math
from dataclasses import dataclass

import numpy as np

from jaxpose.geometry.planar import apply_affine, crop_image, crop_matrix, invert_affine


@dataclass(frozen=True)
class Region:
    """Square of an image.

    Attributes:
      x, y: centre, in pixels from the image's outer edge.
      side: length of a side in pixels.
      rotation: radians, clockwise on the screen, from the upright square.
    """

    x: float
    y: float
    side: float
    rotation: float = 0.0

    def scaled(self, factor: float, up: float = 0.0) -> "Region":
        """Region of `factor` times the side, moved by `up` (in sides) towards its own top."""
        move = up * self.side
        return Region(
            self.x + move * math.sin(self.rotation),
            self.y - move * math.cos(self.rotation),
            factor * self.side,
            self.rotation,
        )

    def matrix(self, input_side: int) -> np.ndarray:
        """Affine map `[2, 3]` from pixels of the image to those of a crop of `input_side` pixels.

        Pixel centres are at integers in both.
        """
        return crop_matrix(
            np.array([self.x, self.y]),
            np.array([self.side, self.side]),
            (input_side, input_side),
            -math.degrees(self.rotation),
            udp="edges",
        )

    def to_image(self, points: np.ndarray, input_side: int) -> np.ndarray:
        """Points of the crop `[..., 2]`, from its edge -> pixels of the image `[..., 2]`."""
        inner = np.asarray(points, np.float64) - 0.5
        return apply_affine(invert_affine(self.matrix(input_side)), inner)

    def crop(self, image: np.ndarray, input_side: int) -> np.ndarray:
        """Crop uint8 `[input_side, input_side, 3]` of an image `[H, W, 3]`; zeros outside.

        Where the region has at least twice as many pixels as the crop, the image is averaged over
        squares of whole pixels first, so that no pixel is left out.
        """
        import cv2

        region, factor = self, int(self.side / input_side)
        if factor >= 2:
            height, width = (side // factor for side in image.shape[:2])
            if not height or not width:
                return np.zeros((input_side, input_side, 3), np.uint8)
            whole = np.ascontiguousarray(image[: height * factor, : width * factor])
            image = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
            region = Region(self.x / factor, self.y / factor, self.side / factor, self.rotation)
        return crop_image(image, region.matrix(input_side), (input_side, input_side))


def rotation_between(start: np.ndarray, end: np.ndarray, target: float) -> float:
    """Rotation in radians by which the direction from `start` to `end` is `target` in the crop.

    Points are `[2]` (x, y).
    Directions are angles from the x axis, counterclockwise on the screen: 0 is right, pi / 2 is up.
    The result is in [-pi, pi).
    """
    x, y = np.asarray(end, np.float64) - np.asarray(start, np.float64)
    return (target + math.atan2(y, x) + math.pi) % (2 * math.pi) - math.pi
