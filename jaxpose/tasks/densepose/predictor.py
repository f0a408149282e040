"""Prediction of maps of people's surfaces from an image and boxes."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose import geometry
from jaxpose.codecs.densepose import Surface, SurfaceMaps
from jaxpose.errors import InputError
from jaxpose.tasks.crop_batches import CropBatches, checked_boxes
from jaxpose.tasks.topdown.augment import normalize


class Surfaces(NamedTuple):
    """Surfaces of P people.

    Attributes:
      part: int32 `[P, h, w]`, 0 is the background.
      uv: float32 `[P, h, w, 2]`, 0 to 1.
      scores: `[P]`.
      matrices: `[P, 2, 3]` from pixels of the image to those of the maps; columns stay columns.
    """

    part: np.ndarray
    uv: np.ndarray
    scores: np.ndarray
    matrices: np.ndarray

    def in_image(self, image_hw: tuple[int, int]) -> np.ndarray:
        """Map `[H, W, 3]` float32 of part, U and V in the image, of all people.

        Each pixel takes the nearest one of the maps. Where people overlap, the one with the higher
        score is kept.
        """
        iuv = np.zeros((*image_hw, 3), np.float32)
        for row in np.argsort(self.scores, kind="stable"):
            matrix, (height, width) = self.matrices[row], self.part.shape[1:]
            x = np.rint(matrix[0, 0] * np.arange(image_hw[1]) + matrix[0, 2]).astype(int)
            y = np.rint(matrix[1, 1] * np.arange(image_hw[0]) + matrix[1, 2]).astype(int)
            columns = np.flatnonzero((x >= 0) & (x < width))
            rows = np.flatnonzero((y >= 0) & (y < height))
            if not len(rows) or not len(columns):
                continue
            place = np.ix_(y[rows], x[columns])
            own = np.concatenate([self.part[row][place][..., None], self.uv[row][place]], axis=-1)
            window = iuv[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            body = own[..., 0] > 0
            window[body] = own[body]
        return iuv


class SurfacePredictor:
    """Predicts the surface of the person inside each of the given boxes."""

    def __init__(
        self,
        model: Any,
        variables: Any,
        codec: SurfaceMaps,
        *,
        padding: float = 1.25,
        batch_size: int = 8,
    ) -> None:
        """Prepares prediction with a trained model.

        Args:
          model: a Linen module; `model.apply(variables, images)` returns `SurfaceOutputs`.
          variables: the variables of the model, on the device.
          codec: crops and maps.
          padding: factor by which boxes are enlarged.
          batch_size: crops in one forward pass.

        Raises:
          InputError: a padding or a batch size that is not positive.
        """
        if not padding > 0:
            raise InputError(f"padding must be positive, and is {padding}")
        self.codec, self.padding = codec, padding

        def forward(variables: Any, images: jax.Array) -> Surface:
            return codec.decode(model.apply(variables, normalize(images), train=False))

        self._outputs = CropBatches(forward, variables, codec.input_hw, batch_size)

    @property
    def compilations(self) -> int:
        """Number of compilations of the forward pass; more than one is an error."""
        return self._outputs.compilations

    def __call__(self, image: np.ndarray, boxes_xywh: Any) -> Surfaces:
        """Predict the surfaces in `boxes_xywh [P, 4]` of `image`, uint8 RGB `[H, W, 3]`.

        Raises:
          InputError: an image or boxes of another form; an output that is not finite.
        """
        boxes, codec = checked_boxes(image, boxes_xywh), self.codec
        matrices = geometry.box_crop_matrix(
            boxes, codec.input_hw, padding=self.padding, udp=codec.udp
        )
        crops = [geometry.crop_image(image, matrix, codec.input_hw) for matrix in matrices]
        part, uv, scores = self._outputs(crops)
        maps = np.asarray(codec.map_matrix(jnp.asarray(matrices, jnp.float32)), np.float64)
        return Surfaces(part, uv, scores, maps)
