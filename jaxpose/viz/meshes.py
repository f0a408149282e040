"""Drawings of meshes: bodies, hands and objects over an image or from any side."""

from collections.abc import Sequence

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, project, world_to_camera
from jaxpose.viz.people import person_colors

_ZOOM = 2  # enlargement while drawing; averaging down makes edges smooth
_NEAR = 50.0  # mm in front of the camera below which a triangle is not drawn
_MOST_PIXELS = 4_000_000  # candidates (pixel, triangle) at a time
_AMBIENT = 0.35


def draw_meshes(
    image: np.ndarray,
    meshes: Sequence[np.ndarray],
    faces: np.ndarray | Sequence[np.ndarray],
    camera: Camera,
    *,
    colors: np.ndarray | None = None,
    opacity: float = 0.9,
) -> np.ndarray:
    """Copy of an image with meshes drawn over it; nearer triangles hide the others.

    The light comes from the camera. Normals are averaged at the vertices, so that surfaces are
    smooth.

    Args:
      image: uint8 `[H, W, 3]`.
      meshes: vertices of each, `[V, 3]` mm in the world.
      faces: int `[F, 3]` for all meshes, or one for each; counter-clockwise from outside.
      camera: a camera whose pixels are the image's.
      colors: uint8 `[N, 3]` RGB, one for each mesh; by person if None.
      opacity: 1 hides the image below.

    Raises:
      InputError: vertices that are not finite, faces with other vertices, no color for a mesh.
    """
    colors = person_colors(np.arange(len(meshes))) if colors is None else np.asarray(colors)
    if len(colors) < len(meshes):
        raise InputError(f"{len(colors)} colors for {len(meshes)} meshes; one for each is needed")
    size = image.shape[0] * _ZOOM, image.shape[1] * _ZOOM
    depth = np.full(size, np.inf)
    ink = np.zeros((*size, 3), np.float32)
    for number, vertices in enumerate(meshes):
        own = faces if isinstance(faces, np.ndarray) else faces[number]
        vertices, own = _checked(vertices, own)
        _draw_mesh(depth, ink, vertices, own, camera, np.asarray(colors[number], np.float64))
    cover = np.isfinite(depth).astype(np.float32)
    shape = (image.shape[1], image.shape[0])
    share = opacity * cv2.resize(cover, shape, interpolation=cv2.INTER_AREA)[..., None]
    ink = opacity * cv2.resize(ink, shape, interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(image * (1 - share) + ink), 0, 255).astype(np.uint8)


def _checked(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces)
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
        raise InputError(
            f"a mesh has vertices of shape {list(vertices.shape)}; finite [V, 3] in millimetres is "
            "needed"
        )
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.min() < 0 or faces.max() >= len(vertices):
        raise InputError(f"the faces do not belong to a mesh of {len(vertices)} vertices")
    return vertices, faces


def _draw_mesh(
    depth: np.ndarray,
    ink: np.ndarray,
    vertices: np.ndarray,
    faces: np.ndarray,
    camera: Camera,
    color: np.ndarray,
) -> None:
    """Draws one mesh into `depth [H, W]` and `ink [H, W, 3]` in place."""
    local = world_to_camera(camera, vertices)
    # Pixel centres are at integers, in the enlarged image too.
    pixels = (project(camera, vertices) + 0.5) * _ZOOM - 0.5
    light = _light(local, faces)
    corners = pixels[faces]
    seen = (local[faces, 2] > _NEAR).all(axis=1)
    low = np.maximum(np.ceil(corners.min(axis=1)), 0)
    limit = np.array(depth.shape[::-1]) - 1
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
        _fill(depth, ink, corners[part], low[part], extent[part],
              1 / local[faces[part], 2], light[faces[part]], color)  # fmt: skip
        first = last


def _fill(
    depth: np.ndarray,
    ink: np.ndarray,
    corners: np.ndarray,
    low: np.ndarray,
    extent: np.ndarray,
    nearness: np.ndarray,
    light: np.ndarray,
    color: np.ndarray,
) -> None:
    """Draws triangles `[N, 3, 2]` in place: all pixels of their boxes are tried.

    Args:
      depth, ink: the images.
      corners: pixels `[N, 3, 2]`.
      low, extent: `[N, 2]` first pixel and size of each box.
      nearness: `[N, 3]` 1 / depth of the corners, which is linear in the image.
      light: `[N, 3]` brightness of the corners.
      color: `[3]`.
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
    order = np.lexsort([-near, y * depth.shape[1] + x])
    where = (y * depth.shape[1] + x)[order]
    best = order[np.concatenate([[True], where[1:] != where[:-1]])] if len(order) else order
    best = best[1 / near[best] < depth[y[best], x[best]]]
    depth[y[best], x[best]] = 1 / near[best]
    brightness = (shares[best] * light[face[best]]).sum(axis=1)
    ink[y[best], x[best]] = brightness[:, None] * color


def _light(local: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Brightness `[V]` of vertices in the camera's frame, lit from the camera."""
    corners = local[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(local)
    for corner in range(3):
        np.add.at(total, faces[:, corner], normal)
    ray = local / np.maximum(np.linalg.norm(local, axis=1, keepdims=True), 1e-9)
    length = np.maximum(np.linalg.norm(total, axis=1), 1e-9)
    # Both sides are lit: a surface with holes shows its inside.
    facing = np.abs(np.sum(total * ray, axis=1)) / length
    return _AMBIENT + (1 - _AMBIENT) * facing


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
