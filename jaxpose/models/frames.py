"""Models that see several frames of a video at once."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxpose.errors import InputError
from jaxpose.models.build import PoseModel


class FrameImages(NamedTuple):
    """The same crop of several frames of a video.

    Attributes:
      images: `[B, F, H, W, 3]` normalised RGB; the frame whose keypoints are wanted comes first.
      times: `[B, F]` of the frames after the first one, in frames; negative for earlier ones.
    """

    images: jax.Array
    times: jax.Array


def with_frames(images: jax.Array, others: jax.Array, times: jax.Array) -> FrameImages:
    """Joins the crops `[B, H, W, 3]` of the current frame and those of others, `[B, F, H, W, 3]`.

    `times` are those of the others, `[B, F]`.
    """
    crops = jnp.concatenate([images[:, None], others], axis=1)
    return FrameImages(crops, jnp.pad(times, ((0, 0), (1, 0))))


class FrameModel(PoseModel):
    """Model whose backbone sees each frame alone, and whose head joins the features of all.

    The head has `times`, the frames that it expects: 0 for the first, and those around it. It takes
    features `[B, F, h, w, C]`, times `[B, F]` and `train`.
    """

    def __call__(self, images: Any, train: bool = False):
        """`FrameImages` -> the head's outputs; images `[B, H, W, 3]` stand for all frames.

        Raises:
          InputError: another number of frames than the head's.
        """
        usual = jnp.asarray(self.head.times, jnp.float32)
        count = len(self.head.times)
        if isinstance(images, FrameImages):
            crops, times = images
            if crops.shape[1] != count:
                raise InputError(f"The head joins {count} frames, and there are {crops.shape[1]}.")
            features = self.backbone(crops.reshape(-1, *crops.shape[2:]), train)
            features = features.reshape(*crops.shape[:2], *features.shape[1:])
        else:
            features = self.backbone(images, train)
            features = jnp.repeat(features[:, None], count, axis=1)
            times = jnp.broadcast_to(usual[None], (len(images), count))
        return self.head(features, times.astype(jnp.float32), train)
