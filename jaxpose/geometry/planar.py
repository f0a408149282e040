"""Boxes, affine crops and flips.

Every function except `crop_image` takes NumPy or JAX arrays and returns the same kind (see
`namespace`). Points are `(x, y)` in pixels, pixel centres at integers.
"""

from types import ModuleType
from typing import Any, Literal

import numpy as np

from jaxpose.deprecations import moved_names
from jaxpose.geometry.lookup import reordered
from jaxpose.geometry.namespace import ArrayT, floating, namespace

Udp = bool | Literal["edges"]
"""Convention of a crop: MSRA's (False), unbiased data processing (True), or "edges"."""


def box_xywh_to_xyxy(boxes: ArrayT) -> ArrayT:
    """Converts corner and size `[..., 4]` (x, y, w, h) to two corners (x1, y1, x2, y2)."""
    xp = namespace(boxes)
    return xp.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def box_xyxy_to_xywh(boxes: ArrayT) -> ArrayT:
    """Converts two corners `[..., 4]` (x1, y1, x2, y2) to corner and size (x, y, w, h)."""
    xp = namespace(boxes)
    return xp.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def box_to_center_scale(box_xywh: ArrayT, padding: float = 1.25) -> tuple[ArrayT, ArrayT]:
    """Centre `[..., 2]` and padded size `[..., 2]` (w, h) in pixels of boxes `[..., 4]`.

    `padding` multiplies the size; COCO top-down models are trained with 1.25.
    """
    xp = namespace(box_xywh)
    boxes = floating(box_xywh, xp)
    size = boxes[..., 2:]
    return boxes[..., :2] + 0.5 * size, size * padding


def fix_aspect_ratio(scale: ArrayT, aspect_w_over_h: float) -> ArrayT:
    """Smallest size `[..., 2]` (w, h) of the given aspect that contains `scale [..., 2]`."""
    xp = namespace(scale)
    size = floating(scale, xp)
    width, height = size[..., 0], size[..., 1]
    return xp.stack(
        [
            xp.maximum(width, height * aspect_w_over_h),
            xp.maximum(height, width / aspect_w_over_h),
        ],
        axis=-1,
    )


def crop_matrix(
    center: ArrayT,
    scale: ArrayT,
    input_hw: tuple[int, int],
    rotation_degrees: Any = 0.0,
    udp: Udp = False,
) -> ArrayT:
    """Affine map `[..., 2, 3]` from source pixels to the pixels of a model's input.

    Three conventions exist; use the one that the model was trained with:

    - `udp=False` (MSRA, Simple Baselines, arXiv:1804.06208): the box of `scale` pixels becomes
      `input_hw` pixels, and its centre maps to (W / 2, H / 2). Only the width of `scale` is used,
      and the height follows from the aspect of `input_hw`.
    - `udp=True` (unbiased data processing, arXiv:1911.07524, section 3.2): sizes are distances
      between the outermost pixel centres, so the centre maps to ((W - 1) / 2, (H - 1) / 2).
    - `udp="edges"` (image resizing of TensorFlow and MediaPipe): the box goes from the outer edges
      of its first pixels to those of its last, as an image of W pixels goes from -0.5 to W - 0.5.
      The centre less half a pixel maps to ((W - 1) / 2, (H - 1) / 2), at the scale of MSRA.

    The published forms rotate in opposite directions. With `udp=False` the *box* rotates clockwise
    as seen on the screen, so the image in it rotates anticlockwise; with `udp=True` and "edges" the
    *image* rotates clockwise. They are kept as published.

    Args:
      center: `[..., 2]` centre of the box, source pixels.
      scale: `[..., 2]` padded width and height of the box, already at the aspect of `input_hw`
        (see `fix_aspect_ratio`); must be positive.
      input_hw: height and width of the model's input.
      rotation_degrees: scalar or `[...]`.
      udp: the convention.
    """
    xp = namespace(center, scale, rotation_degrees)
    center, scale = floating(center, xp), floating(scale, xp)
    angle = xp.deg2rad(xp.asarray(rotation_degrees, dtype=scale.dtype))
    cos, sin = xp.cos(angle), xp.sin(angle)
    height, width = input_hw
    x, y = center[..., 0], center[..., 1]
    if udp == "edges":
        factor_x, factor_y = width / scale[..., 0], height / scale[..., 1]
        target_x, target_y = 0.5 * (width - 1), 0.5 * (height - 1)
        x, y = x - 0.5, y - 0.5
    elif udp:
        factor_x = (width - 1) / scale[..., 0]
        factor_y = (height - 1) / scale[..., 1]
        target_x, target_y = 0.5 * (width - 1), 0.5 * (height - 1)
    else:
        factor_x = factor_y = width / scale[..., 0]
        target_x, target_y = 0.5 * width, 0.5 * height
        sin = -sin
    a, b = factor_x * cos, -factor_x * sin
    c, d = factor_y * sin, factor_y * cos
    return _affine(xp, a, b, target_x - a * x - b * y, c, d, target_y - c * x - d * y)


def box_crop_matrix(
    box_xywh: ArrayT, input_hw: tuple[int, int], *, padding: float = 1.25, udp: Udp = False
) -> ArrayT:
    """Affine map `[..., 2, 3]` from image to input pixels, for upright crops of boxes `[..., 4]`.

    The crop is the padded box, enlarged to the aspect of the input, with the same centre.
    """
    center, size = box_to_center_scale(box_xywh, padding)
    size = fix_aspect_ratio(size, input_hw[1] / input_hw[0])
    return crop_matrix(center, size, input_hw, udp=udp)


def invert_affine(matrix: ArrayT) -> ArrayT:
    """Inverts affine maps `[..., 2, 3]`; not finite where there is no inverse."""
    xp = namespace(matrix)
    (a, b, tx), (c, d, ty) = _rows(matrix)
    determinant = a * d - b * c
    a, b, c, d = d / determinant, -b / determinant, -c / determinant, a / determinant
    return _affine(xp, a, b, -(a * tx + b * ty), c, d, -(c * tx + d * ty))


def compose_affine(outer: ArrayT, inner: ArrayT) -> ArrayT:
    """Composes affine maps `[..., 2, 3]`: applies `inner` first and `outer` second."""
    xp = namespace(outer, inner)
    (a, b, tx), (c, d, ty) = _rows(outer)
    (e, f, ux), (g, h, uy) = _rows(inner)
    return _affine(
        xp,
        a * e + b * g,
        a * f + b * h,
        a * ux + b * uy + tx,
        c * e + d * g,
        c * f + d * h,
        c * ux + d * uy + ty,
    )


def apply_affine(matrix: ArrayT, points: ArrayT) -> ArrayT:
    """Moves points `[..., N, 2]` by the maps `[..., 2, 3]`."""
    xp = namespace(matrix, points)
    (a, b, tx), (c, d, ty) = _rows(matrix[..., None, :, :])
    x, y = points[..., 0], points[..., 1]
    return xp.stack([a * x + b * y + tx, c * x + d * y + ty], axis=-1)


def flip_keypoints(keypoints: ArrayT, width: int, permutation: Any) -> ArrayT:
    """Mirrors keypoints `[..., K, 2]` left to right in an image of `width` pixels.

    Column x becomes column `width - 1 - x`; `permutation [K]` exchanges left and right keypoints.
    """
    xp = namespace(keypoints, permutation)
    swapped = reordered(keypoints, permutation, axis=-2)
    return xp.stack([width - 1 - swapped[..., 0], swapped[..., 1]], axis=-1)


def crop_image(
    image: np.ndarray, matrix: np.ndarray, output_hw: tuple[int, int], border: int = 0
) -> np.ndarray:
    """Crops an image on the host: `[H, W, 3]` uint8 to `[h, w, 3]` uint8, bilinear.

    `matrix [2, 3]` maps image pixels to output pixels, as in `resampling.warp`; outside the image
    is `border`.
    """
    import cv2

    height, width = output_hw
    return cv2.warpAffine(
        image,
        np.asarray(matrix, np.float64),
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(border,) * 3,
    )


def _rows(matrix: Any) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    return (
        (matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2]),
        (matrix[..., 1, 0], matrix[..., 1, 1], matrix[..., 1, 2]),
    )


def _affine(xp: ModuleType, a: Any, b: Any, tx: Any, c: Any, d: Any, ty: Any) -> Any:
    entries = xp.broadcast_arrays(a, b, tx, c, d, ty)
    return xp.stack(entries, axis=-1).reshape(*entries[0].shape, 2, 3)


__getattr__ = moved_names(__name__)
