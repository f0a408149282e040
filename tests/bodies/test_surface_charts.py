"""Charts: places to the surface and back, the free body's symmetry, rendering, published files."""

import numpy as np
import pytest
from scipy.io import savemat

from jaxpose.bodies import drawn_body
from jaxpose.bodies.charts import PARTS, read_atlas
from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.bodies.surface_maps import pack_iuv, render_iuv
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import pinhole, project

FACING = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])  # the camera sees the body's front
CAMERA = pinhole([[110.0, 0, 49.5], [0, 110, 52], [0, 0, 1]], FACING, [0.0, 0, 2200])


def template():
    return np.asarray(drawn_body().template, np.float64)


def test_surface_points_come_back_from_their_places():
    atlas, rng = drawn_atlas(), np.random.default_rng(0)
    face = rng.integers(0, len(atlas.faces), 400)
    shares = rng.dirichlet(np.ones(3), 400)
    part, uv = atlas.places(face, shares)
    found = atlas.find(part, uv)
    assert found.distance.max() < 1e-12
    vertices = template()
    np.testing.assert_allclose(
        atlas.points(vertices, found.face, found.shares),
        atlas.points(vertices, face, shares),
        atol=1e-6,
    )
    # A place outside the chart's triangles gets the nearest of them.
    outside = atlas.find(np.array([3]), np.array([[0.3, 1.25]]))
    np.testing.assert_allclose(outside.distance, 0.25)
    np.testing.assert_allclose(atlas.places(*outside[:2])[1], [[0.3, 1.0]])
    with pytest.raises(InputError, match="no chart 0"):
        atlas.find(np.array([0]), np.zeros((1, 2)))


def test_points_in_space_get_the_place_of_the_nearest_surface():
    atlas, vertices = drawn_atlas(), template()
    # Faces of the outside: those that the camera sees.
    iuv = render_iuv(atlas, vertices, CAMERA, (100, 100))
    y, x = (axis[::40] for axis in np.nonzero(iuv[..., 0]))
    found = atlas.find(iuv[y, x, 0].astype(int), iuv[y, x, 1:].astype(float))
    points = atlas.points(vertices, found.face, found.shares)
    near = atlas.nearest(vertices, points)
    part, uv = atlas.places(near.face, near.shares)
    assert near.distance.max() < 1e-6
    same = part == iuv[y, x, 0]  # the edge of a chart belongs to two
    assert same.mean() > 0.95
    np.testing.assert_allclose(uv[same], iuv[y, x, 1:][same], atol=1e-5)


def test_every_pixel_of_a_rendered_map_is_the_point_that_projects_to_it():
    atlas, vertices = drawn_atlas(), template()
    iuv = render_iuv(atlas, vertices, CAMERA, (100, 100))
    y, x = np.nonzero(iuv[..., 0])
    assert len(y) > 800
    front = set(iuv[y, x, 0].astype(int).tolist())
    assert {2, 9, 10, 13, 14, 17, 18, 21, 22, 24} <= front  # the front's charts, and no back
    assert not {1, 23} & front
    found = atlas.find(iuv[y, x, 0].astype(int), iuv[y, x, 1:])
    pixels = project(CAMERA, atlas.points(vertices, found.face, found.shares))
    np.testing.assert_allclose(pixels, np.stack([x, y], axis=1), atol=1e-3)
    packed = pack_iuv(iuv)
    assert packed.dtype == np.uint8
    away = np.abs(packed[..., 1:] / 255 - iuv[..., 1:])
    assert (packed[..., 0] == iuv[..., 0]).all() and away.max() <= 0.5 / 255 + 1e-6


def test_the_charts_of_the_free_body():
    atlas, vertices = drawn_atlas(), template()
    assert sorted(set(atlas.part.tolist())) == list(range(1, PARTS + 1))
    assert atlas.uv.min() == 0 and atlas.uv.max() == 1
    # Each chart fills the unit square once: the areas of its triangles add up to 1.
    side = atlas.uv[:, 1:] - atlas.uv[:, :1]
    area = np.abs(side[:, 0, 0] * side[:, 1, 1] - side[:, 0, 1] * side[:, 1, 0]) / 2
    np.testing.assert_allclose(np.bincount(atlas.part, area)[1:], 1)
    # The mirror image of a place is the place on the body's other side (y is to the left).
    rng = np.random.default_rng(1)
    part, uv = rng.integers(1, PARTS + 1, 300), rng.uniform(0, 1, (300, 2))
    own, other = (
        atlas.points(vertices, found.face, found.shares)
        for found in (
            atlas.find(part, uv),
            atlas.find(atlas.mirror[part], np.stack([1 - uv[:, 0], uv[:, 1]], axis=1)),
        )
    )
    # Quads are cut along the same diagonal on both sides, so that points within them move.
    away = np.linalg.norm(own * [1, -1, 1] - other, axis=1)
    assert np.median(away) < 2 and away.max() < 20
    assert (own[np.isin(part, [4, 5, 8, 10])][:, 1] > 0).all()  # the left ones


def mat(path, **changes):
    """File of two charts that share an edge of the mesh, as DensePose lays them out."""
    arrays = {
        "All_Faces": np.array([[1, 2, 3], [4, 5, 6]]),
        "All_FaceIndices": np.array([[1], [2]]),
        "All_vertices": np.array([[1, 2, 3, 2, 3, 4]]),
        "All_U_norm": np.array([[0.0], [1.0], [0.0], [1.0], [0.0], [1.0]]),
        "All_V_norm": np.array([[0.0], [0.0], [1.0], [0.0], [1.0], [1.0]]),
    }
    savemat(path, {**arrays, **changes})
    return path


def test_published_charts_are_read(tmp_path):
    atlas = read_atlas(mat(tmp_path / "UV.mat"))
    assert atlas.name == "smpl"
    np.testing.assert_array_equal(atlas.faces, [[0, 1, 2], [1, 2, 3]])
    found = atlas.find(np.array([1, 2]), np.array([[0.25, 0.25], [0.75, 0.75]]))
    vertices = np.array([[0.0, 0, 0], [4, 0, 0], [0, 4, 0], [4, 4, 0]])
    np.testing.assert_allclose(
        atlas.points(vertices, found.face, found.shares), [[1, 1, 0], [3, 3, 0]]
    )
    np.testing.assert_array_equal(
        atlas.nearest_vertex(np.array([1, 2]), np.array([[0.1, 0.1], [0.9, 0.9]])), [0, 3]
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"All_FaceIndices": np.array([[1], [25]])}, "All_FaceIndices has values outside 1 to 24"),
        ({"All_Faces": np.array([[1, 2, 3], [4, 5, 7]])}, "All_Faces has values outside 1 to 6"),
        ({"All_U_norm": np.full((6, 1), np.nan)}, "All_U_norm has values outside"),
        ({"All_V_norm": np.zeros((5, 1))}, "one number for each vertex"),
        ({"All_FaceIndices": np.array([[1], [2], [3]])}, r"\[F, 3\] and \[F\]"),
        ({"All_vertices": np.array(["a"])}, "no array of numbers"),
    ],
)
def test_a_file_that_is_not_the_published_one(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        read_atlas(mat(tmp_path / "UV.mat", **change))
