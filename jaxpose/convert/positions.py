"""Position embeddings of one grid made to fit another."""

import math
from typing import Literal

import numpy as np

from jaxpose.errors import InputError

# PyTorch's coefficient of the cubic convolution kernel (Keys 1981 has -0.5).
_CUBIC = -0.75


def resize_position_embedding(
    embedding: np.ndarray, source_hw: tuple[int, int], target_hw: tuple[int, int]
) -> np.ndarray:
    """Bicubic interpolation of `[h * w, D]` from the grid `source_hw` to `target_hw`.

    Edges aligned (not corners), no antialiasing and PyTorch's kernel, as the published recipes
    resize MAE's and ViTPose's embeddings. Grids are in patches, not pixels.

    Raises:
      InputError: if the embedding does not have `source_hw` positions.
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
    rows = _cubic_matrix(source_hw[0], target_hw[0])
    columns = _cubic_matrix(source_hw[1], target_hw[1])
    resized = np.einsum("yh,xw,hwd->yxd", rows, columns, grid, optimize=True)
    return resized.reshape(-1, dim).astype(embedding.dtype)


def fit_positions(
    embedding: np.ndarray,
    target_hw: tuple[int, int],
    source_hw: tuple[int, int] | None,
    class_slot: Literal["none", "dropped", "added", "kept"],
    name: str,
) -> np.ndarray:
    """`[1, N, D]` or `[N, D]` brought to the grid `target_hw`, of the same rank.

    With `class_slot="kept"` a class token's position stays first, as it is.

    Arguments and errors as for `read_positions`.
    """
    rows, grid = read_positions(embedding, target_hw, source_hw, class_slot, name)
    fitted = resize_position_embedding(rows, grid, target_hw)
    if class_slot == "kept":
        before = embedding.shape[-2] - len(rows)
        fitted = np.concatenate([embedding.reshape(embedding.shape[-2:])[:before], fitted])
    return fitted.reshape(*embedding.shape[:-2], *fitted.shape)


def read_positions(
    embedding: np.ndarray,
    target_hw: tuple[int, int],
    source_hw: tuple[int, int] | None,
    class_slot: Literal["none", "dropped", "added", "kept"],
    name: str,
) -> tuple[np.ndarray, tuple[int, int]]:
    """The patches' positions `[h * w, D]` and their grid `(h, w)`.

    Args:
      embedding: `[1, N, D]` or `[N, D]`, perhaps with a class token's position first.
      target_hw: the model's grid, in patches.
      source_hw: the embedding's grid; None infers it where it is the model's, square, or of the
        model's aspect.
      class_slot: what becomes of the class token's position (see `Format`); "kept" is
        for a model with a class token.
      name: its key, for messages.

    Raises:
      InputError: if the grid cannot be told, or there is a class token's position where the
        format has none.
    """
    if embedding.ndim not in (2, 3) or (embedding.ndim == 3 and len(embedding) != 1):
        raise InputError(f"{name} should be [1, N, D], and is {list(embedding.shape)}.")
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
            "token; checkpoints of this format have none. If it comes from ImageNet or a masked "
            "autoencoder, save it under that project's own names (with its cls_token)."
        )
    raise InputError(
        f"{name} has {len(rows)} positions, the model {target_hw[0]} x {target_hw[1]}, and "
        + (
            f"{source_hw[0]} x {source_hw[1]} is not their grid. Correct checkpoint_hw "
            "(--input-size)."
            if source_hw
            else "the grid of the former cannot be told from their number. Give the image "
            "size the checkpoint was trained at as checkpoint_hw (--input-size)."
        )
    )


def _grid(
    count: int, target_hw: tuple[int, int], source_hw: tuple[int, int] | None
) -> tuple[int, int] | None:
    """The grid of `count` positions; None if there is none."""
    if source_hw is not None:
        return source_hw if source_hw[0] * source_hw[1] == count else None
    if count == target_hw[0] * target_hw[1]:
        return target_hw
    return infer_grid(count, target_hw)


def _cubic_matrix(source: int, target: int) -> np.ndarray:
    """`[target, source]` weights of cubic interpolation along one axis, edges repeated."""
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    first = np.floor(centres).astype(int)
    matrix = np.zeros((target, source))
    for offset in range(-1, 3):
        distance = np.abs(centres - (first + offset))
        near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance**2 + 1
        far = _CUBIC * (((distance - 5) * distance + 8) * distance - 4)
        weight = np.where(distance <= 1, near, far)
        np.add.at(matrix, (np.arange(target), np.clip(first + offset, 0, source - 1)), weight)
    return matrix


def infer_grid(count: int, target_hw: tuple[int, int]) -> tuple[int, int] | None:
    """The grid of `count` positions that is square or shaped like `target_hw`; None if not one."""
    side = math.isqrt(count)
    square = (side, side) if side * side == count else None
    divisor = math.gcd(*target_hw)
    height, width = target_hw[0] // divisor, target_hw[1] // divisor
    scale = math.isqrt(count // (height * width))
    alike = (height * scale, width * scale) if height * width * scale * scale == count else None
    if square and alike and square != alike:
        return None
    return square or alike
