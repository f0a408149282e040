"""Triangles in NumPy: nearest points, in a plane and in 3D, and normals of meshes."""

import numpy as np

_MOST_PAIRS = 1_000_000  # (point, triangle) at a time


def nearest_on_triangles(
    points: np.ndarray, triangles: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest point on any of several triangles, for each point.

    Args:
      points: `[N, D]`, D at least 2.
      triangles: corners `[F, 3, D]`, F at least 1; triangles may be flat.

    Returns:
      The triangle `[N]`; the shares of its corners `[N, 3]`, at least 0 and of sum 1, that give the
      nearest point; and its distance `[N]`. Of equal distances the first triangle counts.
    """
    points, triangles = np.asarray(points, np.float64), np.asarray(triangles, np.float64)
    step = max(1, _MOST_PAIRS // len(triangles))
    found = [_nearest(points[i : i + step], triangles) for i in range(0, len(points), step)]
    if not found:
        return np.zeros(0, int), np.zeros((0, 3)), np.zeros(0)
    face, shares, distance = (np.concatenate(values) for values in zip(*found, strict=True))
    return face, shares, distance


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals `[V, 3]` of a mesh: means of its triangles' normals by their areas.

    Args:
      vertices: `[V, 3]`.
      faces: int `[F, 3]`; counter-clockwise from the side to which the normals point. A vertex of
        no triangle, or of flat ones alone, has the normal 0.
    """
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(total, faces[:, corner], normal)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-9)


def _nearest(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same for all pairs at once."""
    origin = triangles[:, 0]
    first, second = triangles[:, 1] - origin, triangles[:, 2] - origin  # [F, D]
    along = points @ first.T - (origin * first).sum(axis=1)  # (p - origin) . first, [N, F]
    across = points @ second.T - (origin * second).sum(axis=1)
    aa, ab, bb = (first**2).sum(axis=1), (first * second).sum(axis=1), (second**2).sum(axis=1)
    area = aa * bb - ab**2
    flat = area <= 1e-12 * aa * bb
    scale = 1 / np.where(flat, 1.0, area)
    s, t = (bb * along - ab * across) * scale, (aa * across - ab * along) * scale
    # Places (s, t) on the three edges, and inside the triangle where the projection is there.
    inside = (s >= 0) & (t >= 0) & (s + t <= 1) & ~flat
    zero = np.zeros_like(s)
    rest = _part(along - across - ab + bb, aa - 2 * ab + bb)  # from the third corner to the second
    places = [
        (np.where(inside, s, 0.0), np.where(inside, t, 0.0)),
        (_part(along, aa), zero),
        (zero, _part(across, bb)),
        (rest, 1 - rest),
    ]
    # |p - origin - s first - t second|^2 without |p - origin|^2, which all places share.
    squares = np.stack(
        [s * s * aa + 2 * s * t * ab + t * t * bb - 2 * (s * along + t * across) for s, t in places]
    )
    squares[0] = np.where(inside, squares[0], np.inf)
    best = squares.argmin(axis=0)
    offset = (points**2).sum(axis=1)[:, None] - 2 * points @ origin.T + (origin**2).sum(axis=1)
    face = (np.take_along_axis(squares, best[None], axis=0)[0] + offset).argmin(axis=1)
    rows = np.arange(len(points))
    chosen = best[rows, face]
    s, t = (np.stack([p[i] for p in places])[chosen, rows, face] for i in (0, 1))
    shares = np.stack([1 - s - t, s, t], axis=1)
    near = (shares[..., None] * triangles[face]).sum(axis=1)
    return face, shares, np.linalg.norm(points - near, axis=1)


def _part(along: np.ndarray, square: np.ndarray) -> np.ndarray:
    """Place on an edge, 0 to 1, from a product with the edge and the square of its length."""
    return np.clip(along / np.where(square > 0, square, 1.0), 0.0, 1.0)
