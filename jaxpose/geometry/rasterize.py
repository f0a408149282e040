"""Triangles drawn into an image with a z-buffer, in NumPy."""

from typing import NamedTuple

import numpy as np

from jaxpose.geometry.cameras import Camera, project, world_to_camera

_NEAR = 50.0  # mm in front of the camera below which a triangle is not drawn
_MOST_PIXELS = 4_000_000  # candidates (pixel, triangle) at a time


class Raster(NamedTuple):
    """Image under construction, changed in place.

    Attributes:
      depth: `[H, W]` distance along the camera's axis, mm; infinite where nothing is.
      values: float32 `[H, W, C]` of the nearest surface.
    """

    depth: np.ndarray
    values: np.ndarray


def empty_raster(image_hw: tuple[int, int], channels: int) -> Raster:
    """Raster without surfaces."""
    return Raster(np.full(image_hw, np.inf), np.zeros((*image_hw, channels), np.float32))


def draw_triangles(
    raster: Raster,
    pixels: np.ndarray,
    depth: np.ndarray,
    faces: np.ndarray,
    values: np.ndarray,
) -> None:
    """Draws a mesh into a raster in place; nearer surfaces stay.

    Args:
      raster: the image.
      pixels: projected vertices `[V, 2]`; pixel centres are at integers.
      depth: of the vertices `[V]`, mm.
      faces: int `[F, 3]`.
      values: `[V, C]`, interpolated over the faces.
    """
    corners = pixels[faces]
    seen = (depth[faces] > _NEAR).all(axis=1)
    low = np.maximum(np.ceil(corners.min(axis=1)), 0)
    limit = np.array(raster.depth.shape[::-1]) - 1
    high = np.minimum(np.floor(corners.max(axis=1)), limit)
    seen &= (high >= low).all(axis=1)
    faces, corners, low = faces[seen], corners[seen], low[seen].astype(int)
    extent = high[seen].astype(int) - low + 1
    areas = extent.prod(axis=1)
    starts = np.concatenate([[0], np.cumsum(areas)])
    first = 0
    while first < len(faces):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + _MOST_PIXELS)) - 1)
        part = slice(first, last)
        # 1 / depth is linear in the image.
        _fill(raster, corners[part], low[part], extent[part], 1 / depth[faces[part]],
              values[faces[part]])  # fmt: skip
        first = last


def render_depth(
    vertices: np.ndarray, faces: np.ndarray, camera: Camera, image_hw: tuple[int, int]
) -> np.ndarray:
    """Depth `[H, W]` along the camera's axis of a mesh in the world, mm; 0 where it is not.

    Args:
      vertices: `[V, 3]` mm in the world.
      faces: int `[F, 3]`.
      camera: one camera.
      image_hw: size of the image.
    """
    raster = empty_raster(image_hw, 0)
    depth = world_to_camera(camera, vertices)[:, 2]
    draw_triangles(raster, project(camera, vertices), depth, faces, np.zeros((len(vertices), 0)))
    return np.where(np.isfinite(raster.depth), raster.depth, 0.0)


def _fill(
    raster: Raster,
    corners: np.ndarray,
    low: np.ndarray,
    extent: np.ndarray,
    nearness: np.ndarray,
    values: np.ndarray,
) -> None:
    """Draws triangles `[N, 3, 2]` in place: all pixels of their boxes are tried.

    Args:
      raster: the image.
      corners: pixels `[N, 3, 2]`.
      low, extent: `[N, 2]` first pixel and size of each box.
      nearness: `[N, 3]` 1 / depth of the corners.
      values: `[N, 3, C]` of the corners.
    """
    areas = extent.prod(axis=1)
    face = np.repeat(np.arange(len(areas)), areas)
    place = np.arange(len(face)) - np.repeat(np.cumsum(areas) - areas, areas)
    y, x = np.divmod(place, extent[face, 0])
    x, y = x + low[face, 0], y + low[face, 1]
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = _cross(b - a, c - a)
    flat = np.abs(area) < 1e-9
    point = np.stack([x, y], axis=1)
    scale = 1 / np.where(flat, 1.0, area)[face]
    second = _cross((point - a[face]), (c - a)[face]) * scale
    third = _cross((b - a)[face], (point - a[face])) * scale
    shares = np.stack([1 - second - third, second, third], axis=1)
    inside = (shares >= -1e-9).all(axis=1) & ~flat[face]
    face, x, y, shares = face[inside], x[inside], y[inside], shares[inside]
    near = (shares * nearness[face]).sum(axis=1)
    # The nearest triangle of each pixel, then against what is drawn already.
    order = np.lexsort([-near, y * raster.depth.shape[1] + x])
    where = (y * raster.depth.shape[1] + x)[order]
    best = order[np.concatenate([[True], where[1:] != where[:-1]])] if len(order) else order
    best = best[1 / near[best] < raster.depth[y[best], x[best]]]
    raster.depth[y[best], x[best]] = 1 / near[best]
    mixed = shares[best, :, None] * values[face[best]]
    raster.values[y[best], x[best]] = mixed.sum(axis=1)


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
