"""Crops for networks that regress a body or hand model, and their results in the whole image."""

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from jaxpose import geometry
from jaxpose.geometry.planar import Udp
from jaxpose.geometry.weak_cameras import translation_in_image

_MM = 1000.0


@dataclass(frozen=True)
class MeshCodec:
    """Crop of a person or hand, and the network's camera.

    As in HMR 2.0 (arXiv:2305.20091): the box is enlarged to the aspect of the input, and its height
    is the side of the square to which scale and shift of the camera refer.

    Attributes:
      input_hw: height and width of the crop, pixels; at least as high as wide.
      focal: focal length of the network's camera, in sides of the square. An image whose camera is
        not known has it in longer sides of the image.
      blurred: blur an image, before it is reduced more than 2.2 times, by a Gaussian of a quarter
        of the reduction, less a half.
    """

    input_hw: tuple[int, int] = (256, 192)
    focal: float = 5000 / 256
    blurred: bool = False
    udp: ClassVar[Udp] = False

    def matrices(self, boxes_xywh: np.ndarray, padding: float) -> np.ndarray:
        """Maps `[P, 2, 3]` from pixels of the image to those of the crops."""
        return geometry.box_crop_matrix(
            np.asarray(boxes_xywh, np.float64), self.input_hw, padding=padding, udp=self.udp
        )

    def crop(self, image: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Crop `[h, w, 3]` of an image `[H, W, 3]`, uint8, by a matrix of `matrices`."""
        sigma = 0.25 / matrix[0, 0] - 0.5
        if self.blurred and sigma > 0.05:
            # Only the part that is seen, with a margin.
            back = geometry.invert_affine(matrix)
            height, width = self.input_hw
            ends = geometry.apply_affine(back, np.array([[0.0, 0.0], [width, height]]))
            low = np.floor(ends[0] - 4 * sigma - 1).astype(int).clip(0)
            high = np.ceil(ends[1] + 4 * sigma + 1).astype(int)
            image = cv2.GaussianBlur(image[low[1] : high[1], low[0] : high[0]], (0, 0), sigma)
            matrix = matrix.copy()
            matrix[:, 2] += matrix[:, :2] @ low
        return geometry.crop_image(image, matrix, self.input_hw)

    def focal_of(self, image_hw: tuple[int, int]) -> float:
        """Focal length of an image whose camera is not known, pixels."""
        return self.focal * max(image_hw)

    def translations(
        self,
        cameras: np.ndarray,
        matrices: np.ndarray,
        image_hw: tuple[int, int],
        focal: float | None = None,
    ) -> np.ndarray:
        """Translations `[P, 3]` of the bodies in the frame of the image's camera, mm.

        The camera's axis goes through the middle of the image, as `geometry.centred_camera`'s.

        Args:
          cameras: `[P, 3]` scale and shift, as the network predicts them (metres).
          matrices: `[P, 2, 3]`, see `matrices`.
          image_hw: height and width of the image, pixels.
          focal: focal length of the image, pixels; None takes `focal_of`.
        """
        back = geometry.invert_affine(matrices)
        height, width = self.input_hw
        center = geometry.apply_affine(back, np.array([[[width / 2, height / 2]]]))[:, 0]
        side = height * back[:, 0, 0]
        size = np.array(image_hw[::-1], np.float64) - 1  # pixel centres are at integers
        length = np.full(len(cameras), self.focal_of(image_hw) if focal is None else focal)
        return _MM * translation_in_image(
            np.asarray(cameras, np.float64), center, side, size[None], length
        )
