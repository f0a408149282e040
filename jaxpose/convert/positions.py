"""Resizing of position embeddings from one grid to another."""

import math
from typing import Literal

import numpy as np

from jaxpose.errors import InputError
from jaxpose.models.conversion import Resize

# PyTorch's coefficient of the cubic convolution kernel (Keys 1981 has -0.5), without antialiasing
# and with it.
_CUBIC, _CUBIC_ANTIALIASED = -0.75, -0.5


ClassSlot = Literal["none", "dropped", "added", "kept"]
"""Treatment of a class token's position; see `Format`, and `read_positions` for "kept"."""


def resize_position_embedding(
    embedding: np.ndarray,
    source_hw: tuple[int, int],
    target_hw: tuple[int, int],
    resize: Resize = Resize(),  # noqa: B008
) -> np.ndarray:
    """Interpolate `[h * w, D]` from the grid `source_hw` to `target_hw`.

    Edges (not corners) are aligned, with PyTorch's kernels. The default is bicubic without
    antialiasing, as in the published recipes of MAE and ViTPose. Grids are in patches, not pixels.

    Raises:
      InputError: the embedding does not have `source_hw` positions.
    """
    count, dim = embedding.shape
    if count != source_hw[0] * source_hw[1]:
        raise InputError(
            f"The position embedding has {count} positions, which is not a grid of "
            f"{source_hw[0]} x {source_hw[1]}."
        )
    if tuple(source_hw) == tuple(target_hw):
        return embedding
    grid = embedding.reshape(*source_hw, dim).astype(np.float64)
    rows = _matrix(source_hw[0], target_hw[0], resize)
    columns = _matrix(source_hw[1], target_hw[1], resize)
    resized = np.einsum("yh,xw,hwd->yxd", rows, columns, grid, optimize=True)
    return resized.reshape(-1, dim).astype(embedding.dtype)


def resize_patches(weight: np.ndarray, side: int) -> np.ndarray:
    """Resample a patch embedding `[out, in, h, w]` to patches of `side` pixels.

    The new weights give, for an image that is enlarged bicubically, the features that are nearest
    to those of the old weights (FlexiViT, arXiv:2212.08013, section 3.4).
    """
    resize = Resize(antialias=True)
    rows, columns = (
        np.linalg.pinv(_matrix(size, side, resize).T) if size != side else np.eye(side)
        for size in weight.shape[2:]
    )
    resized = np.einsum("yh,xw,oihw->oiyx", rows, columns, weight.astype(np.float64))
    return resized.astype(weight.dtype)


def fit_positions(
    embedding: np.ndarray,
    target_hw: tuple[int, int],
    source_hw: tuple[int, int] | None,
    class_slot: ClassSlot,
    name: str,
    resize: Resize = Resize(),  # noqa: B008
) -> np.ndarray:
    """Resize `[1, N, D]` or `[N, D]` to the grid `target_hw`; the rank stays the same.

    With `class_slot="kept"` the position of a class token stays first and unchanged.

    Arguments and errors are those of `read_positions`; `resize` is the project's way to resize.
    """
    rows, grid = read_positions(embedding, target_hw, source_hw, class_slot, name)
    fitted = resize_position_embedding(rows, grid, target_hw, resize)
    if class_slot == "kept":
        before = embedding.shape[-2] - len(rows)
        fitted = np.concatenate([embedding.reshape(embedding.shape[-2:])[:before], fitted])
    return fitted.reshape(*embedding.shape[:-2], *fitted.shape)


def read_positions(
    embedding: np.ndarray,
    target_hw: tuple[int, int],
    source_hw: tuple[int, int] | None,
    class_slot: ClassSlot,
    name: str,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the patches' positions `[h * w, D]` and their grid `(h, w)`.

    Args:
      embedding: `[1, N, D]` or `[N, D]`; a class token's position may be first.
      target_hw: the model's grid, in patches.
      source_hw: the embedding's grid; None infers a grid that is the model's, square, or of the
        model's aspect.
      class_slot: treatment of the class token's position (see `Format`); "kept" is for a model
        with a class token.
      name: key of the embedding, for messages.

    Raises:
      InputError: the grid cannot be inferred, or there is a position of a class token but the
        format has none.
    """
    if embedding.ndim not in (2, 3) or (embedding.ndim == 3 and len(embedding) != 1):
        raise InputError(f"{name} must be [1, N, D], but is {list(embedding.shape)}.")
    rows = embedding.reshape(embedding.shape[-2:])
    grid = _grid(len(rows), target_hw, source_hw)
    patches_only = _grid(len(rows) - 1, target_hw, source_hw)
    if patches_only is not None and class_slot != "none":
        return rows[1:] + (rows[:1] if class_slot == "added" else 0), patches_only
    if grid is not None:
        return rows, grid
    if patches_only is not None:
        height, width = patches_only
        raise InputError(
            f"{name} has {len(rows)} positions, which is {height} x {width} patches and a class "
            "token, but checkpoints of this format have no class token. If the weights are from "
            "ImageNet or a masked autoencoder, save them under that project's names (with its "
            "cls_token)."
        )
    raise InputError(
        f"{name} has {len(rows)} positions, the model {target_hw[0]} x {target_hw[1]}, and "
        + (
            f"{source_hw[0]} x {source_hw[1]} is not the grid of the former. Correct "
            "checkpoint_hw (--input-size)."
            if source_hw
            else f"the number {len(rows)} alone does not determine a grid. Give the image size "
            "that the checkpoint was trained at as checkpoint_hw (--input-size)."
        )
    )


def _grid(
    count: int, target_hw: tuple[int, int], source_hw: tuple[int, int] | None
) -> tuple[int, int] | None:
    """Grid of `count` positions; None if there is none."""
    if source_hw is not None:
        return source_hw if source_hw[0] * source_hw[1] == count else None
    if count == target_hw[0] * target_hw[1]:
        return target_hw
    return infer_grid(count, target_hw)


def _matrix(source: int, target: int, resize: Resize) -> np.ndarray:
    """Weights `[target, source]` of interpolation along one axis."""
    # In float32, as PyTorch: a position's place is then rounded in the same way.
    scale = np.float32(source / (target + resize.offset))
    centres = (np.arange(target, dtype=np.float32) + np.float32(0.5)) * scale
    if resize.antialias:
        # Beyond the edges there is nothing, and the weights of the rest are enlarged.
        wide = max(scale, 1.0)
        distance = np.abs(np.arange(source) + np.float32(0.5) - centres[:, None]) / wide
        matrix = _kernel(resize.method, distance, _CUBIC_ANTIALIASED)
        return matrix / matrix.sum(1, keepdims=True)
    places = ((np.arange(target) + 0.5) * np.float64(scale) - 0.5).astype(np.float32)
    first = np.floor(places).astype(int)
    matrix = np.zeros((target, source))
    for offset in range(-1, 3):
        weight = _kernel(resize.method, np.abs(places - (first + offset)), _CUBIC)
        np.add.at(matrix, (np.arange(target), np.clip(first + offset, 0, source - 1)), weight)
    return matrix


def _kernel(method: str, distance: np.ndarray, cubic: float) -> np.ndarray:
    """Interpolation kernel at a distance of 0 or more, in positions."""
    if method == "bilinear":
        return np.maximum(0, 1 - distance)
    near = ((cubic + 2) * distance - (cubic + 3)) * distance**2 + 1
    far = cubic * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def infer_grid(count: int, target_hw: tuple[int, int]) -> tuple[int, int] | None:
    """Grid of `count` positions that is square or has the aspect of `target_hw`.

    None if there is no such grid, or if a square one and one of that aspect differ.
    """
    side = math.isqrt(count)
    square = (side, side) if side * side == count else None
    divisor = math.gcd(*target_hw)
    height, width = target_hw[0] // divisor, target_hw[1] // divisor
    scale = math.isqrt(count // (height * width))
    alike = (height * scale, width * scale) if height * width * scale * scale == count else None
    if square and alike and square != alike:
        return None
    return square or alike
