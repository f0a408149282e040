"""The z-buffer: depths of planes, hidden surfaces, and pixels outside."""

import numpy as np

from jaxpose.geometry.cameras import centred_camera
from jaxpose.geometry.rasterize import draw_triangles, empty_raster, render_depth

CAMERA = centred_camera(50.0, (40, 60))


def test_depths_are_those_of_the_plane():
    # The plane z = 500 + 0.2 x + 0.1 y, larger than the image.
    xy = np.array([[-900.0, -900], [900, -900], [900, 900], [-900, 900]])
    vertices = np.column_stack([xy, 500 + xy @ [0.2, 0.1]])
    depth = render_depth(vertices, np.array([[0, 1, 2], [0, 2, 3]]), CAMERA, (40, 60))
    y, x = np.mgrid[:40, :60]
    rays = np.stack([(x - 29.5) / 50, (y - 19.5) / 50], axis=-1)
    np.testing.assert_allclose(depth, 500 / (1 - rays @ [0.2, 0.1]), rtol=1e-9)


def test_the_nearer_surface_stays_in_either_order():
    faces = np.array([[0, 1, 2]])
    corners = np.array([[-300.0, -300, 0], [300, -300, 0], [0, 300, 0]])
    for order in ((400.0, 600.0), (600.0, 400.0)):
        raster = empty_raster((40, 60), 1)
        for z in order:
            local = corners + np.array([0, 0, z])
            pixels = local[:, :2] / z * 50 + [29.5, 19.5]
            draw_triangles(raster, pixels, local[:, 2], faces, np.full((3, 1), z))
        assert raster.depth[18, 29] == 400 and raster.values[18, 29, 0] == 400
    near = corners + np.array([0, 0, 10.0])  # too near to the camera
    assert not render_depth(near, faces, CAMERA, (40, 60)).any()
