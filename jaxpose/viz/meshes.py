"""Drawings of meshes: bodies, hands and objects over an image or from any side."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.geometry.cameras import Camera, project, world_to_camera
from jaxpose.geometry.rasterize import draw_triangles, empty_raster
from jaxpose.geometry.triangles import vertex_normals
from jaxpose.viz.people import person_colors
from jaxpose.viz.pose3d import VIEW_WH, draw_stage, stage_of

_ZOOM = 2  # enlargement while drawing; averaging down makes edges smooth
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
    raster = empty_raster((image.shape[0] * _ZOOM, image.shape[1] * _ZOOM), 3)
    for number, vertices in enumerate(meshes):
        own = faces if isinstance(faces, np.ndarray) else faces[number]
        vertices, own = _checked(vertices, own)
        local = world_to_camera(camera, vertices)
        # Pixel centres are at integers, in the enlarged image too.
        pixels = (project(camera, vertices) + 0.5) * _ZOOM - 0.5
        ink = _light(local, own)[:, None] * np.asarray(colors[number], np.float64)
        draw_triangles(raster, pixels, local[:, 2], own, ink)
    cover = np.isfinite(raster.depth).astype(np.float32)
    shape = (image.shape[1], image.shape[0])
    share = opacity * cv2.resize(cover, shape, interpolation=cv2.INTER_AREA)[..., None]
    ink = opacity * cv2.resize(raster.values, shape, interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(image * (1 - share) + ink), 0, 255).astype(np.uint8)


def turning_meshes(
    frames: Sequence[Sequence[np.ndarray]],
    faces: np.ndarray,
    *,
    colors: Sequence[np.ndarray] | None = None,
    size_wh: tuple[int, int] = VIEW_WH,
) -> Iterator[np.ndarray]:
    """Draws the meshes of each frame from a camera that moves once around all of them.

    Args:
      frames: for each frame the meshes `[V, 3]`, mm in a camera's frame (y down); may be none. Each
        is taken twice, so that a sequence may make them when it is asked. For one moment from all
        sides, repeat it.
      faces: int `[F, 3]` of every mesh.
      colors: for each frame uint8 `[N, 3]` of its meshes; by person if None.
      size_wh: size of the images.

    Raises:
      InputError: no frame has a mesh; or as `draw_meshes`.
    """
    points = [_outermost(mesh) for frame in frames for mesh in frame]
    stage = stage_of(np.concatenate(points) if points else np.zeros((0, 3)))
    for number, meshes in enumerate(frames):
        view, camera = draw_stage(stage, azimuth=360 * number / len(frames), size_wh=size_wh)
        upright = [y_up(mesh, "-y") for mesh in meshes]
        own = None if colors is None else colors[number]
        yield draw_meshes(view, upright, faces, camera, colors=own, opacity=1.0)


def _outermost(mesh: np.ndarray) -> np.ndarray:
    """The highest and lowest vertex of a mesh and the furthest ones in 16 level directions."""
    around = np.arange(16) * (np.pi / 8)
    level = np.stack([np.cos(around), np.zeros(16), np.sin(around)], axis=1)
    directions = np.concatenate([level, [[0, 1, 0], [0, -1, 0]]])
    return np.asarray(mesh)[np.argmax(np.asarray(mesh) @ directions.T, axis=0)]


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


def _light(local: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Brightness `[V]` of vertices in the camera's frame, lit from the camera."""
    normals = vertex_normals(local, faces)
    ray = local / np.maximum(np.linalg.norm(local, axis=1, keepdims=True), 1e-9)
    # Both sides are lit: a surface with holes shows its inside.
    facing = np.abs(np.sum(normals * ray, axis=1))
    return _AMBIENT + (1 - _AMBIENT) * facing
