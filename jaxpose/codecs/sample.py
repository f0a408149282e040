"""What codecs encode, and what they make of it."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Sample(NamedTuple):
    """Labels of a batch: one person in each image, or P of them.

    The leading axes `[...]` are `[B]` for one person in each image and `[B, P]` for many; an image
    of fewer than P people is filled up, and `valid` says with what. None stands for what is not
    known.

    Attributes:
      visible: `[..., K]`, 0 not labelled, 1 occluded, 2 visible.
      keypoints: `[..., K, 2]` (x, y) in pixels of the model's input.
      keypoints_3d: `[..., K, 3]` millimetres in the camera's frame.
      box_xywh: `[..., 4]` in pixels of the model's input.
      area: `[...]` in pixels of the model's input, squared.
      valid: bool `[...]`, False where no person is; None where all are real.
      crowd: bool `[...]`, True for a region of several people without keypoints of their own.
      dataset: int32 `[B]`, the data set that each image is from.
      counted: bool `[B, h, w]`, False in regions of the input where people are not labelled.
    """

    visible: Any
    keypoints: Any = None
    keypoints_3d: Any = None
    box_xywh: Any = None
    area: Any = None
    valid: Any = None
    crowd: Any = None
    dataset: Any = None
    counted: Any = None

    def labelled(self) -> jax.Array:
        """bool `[..., K]`: the labelled keypoints of real people, occluded or not.

        People in a crowd region have no keypoints of their own.
        """
        labelled: jax.Array = self.visible > 0
        if self.valid is not None:
            labelled = labelled & self.valid[..., None]
        if self.crowd is not None:
            labelled = labelled & ~self.crowd[..., None]
        return labelled

    def weights(self) -> jax.Array:
        """float32 `[..., K]`: 1 for the keypoints that are `labelled`, else 0."""
        return self.labelled().astype(jnp.float32)


class Targets(NamedTuple):
    """What a loss compares outputs with.

    Attributes:
      values: of the form of the model's outputs.
      weights: what each of them counts, 0 for what is not labelled or not real: `[B, K]` for codecs
        of one person.
    """

    values: Any
    weights: Any
