"""Distances along the surface, and mirror images of charts, from files in the published layouts."""

import pickle

import densepose_files
import h5py
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from jaxpose.bodies.charts import MIRROR, read_symmetry
from jaxpose.bodies.drawn_charts import drawn_atlas
from jaxpose.bodies.surface_distances import MeshDistances, PublishedDistances
from jaxpose.errors import InputError


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("eval") / "eval_data"
    return folder, densepose_files.write_distances(folder)


def corners(rng, count):
    """Places of corners of charts, their vertices, and the places a little inside."""
    atlas = drawn_atlas()
    face = rng.choice(np.flatnonzero(atlas.part), count)
    corner = rng.integers(0, 3, count)
    return (atlas.part[face], atlas.uv[face, corner]), atlas.faces[face, corner]


def test_published_distances_are_those_of_the_vertices(published):
    folder, between = published
    distances = PublishedDistances(str(folder)).open()
    rng = np.random.default_rng(0)
    (true, here), (found, there) = corners(rng, 60), corners(rng, 60)
    nobody = np.arange(60) % 10 == 0
    found = np.where(nobody, 0, found[0]), found[1]
    expected = np.where(nobody, np.inf, between[here, there])
    np.testing.assert_allclose(distances(true, found), expected, atol=1e-6)
    assert not distances(true, true).any()
    empty = np.zeros(0, int), np.zeros((0, 2))
    assert distances(empty, empty).shape == (0,)


def test_the_matrix_is_read_from_matlab_7_3(published, tmp_path):
    folder, _ = published
    rng = np.random.default_rng(1)
    true, found = corners(rng, 20)[0], corners(rng, 20)[0]
    expected = PublishedDistances(str(folder)).open()(true, found)
    for name in ("SMPL_subdiv.mat", "SMPL_SUBDIV_TRANSFORM.mat"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    pairs = pickle.loads((folder / "Pdist_matrix.pkl").read_bytes())["Pdist_matrix"]
    with h5py.File(tmp_path / "Pdist_matrix.mat", "w") as file:
        file["Pdist_matrix"] = pairs.astype(np.float64)
    distances = PublishedDistances(str(tmp_path)).open()
    np.testing.assert_allclose(distances(true, found), expected, atol=1e-6)
    with h5py.File(tmp_path / "Pdist_matrix.mat", "w") as file:
        file["Pdist_matrix"] = pairs[:-1]
    with pytest.raises(InputError, match=r"Pdist_matrix\.mat: Pdist_matrix has to be one number"):
        PublishedDistances(str(tmp_path)).open()
    (tmp_path / "Pdist_matrix.mat").unlink()
    with pytest.raises(InputError, match=r"neither Pdist_matrix\.mat nor Pdist_matrix\.pkl"):
        PublishedDistances(str(tmp_path)).open()
    savemat(tmp_path / "SMPL_SUBDIV_TRANSFORM.mat", {"index": np.arange(1, 9)})
    with pytest.raises(InputError, match="numbers of 8: they do not belong together"):
        PublishedDistances(str(tmp_path)).open()
    with pytest.raises(InputError, match="eval_dat"):
        PublishedDistances(str(folder) + "x").open()


def test_distances_of_a_mesh_from_its_charts_and_body(tmp_path):
    """A strip of triangles in three charts, with the vertices of a body file in SMPL's layout."""
    rng = np.random.default_rng(0)
    count, joints = 6, 24
    vertices = np.array([[i // 2, i % 2, 0] for i in range(count)], float)
    parents = np.array([2**32 - 1, *range(joints - 1)], np.uint32)
    np.savez(
        tmp_path / "body.npz",
        v_template=vertices,
        shapedirs=rng.normal(0, 0.01, (count, 3, 2)),
        posedirs=np.zeros((count, 3, 9 * (joints - 1))),
        J_regressor=np.full((joints, count), 1 / count),
        weights=np.full((count, joints), 1 / joints),
        kintree_table=np.stack([parents, np.arange(joints, dtype=np.uint32)]),
        f=np.array([[i, i + 1, i + 2] for i in range(count - 2)]),
    )
    faces = np.array([[i, i + 1, i + 2] for i in range(count - 2)])
    charts = {
        "All_Faces": np.arange(1, 13).reshape(4, 3),
        "All_FaceIndices": np.array([[1], [1], [2], [2]]),
        "All_vertices": faces.reshape(1, -1) + 1,
        "All_U_norm": np.tile([[0.0], [0.5], [1.0]], (4, 1)),
        "All_V_norm": np.tile([[0.0], [1.0], [0.0]], (4, 1)),
    }
    savemat(tmp_path / "UV.mat", charts)
    distances = MeshDistances(str(tmp_path / "UV.mat"), str(tmp_path / "body.npz")).open()
    true, found = (
        (np.array([1, 1]), np.array([[0.0, 0], [0.0, 0]])),
        (
            np.array([2, 0]),
            np.array([[1.0, 0], [0.0, 0]]),
        ),
    )
    away = distances(true, found)
    # Chart 2 has two triangles with the same places; vertices 4 and 5 are 2 and 3 edges away.
    assert away[0] in (pytest.approx(2.0), pytest.approx(1 + np.sqrt(2))) and np.isinf(away[1])
    savemat(tmp_path / "UV.mat", {**charts, "All_vertices": charts["All_vertices"] + 1})
    with pytest.raises(InputError, match=r"vertex 6, and the body .* has 6 vertices"):
        MeshDistances(str(tmp_path / "UV.mat"), str(tmp_path / "body.npz")).open()


def test_mirror_images_of_places(tmp_path):
    path = tmp_path / "UV_symmetry_transforms.mat"
    densepose_files.write_symmetry(path)
    mirrored = read_symmetry(path)
    part, uv = np.array([1, 3, 12, 24]), np.array([[0.2, 0.4], [1, 0], [0, 1], [0.5, 0.5]])
    other, place = mirrored(part, uv)
    assert other.tolist() == [1, 4, 11, 23]
    np.testing.assert_allclose(place, np.stack([1 - uv[:, 0], uv[:, 1]], axis=1), atol=1 / 255)
    assert sorted(MIRROR) == list(range(25)) and (MIRROR[MIRROR] == np.arange(25)).all()
    tables = {name: loadmat(path)[name] for name in ("U_transforms", "V_transforms")}
    tables["V_transforms"][0, 2] = np.where(np.eye(256) > 0, 0.5, np.nan)
    savemat(path, tables)
    assert read_symmetry(path)(part, uv)[0].tolist() == [1, 0, 11, 23]  # no place there
    tables["U_transforms"][0, 4] = np.zeros((3, 256))
    savemat(path, tables)
    with pytest.raises(InputError, match=r"U_transforms, table 5, is \[3, 256\]"):
        read_symmetry(path)
    savemat(path, {**tables, "U_transforms": tables["V_transforms"][:, :20]})
    with pytest.raises(InputError, match="U_transforms is no list of 24 tables"):
        read_symmetry(path)
