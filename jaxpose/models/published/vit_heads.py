"""Pose heads for the feature map of a vision transformer, by name."""

import flax.linen as nn

from jaxpose.errors import InputError, nearest
from jaxpose.models.heads import DeconvHead, SimCCHead, SimpleHead
from jaxpose.models.rtmcc import RTMCCHead


def pose_head(
    name: str, num_keypoints: int, input_hw: tuple[int, int], split_ratio: float, dtype: str
) -> nn.Module:
    """Make a head for images of `input_hw`.

    Args:
      name: "classic" (two deconvolutions) or "simple" (bilinear x4 and one convolution) for
        heatmaps, "simcc" (arXiv:2107.03332) or "rtmcc" (arXiv:2303.07399) for bins of each axis.
      num_keypoints: K.
      input_hw: height and width of the images in pixels.
      split_ratio: bins per pixel.
      dtype: compute dtype.

    Raises:
      InputError: there is no head of this name.
    """
    size = (input_hw[0], input_hw[1])
    if name == "classic":
        return DeconvHead(num_keypoints, dtype=dtype)
    if name == "simple":
        return SimpleHead(num_keypoints, dtype=dtype)
    if name == "simcc":
        return SimCCHead(num_keypoints, size, split_ratio, dtype=dtype)
    if name == "rtmcc":
        return RTMCCHead(num_keypoints, size, split_ratio, dtype=dtype)
    known = ("classic", "simple", "simcc", "rtmcc")
    raise InputError(f"Unknown head {name!r}; known: {', '.join(known)}.{nearest(name, known)}")
