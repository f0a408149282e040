"""Models of rigid objects: a surface, its symmetries, and the keypoints by which it is found."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from jaxpose.errors import InputError
from jaxpose.geometry.rigid import RigidPose
from jaxpose.geometry.symmetries import symmetry_transforms

# A symmetry in steps of a hundredth of the diameter, as the BOP toolkit's; labels of training data
# need fewer.
_STEP = 0.01
_SURFACE_POINTS = 8
# Points of the surface that metrics compare: ADD(-S) of 5,000 differs by less than 1 % from that of
# all vertices of a scanned model.
_MOST_POINTS = 5000


@dataclass(frozen=True)
class KnownObject:
    """Facts about an object that prediction needs, as plain data that can be stored as JSON.

    Attributes:
      id: number in its dataset.
      name: name for people.
      keypoints: K points of its frame, mm, in the order of the network's keypoints.
      low, high: corners of the box around it, mm.
      diameter: largest distance of two of its points, mm.
      symmetric: True if several poses have the same appearance.
    """

    id: int
    name: str
    keypoints: tuple[tuple[float, float, float], ...]
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    diameter: float
    symmetric: bool = False

    def corners(self) -> np.ndarray:
        """Corners of the box around it `[8, 3]`, mm; bit i of the row's number is axis i."""
        bits = np.arange(8)[:, None] >> np.arange(3) & 1
        return np.where(bits, self.high, self.low)


@dataclass(frozen=True, eq=False)
class ObjectModel:
    """Surface of an object, in millimetres of its frame.

    Attributes:
      id: number in its dataset.
      name: name for people.
      vertices: `[V, 3]` mm.
      faces: int `[F, 3]`, counter-clockwise from outside; none for a cloud of points.
      colors: uint8 `[V, 3]`, or None.
      diameter: largest distance of two vertices, mm.
      info: its entry of `models_info.json`, with the symmetries.
    """

    id: int
    name: str
    vertices: np.ndarray
    faces: np.ndarray
    colors: np.ndarray | None
    diameter: float
    info: Mapping[str, Any]

    @cached_property
    def symmetries(self) -> RigidPose:
        """Symmetries `[S]`, the identity among them."""
        return symmetry_transforms(self.info, _STEP)

    @property
    def symmetric(self) -> bool:
        """True if several poses have the same appearance."""
        return len(self.symmetries.t) > 1

    @cached_property
    def keypoints(self) -> np.ndarray:
        """Keypoints `[9, 3]` as of PVNet: eight far from each other, and the centre of the box."""
        middle = (self.vertices.min(axis=0) + self.vertices.max(axis=0)) / 2
        return np.concatenate([farthest_points(self.vertices, _SURFACE_POINTS), middle[None]])

    @cached_property
    def points(self) -> np.ndarray:
        """Vertices that metrics compare: all of them, or 5,000 drawn at random."""
        if len(self.vertices) <= _MOST_POINTS:
            return self.vertices
        chosen = np.random.default_rng(0).permutation(len(self.vertices))[:_MOST_POINTS]
        return self.vertices[np.sort(chosen)]

    def known(self, keypoints: np.ndarray | None = None) -> KnownObject:
        """Facts for prediction, with other keypoints `[K, 3]` if they are given."""
        points = self.keypoints if keypoints is None else keypoints
        low, high = self.vertices.min(axis=0), self.vertices.max(axis=0)

        def plain(point: np.ndarray) -> tuple[float, float, float]:
            x, y, z = (round(float(value), 4) for value in point)
            return x, y, z

        return KnownObject(
            self.id,
            self.name,
            tuple(plain(point) for point in points),
            plain(low),
            plain(high),
            round(float(self.diameter), 4),
            self.symmetric,
        )


def farthest_points(vertices: np.ndarray, count: int) -> np.ndarray:
    """Vertices `[count, 3]` that are far from each other: each is farthest from those before.

    The first is farthest from the middle of the box around all (PVNet begins with the middle).

    Raises:
      InputError: fewer vertices than points.
    """
    if len(vertices) < count:
        raise InputError(f"{count} keypoints need as many vertices, and there are {len(vertices)}")
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    distance = np.linalg.norm(vertices - middle, axis=1)
    chosen: list[int] = []
    for _ in range(count):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(vertices - vertices[chosen[-1]], axis=1))
    return vertices[chosen]


def diameter_of(vertices: np.ndarray) -> float:
    """Largest distance of two vertices `[V, 3]`."""
    try:
        vertices = vertices[ConvexHull(vertices).vertices]
    except QhullError:  # on one plane or line
        vertices = vertices[:: max(1, len(vertices) // 2000)]
    return float(pdist(vertices).max()) if len(vertices) > 1 else 0.0


def signed_volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Volume inside a closed surface; negative where faces are clockwise from outside."""
    a, b, c = (vertices[faces[:, i]] - vertices.mean(axis=0) for i in range(3))
    return float(np.einsum("fi,fi->", a, np.cross(b, c)) / 6)
