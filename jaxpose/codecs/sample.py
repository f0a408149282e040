"""Labels that codecs encode, and the targets that they return."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Sample(NamedTuple):
    """Labels of a batch: one person in each image, or P of them.

    The leading axes `[...]` are `[B]` for one person in each image and `[B, P]` for many. An image
    of fewer than P people is padded, and `valid` is False for the padding. A field that is not
    known is None.

    Attributes:
      visible: `[..., K]`, 0 not labelled, 1 occluded, 2 visible.
      keypoints: `[..., K, 2]` (x, y) in pixels of the model's input.
      keypoints_3d: `[..., K, 3]` in millimetres in the camera's frame.
      box_xywh: `[..., 4]` in pixels of the model's input.
      area: `[...]` in square pixels of the model's input.
      valid: bool `[...]`, False for padding; None where all people are real.
      crowd: bool `[...]`, True for a region of several people without separate keypoints.
      dataset: int32 `[B]`, number of the dataset that each image is from.
      counted: bool `[B, h, w]`, False in regions of the input where people are not labelled.
      depth: `[..., K]` distance from the camera along its axis in millimetres; NaN where unknown.
      mask: `[B, H, W]` share of each pixel of the model's input that shows the object.
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
    depth: Any = None
    mask: Any = None

    def labelled(self) -> jax.Array:
        """Mask of the labelled keypoints of real people, occluded or not: bool `[..., K]`.

        Crowd regions have no separate keypoints, so the mask is False for them.
        """
        labelled: jax.Array = self.visible > 0
        if self.valid is not None:
            labelled = labelled & self.valid[..., None]
        if self.crowd is not None:
            labelled = labelled & ~self.crowd[..., None]
        return labelled

    def weights(self) -> jax.Array:
        """Weights float32 `[..., K]`: 1 for the keypoints that are `labelled`, otherwise 0."""
        return self.labelled().astype(jnp.float32)


class Targets(NamedTuple):
    """Targets that a loss compares the model's outputs with.

    Attributes:
      values: arrays with the shapes of the model's outputs.
      weights: weights of the values in the loss, 0 for keypoints that are not labelled or not real;
        `[B, K]` for codecs of one person.
    """

    values: Any
    weights: Any
