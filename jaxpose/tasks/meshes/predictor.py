"""Prediction of body and hand models from an image and boxes."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxpose.codecs.mesh_crops import MeshCodec
from jaxpose.errors import InputError
from jaxpose.models.mesh_head import MeshOutputs
from jaxpose.tasks.crop_batches import CropBatches, checked_boxes
from jaxpose.tasks.topdown.augment import normalize


class Bodies(NamedTuple):
    """Parameters of P bodies or hands in the frame of the image's camera.

    Frame: x right, y down, z forward; see `bodies.pose_body`.

    Attributes:
      shape: `[P, S]`.
      rotations: `[P, J, 3, 3]` of the joints in their parents' frames, the root's in the camera's.
      translation: `[P, 3]` mm.
    """

    shape: np.ndarray
    rotations: np.ndarray
    translation: np.ndarray


class MeshPredictor:
    """Predicts a body model inside each of the given boxes.

    Crops are padded to batches of one size, so that the network is compiled once.
    """

    def __init__(
        self,
        model: Any,
        variables: Any,
        codec: MeshCodec,
        *,
        padding: float = 1.0,
        batch_size: int = 8,
    ) -> None:
        """Prepares prediction with a trained model.

        Args:
          model: a Linen module; `model.apply(variables, images)` returns `MeshOutputs`.
          variables: the variables of the model, on the device.
          codec: crops, and the network's camera.
          padding: factor by which boxes are enlarged.
          batch_size: crops in one forward pass.

        Raises:
          InputError: a padding or a batch size that is not positive.
        """
        if not padding > 0:
            raise InputError(f"padding must be positive, and is {padding}")
        self.codec, self.padding = codec, padding

        def forward(variables: Any, images: jax.Array) -> MeshOutputs:
            outputs: MeshOutputs = model.apply(variables, normalize(images), train=False)
            return outputs

        self._outputs = CropBatches(forward, variables, codec.input_hw, batch_size)

    @property
    def compilations(self) -> int:
        """Number of compilations of the forward pass; more than one is an error."""
        return self._outputs.compilations

    def __call__(
        self,
        image: np.ndarray,
        boxes_xywh: Any,
        *,
        focal: float | None = None,
        mirrored: Any = None,
    ) -> Bodies:
        """Predicts the bodies in `boxes_xywh [P, 4]` of `image`, uint8 RGB `[H, W, 3]`.

        Args:
          image: uint8 RGB.
          boxes_xywh: `[P, 4]` (x, y, w, h) pixels.
          focal: focal length of the image's camera, pixels; None takes the network's.
          mirrored: bool `[P]`: boxes whose crop is mirrored for the network, such as those of left
            hands for a model of right ones. The result is the mirror image of that hand's: give its
            vertices x with the other sign about the translation.

        Raises:
          InputError: an image or boxes of another form; an output that is not finite.
        """
        boxes = checked_boxes(image, boxes_xywh)
        turned = np.zeros(len(boxes), bool) if mirrored is None else np.asarray(mirrored, bool)
        matrices = self.codec.matrices(boxes, self.padding)
        crops = [
            self.codec.crop(image, matrix)[:, :: -1 if turn else 1]
            for matrix, turn in zip(matrices, turned, strict=True)
        ]
        rotations, shape, camera = self._outputs(crops)
        camera[turned, 1] *= -1
        place = self.codec.translations(camera, matrices, image.shape[:2], focal)
        return Bodies(shape, rotations, place.astype(np.float32))
