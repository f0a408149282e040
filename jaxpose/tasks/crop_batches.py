"""Forward passes over crops of an image, in batches of one size."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.split import for_device_of


class CropBatches:
    """Function of crops that is compiled once: the last batch is filled up with black crops.

    Attributes:
      compilations: number of compilations; more than one is an error.
    """

    def __init__(
        self,
        forward: Callable[[Any, jax.Array], Any],
        variables: Any,
        input_hw: tuple[int, int],
        batch_size: int,
    ) -> None:
        """Prepares `forward(variables, crops)`, whose outputs are a tuple of arrays `[B, ...]`.

        Raises:
          InputError: a batch size that is not positive.
        """
        if batch_size < 1:
            raise InputError(f"batch_size must be positive, and is {batch_size}")
        self.compilations = 0
        self._variables, self._input_hw, self._size = variables, input_hw, batch_size

        def counted(variables: Any, crops: jax.Array) -> Any:
            self.compilations += 1  # runs when JAX traces, not when it computes
            return forward(variables, crops)

        self._forward = jax.jit(for_device_of(variables, counted))

    def __call__(self, crops: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        """Compute the outputs of crops, uint8 `[h, w, 3]` each.

        Raises:
          InputError: an output that is not finite.
        """
        made = []
        for start in range(0, max(len(crops), 1), self._size):
            part = crops[start : start + self._size]
            batch = np.zeros((self._size, *self._input_hw, 3), np.uint8)
            for place, crop in enumerate(part):
                batch[place] = crop
            found = self._forward(self._variables, batch)
            made.append([np.array(value)[: len(part)] for value in found])
        outputs = tuple(np.concatenate(values) for values in zip(*made, strict=True))
        if not all(np.isfinite(values).all() for values in outputs):
            raise InputError("the model's output is not finite: did its training diverge?")
        return outputs


def checked_boxes(image: np.ndarray, boxes_xywh: Any) -> np.ndarray:
    """Boxes as float64 `[P, 4]` (x, y, w, h), after a check of them and of the image.

    Raises:
      InputError: an image that is not uint8 RGB; boxes of another form or without a size.
    """
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
        raise InputError(
            f"an image must be uint8 RGB [H, W, 3], not {image.dtype} {list(image.shape)}"
        )
    boxes = np.asarray(boxes_xywh, np.float64)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not (boxes[:, 2:] > 0).all():
        raise InputError(
            f"boxes must be [P, 4] (x, y, w, h) with positive sizes, not {list(boxes.shape)}"
        )
    return boxes
