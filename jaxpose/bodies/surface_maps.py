"""Maps of a body's surface in an image: part, U and V of each pixel (IUV)."""

import numpy as np

from jaxpose.bodies.charts import PARTS, Atlas
from jaxpose.geometry.cameras import Camera, project, world_to_camera
from jaxpose.geometry.rasterize import draw_triangles, empty_raster


def render_iuv(
    atlas: Atlas, vertices: np.ndarray, camera: Camera, image_hw: tuple[int, int]
) -> np.ndarray:
    """Part, U and V `[H, W, 3]` of the nearest surface at each pixel, float32; 0 without one.

    Exact in perspective: the place on the chart is that of the point whose projection is the
    pixel's centre.

    Args:
      atlas: charts of the mesh.
      vertices: `[V, 3]` mm in the world.
      camera: one camera.
      image_hw: size of the image.
    """
    depth = world_to_camera(camera, vertices)[:, 2][atlas.faces].ravel()
    pixels = project(camera, vertices)[atlas.faces].reshape(-1, 2)
    part = np.repeat(atlas.part, 3)
    # Values over depth are linear in the image. Triangles have corners of their own, because a
    # vertex has several places where charts meet.
    values = np.column_stack([part, atlas.uv.reshape(-1, 2), np.ones(len(part))])
    raster = empty_raster(image_hw, 4)
    own = np.arange(len(part)).reshape(-1, 3)
    near = np.where(np.abs(depth) > 1e-9, depth, 1e-9)
    draw_triangles(raster, pixels, depth, own, values / near[:, None])
    drawn = np.isfinite(raster.depth)
    scale = np.where(drawn, raster.values[..., 3], 1.0)
    iuv = raster.values[..., :3] / scale[..., None]
    iuv[..., 0] = np.rint(iuv[..., 0])
    return np.where(drawn[..., None], np.clip(iuv, 0, [PARTS, 1, 1]), 0).astype(np.float32)


def pack_iuv(iuv: np.ndarray) -> np.ndarray:
    """Map `[..., 3]` of part, U and V as uint8, U and V times 255, as DensePose's files have it."""
    scaled = np.asarray(iuv) * np.array([1.0, 255.0, 255.0])
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
