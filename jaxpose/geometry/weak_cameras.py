"""Weak-perspective cameras of networks that see a crop, and what they are in the whole image.

A network predicts a scale and a shift `(s, tx, ty)` in units of the crop's side. Lengths are in the
unit of the points, which is metres in the published networks.
"""

from jaxpose.geometry.namespace import ArrayT, floating, namespace

# Keeps the depth finite where a network predicts the scale 0, as the published code does.
_TINY = 1e-9


def weak_projection(camera: ArrayT, points: ArrayT) -> ArrayT:
    """Projects points `[..., N, 3]` orthographically: `s (xy + t)`, -1 to 1 across the crop.

    `camera` is `[..., 3]` (s, tx, ty), as in HMR, SPIN and VIBE.
    """
    return camera[..., None, :1] * (points[..., :2] + camera[..., None, 1:])


def translation_in_crop(camera: ArrayT, focal: float, side: float = 256.0) -> ArrayT:
    """Translation `[..., 3]` that takes a body before a perspective camera on the crop.

    Args:
      camera: `[..., 3]` (s, tx, ty).
      focal: focal length, pixels of the crop.
      side: side of the crop, pixels.

    HMR 2.0 (Goel et al. 2023, arXiv:2305.20091).
    """
    xp = namespace(camera)
    camera = floating(camera, xp)
    depth = 2 * focal / (side * camera[..., 0] + _TINY)
    return xp.stack([camera[..., 1], camera[..., 2], depth], axis=-1)


def translation_in_image(
    camera: ArrayT, center: ArrayT, side: ArrayT, image_wh: ArrayT, focal: ArrayT
) -> ArrayT:
    """Translation `[..., 3]` that takes a body before the camera of the whole image.

    The camera's axis goes through the image's centre (CLIFF, Li et al. 2022, arXiv:2208.00571).

    Args:
      camera: `[..., 3]` (s, tx, ty) of the crop.
      center: `[..., 2]` centre of the crop, pixels of the image.
      side: `[...]` side of the crop, pixels of the image.
      image_wh: `[..., 2]` size of the image.
      focal: `[...]` focal length, pixels of the image.
    """
    xp = namespace(camera, center)
    camera = floating(camera, xp)
    size = side * camera[..., 0] + _TINY
    shift = 2 * (center - image_wh / 2) / size[..., None] + camera[..., 1:]
    return xp.concatenate([shift, (2 * focal / size)[..., None]], axis=-1)
