"""Charts of a body's surface: places (part, U, V) on a mesh, as in DensePose.

Güler et al., "DensePose: Dense Human Pose Estimation in the Wild", CVPR 2018, arXiv:1802.00434,
section 2: the surface is cut into parts, and each is laid flat into the unit square.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxpose.data.matlab import read_mat
from jaxpose.errors import InputError
from jaxpose.geometry.triangles import nearest_on_triangles

PARTS = 24
"""Number of charts of DensePose: torso (2), hands, feet, legs (8), arms (8) and head (2)."""
MIRROR = np.array([0, 1, 2, *(((part - 1) ^ 1) + 1 for part in range(3, PARTS + 1))])
"""Chart on the other side of each of DensePose's charts; those of the torso are their own."""
_TABLE_SIDE = 256
_ROUNDING = 1e-3
_VARIABLES = ("All_Faces", "All_FaceIndices", "All_vertices", "All_U_norm", "All_V_norm")


class SurfacePoints(NamedTuple):
    """N points on a mesh.

    Attributes:
      face: `[N]` number of the triangle.
      shares: `[N, 3]` of its corners, at least 0 and of sum 1.
      distance: `[N]` from the point that was asked for: in units of U and V, or of the vertices.
    """

    face: np.ndarray
    shares: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True, eq=False)
class Atlas:
    """Charts of a mesh: the part of each triangle, and the place of its corners in the part.

    Attributes:
      name: body model of the mesh: "drawn", or "smpl".
      faces: `[F, 3]` vertex numbers.
      part: `[F]` chart of each triangle, 1 to `PARTS`; 0 is the background.
      uv: `[F, 3, 2]` U and V of its corners, 0 to 1. A vertex has several places where charts meet.
      mirror: `[PARTS + 1]` chart on the other side of each chart, in whose mirror image U is 1 - U
        and V is V; None if the charts have no such symmetry.
      joins: `[E, 2]` pairs of vertices that are neighbours although they share no triangle.
    """

    name: str
    faces: np.ndarray
    part: np.ndarray
    uv: np.ndarray
    mirror: np.ndarray | None = None
    joins: np.ndarray | None = None

    @cached_property
    def _of_part(self) -> dict[int, np.ndarray]:
        return {int(part): np.flatnonzero(self.part == part) for part in np.unique(self.part)}

    def find(self, part: np.ndarray, uv: np.ndarray) -> SurfacePoints:
        """Find the surface points at places of charts; the nearest of the chart if there is none.

        Args:
          part: int `[N]`.
          uv: `[N, 2]`.

        Raises:
          InputError: a part without a chart, such as the background.
        """
        part, uv = np.asarray(part), np.asarray(uv, np.float64)
        unknown = sorted(set(part.tolist()) - set(self._of_part))
        if unknown:
            raise InputError(f"the atlas {self.name!r} has no chart {unknown[0]}")
        face, shares = np.zeros(len(part), int), np.zeros((len(part), 3))
        distance = np.zeros(len(part))
        for number, triangles in self._of_part.items():
            rows = np.flatnonzero(part == number)
            near, shares[rows], distance[rows] = nearest_on_triangles(uv[rows], self.uv[triangles])
            face[rows] = triangles[near]
        return SurfacePoints(face, shares, distance)

    def places(self, face: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parts `[N]` and U, V `[N, 2]` of points on triangles; see `SurfacePoints`."""
        return self.part[face], (shares[..., None] * self.uv[face]).sum(axis=1)

    def points(self, vertices: np.ndarray, face: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Positions `[N, 3]` of points on the triangles of a posed mesh `[V, 3]`."""
        return (shares[..., None] * np.asarray(vertices)[self.faces[face]]).sum(axis=1)

    def nearest(self, vertices: np.ndarray, points: np.ndarray) -> SurfacePoints:
        """Find the points of a posed mesh `[V, 3]` that are nearest to points `[N, 3]`."""
        corners = np.asarray(vertices, np.float64)[self.faces]
        return SurfacePoints(*nearest_on_triangles(points, corners))

    def nearest_vertex(self, part: np.ndarray, uv: np.ndarray) -> np.ndarray:
        """Vertices `[N]`: the corner with the largest share in the triangle at each place."""
        found = self.find(part, uv)
        return self.faces[found.face, found.shares.argmax(axis=1)]


@dataclass(frozen=True, eq=False)
class ChartSymmetry:
    """Places on DensePose's charts of SMPL in the mirror image of a person.

    Attributes:
      tables: `[24, 256, 256, 2]` U and V in the mirror image of the places of each chart, by 255 V
        and 255 U; NaN where there is none.
    """

    tables: np.ndarray

    def __call__(self, part: np.ndarray, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Parts `[N]` and U, V `[N, 2]` in the mirror image; part 0 where there is no place.

        Args:
          part: int `[N]`, 1 to 24.
          uv: `[N, 2]`, 0 to 1; as in the published code, 255 U and 255 V are rounded down.
        """
        u, v = (np.clip(uv, 0, 1) * (_TABLE_SIDE - 1)).astype(int).T
        found = self.tables[np.asarray(part) - 1, v, u]
        known = np.isfinite(found).all(axis=1)
        return np.where(known, MIRROR[part], 0), np.where(known[:, None], found, 0.0)


def read_symmetry(path: str | Path) -> ChartSymmetry:
    """Read the mirror images of SMPL's charts that DensePose publishes: UV_symmetry_transforms.mat.

    The file belongs to its owners and is not part of this package. Nothing in it is executed.

    Raises:
      InputError: as for `data.matlab.read_mat`; variables of another kind or shape.
    """
    tables = np.full((PARTS, _TABLE_SIDE, _TABLE_SIDE, 2), np.nan, np.float32)
    for axis, name in enumerate(("U_transforms", "V_transforms")):
        cells = read_mat(path, name)
        if not isinstance(cells, np.ndarray) or len(cells.shape) == 0 or len(cells) != PARTS:
            raise InputError(f"{path}: {name} is no list of {PARTS} tables.")
        for number, cell in enumerate(cells):
            table = _numbers(path, f"{name}, table {number + 1},", cell)
            if table.shape != tables.shape[1:3]:
                raise InputError(
                    f"{path}: {name}, table {number + 1}, is {list(table.shape)}, not "
                    f"{_TABLE_SIDE} x {_TABLE_SIDE}."
                )
            inside = (table >= -_ROUNDING) & (table <= 1 + _ROUNDING)
            if not inside.any():
                raise InputError(f"{path}: {name}, table {number + 1}, has no value in 0 to 1.")
            tables[number, ..., axis] = np.where(inside, np.clip(table, 0, 1), np.nan)
    return ChartSymmetry(tables)


def read_atlas(path: str | Path) -> Atlas:
    """Read the charts of SMPL as DensePose publishes them, `UV_Processed.mat`.

    The file belongs to its owners and is not part of this package. Nothing in it is executed.

    Raises:
      InputError: as for `data.matlab.read_mat`; variables of another kind or shape.
    """
    given = [read_mat(path, name) for name in _VARIABLES]
    faces, part, vertex, u, v = (
        _numbers(path, *pair) for pair in zip(_VARIABLES, given, strict=True)
    )
    count = len(vertex)
    if faces.ndim != 2 or faces.shape[1:] != (3,) or part.shape != faces.shape[:1]:
        raise InputError(
            f"{path}: All_Faces {list(faces.shape)} and All_FaceIndices {list(part.shape)} have to "
            "be [F, 3] and [F]."
        )
    if vertex.ndim != 1 or u.shape != (count,) or v.shape != (count,) or not len(faces):
        raise InputError(
            f"{path}: All_vertices, All_U_norm and All_V_norm need one number for each vertex of "
            f"the charts; their shapes are {list(vertex.shape)}, {list(u.shape)}, {list(v.shape)}."
        )
    limits = (
        ("All_Faces", faces, 1, count),
        ("All_FaceIndices", part, 1, PARTS),
        ("All_vertices", vertex, 1, 2**31),
        ("All_U_norm", u, 0, 1),
        ("All_V_norm", v, 0, 1),
    )
    for name, values, low, high in limits:
        if not (np.isfinite(values).all() and values.min() >= low and values.max() <= high):
            raise InputError(f"{path}: {name} has values outside {low} to {high}.")
    corner = faces.astype(int) - 1  # MATLAB counts from 1
    return Atlas(
        "smpl",
        vertex.astype(int)[corner] - 1,
        part.astype(int),
        np.stack([u[corner], v[corner]], axis=-1),
    )


def _numbers(path: str | Path, name: str, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not array.size:
        raise InputError(f"{path}: {name} is no array of numbers.")
    return np.atleast_1d(array).astype(np.float64)
