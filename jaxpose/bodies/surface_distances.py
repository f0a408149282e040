"""Distances along a body's surface between places on its charts, for geodesic point similarity."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from jaxpose import hdf5
from jaxpose.bodies.charts import PARTS, Atlas, read_atlas
from jaxpose.bodies.files import read_body
from jaxpose.data.matlab import read_mat
from jaxpose.data.pickles import read_pickle
from jaxpose.errors import InputError
from jaxpose.metrics.surface_similarity import geodesic_distances
from jaxpose.paths import as_path

Places = tuple[np.ndarray, np.ndarray]
"""Parts int `[N]`, 1 to 24, and U, V `[N, 2]`."""
Distances = Callable[[Places, Places], np.ndarray]
"""Function of N true and N predicted places that gives their distances `[N]` in metres.

A predicted part of 0 has an infinite distance."""

_METRE = 1000.0
_MOST_VERTICES = 40_000
"""Vertices between which a file may have all distances."""


@dataclass(frozen=True)
class PublishedDistances:
    """Distances in the files of DensePose-COCO's evaluation, on a finer mesh of SMPL.

    The files belong to their owners and are not part of this package.

    Attributes:
      path: folder with `SMPL_subdiv.mat`, `SMPL_SUBDIV_TRANSFORM.mat`, and `Pdist_matrix.mat` or
        `Pdist_matrix.pkl`, which needs 1.5 GB of memory.
    """

    path: str

    def open(self) -> Distances:
        """Read the files; raises as `read_published_distances`."""
        return read_published_distances(as_path(self.path))


@dataclass(frozen=True)
class MeshDistances:
    """Distances along the edges of SMPL, computed from its own file in seconds.

    A path along edges is as long as the shortest one on the surface, or longer, so figures are
    lower than with `PublishedDistances`.

    Attributes:
      charts: `UV_Processed.mat` of DensePose.
      body: file of SMPL, see `bodies.read_body`.
    """

    charts: str
    body: str

    def open(self) -> Distances:
        """Read the files and compute all distances.

        Raises:
          InputError: as for `read_atlas` and `read_body`; files of different meshes.
        """
        atlas = read_atlas(as_path(self.charts))
        vertices = np.asarray(read_body(as_path(self.body)).body.template) / _METRE
        last = int(atlas.faces.max())
        if last >= len(vertices):
            raise InputError(
                f"{self.charts} has charts of vertex {last}, and the body {self.body} has "
                f"{len(vertices)} vertices: they belong to different models."
            )
        return mesh_distances(atlas, geodesic_distances(vertices, atlas.faces))


def mesh_distances(atlas: Atlas, between: np.ndarray) -> Distances:
    """Distances between places of an atlas.

    As in the published evaluation, a place counts as the vertex with the largest share in it.

    Args:
      atlas: charts of the mesh.
      between: `[V, V]` distances of its vertices.
    """

    def distances(true: Places, found: Places) -> np.ndarray:
        body = found[0] > 0
        distance = np.full(len(body), np.inf)
        here = atlas.nearest_vertex(true[0][body], true[1][body])
        there = atlas.nearest_vertex(found[0][body], found[1][body])
        distance[body] = between[here, there]
        return distance

    return distances


def read_published_distances(folder: Path) -> Distances:
    """Read the distances of DensePose-COCO's evaluation, see `PublishedDistances`.

    A place counts as the vertex of its chart that is nearest in U and V. Nothing in the files is
    executed.

    Raises:
      InputError: a file is missing, damaged, or of another shape.
    """
    fine, transform = folder / "SMPL_subdiv.mat", folder / "SMPL_SUBDIV_TRANSFORM.mat"
    u, v, part = (
        _column(read_mat(fine, name), f"{fine}: {name}")
        for name in ("U_subdiv", "V_subdiv", "Part_ID_subdiv")
    )
    vertex = _column(read_mat(transform, "index"), f"{transform}: index")
    if not len(u) == len(v) == len(part) == len(vertex):
        raise InputError(
            f"{fine} has U, V and parts of {len(u)}, {len(v)} and {len(part)} vertices, and "
            f"{transform} numbers of {len(vertex)}: they do not belong together."
        )
    whole = np.rint(vertex)
    if (whole != vertex).any() or whole.min() < 1 or not 1 < whole.max() <= _MOST_VERTICES:
        raise InputError(f"{transform}: index needs whole numbers from 1 to {_MOST_VERTICES:,}.")
    absent = sorted(set(range(1, PARTS + 1)) - set(part.tolist()))
    if absent:
        raise InputError(f"{fine}: Part_ID_subdiv has no vertex of chart {absent[0]}.")
    number = whole.astype(np.int64) - 1
    pairs = _pairs(folder, int(whole.max()))
    rows = [np.flatnonzero(part == chart) for chart in range(1, PARTS + 1)]
    uv = np.stack([u, v], axis=1)
    trees = [cKDTree(uv[row]) for row in rows]

    def nearest(places: Places) -> np.ndarray:
        found = np.zeros(len(places[0]), np.int64)
        for chart in np.unique(places[0]).tolist():
            here = places[0] == chart
            _, at = trees[chart - 1].query(places[1][here])
            found[here] = number[rows[chart - 1][at]]
        return found

    def distances(true: Places, found: Places) -> np.ndarray:
        body = found[0] > 0
        distance = np.full(len(body), np.inf)
        here = nearest((true[0][body], true[1][body]))
        there = nearest((found[0][body], found[1][body]))
        first, second = np.maximum(here, there), np.minimum(here, there)
        # The matrix below its diagonal, row by row.
        at = np.maximum(first * (first - 1) // 2 + second, 0)
        distance[body] = np.where(first == second, 0.0, pairs[at])
        return distance

    return distances


def _pairs(folder: Path, count: int) -> np.ndarray:
    """Distances of all pairs of `count` vertices, float32, in metres."""
    name = "Pdist_matrix"
    stored = [folder / f"{name}{suffix}" for suffix in (".mat", ".pkl")]
    path = next((each for each in stored if each.is_file()), None)
    if path is None:
        raise InputError(
            f"{folder} has neither {stored[0].name} nor {stored[1].name}, the distances of "
            "DensePose's evaluation data."
        )
    wanted = count * (count - 1) // 2
    given: Any = None
    if path.suffix == ".pkl":
        content = read_pickle(path)
        given = content.get(name) if isinstance(content, dict) else None
    else:
        with hdf5.open_hdf5(path) as file:
            data = hdf5.dataset(file, name, path)
            if data.size == wanted and data.dtype.kind == "f":
                given = data[()]
    if not isinstance(given, np.ndarray) or given.dtype.kind != "f" or given.size != wanted:
        raise InputError(
            f"{path}: {name} has to be one number for each pair of {count:,} vertices, {wanted:,}."
        )
    return np.ravel(given).astype(np.float32, copy=False)


def _column(value: Any, where: str) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.ndim != 1 or not array.size:
        raise InputError(f"{where} is no list of numbers.")
    if not np.isfinite(array).all():
        raise InputError(f"{where} has numbers that are not finite.")
    return array.astype(np.float64)
