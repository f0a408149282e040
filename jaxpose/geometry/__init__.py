"""Geometric operations; each exists once, here.

`planar` has boxes, affine crops and flips, `resampling` the bilinear warp, and this package
re-exports them; `cameras` and `procrustes` are imported by their names.
"""

from jaxpose.deprecations import moved_names as _moved_names
from jaxpose.geometry.planar import (
    Udp,
    apply_affine,
    box_crop_matrix,
    box_to_center_scale,
    box_xywh_to_xyxy,
    box_xyxy_to_xywh,
    compose_affine,
    crop_image,
    crop_matrix,
    fix_aspect_ratio,
    flip_keypoints,
    invert_affine,
)
from jaxpose.geometry.resampling import split_images, warp

__all__ = [
    "Udp",
    "apply_affine",
    "box_crop_matrix",
    "box_to_center_scale",
    "box_xywh_to_xyxy",
    "box_xyxy_to_xywh",
    "compose_affine",
    "crop_image",
    "crop_matrix",
    "fix_aspect_ratio",
    "flip_keypoints",
    "invert_affine",
    "split_images",
    "warp",
]


__getattr__ = _moved_names(__name__)
