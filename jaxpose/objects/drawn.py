"""Five drawn objects the size of those of LINEMOD, one of them symmetric: no downloads."""

from functools import cache

import numpy as np

from jaxpose.objects.model import ObjectModel, diameter_of

# Half a turn about z.
_HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0]).ravel().tolist()

Part = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Vertices `[V, 3]`, faces `[F, 3]` and colors `[V, 3]`."""


@cache
def drawn_objects() -> tuple[ObjectModel, ...]:
    """Duck, mug, hammer, camera and egg box, numbered from 1.

    The egg box is unchanged by half a turn about z.
    """
    return tuple(
        _joined(number, name, parts, symmetric)
        for number, (name, parts, symmetric) in enumerate(
            (
                ("duck", _duck(), False),
                ("mug", _mug(), False),
                ("hammer", _hammer(), False),
                ("camera", _camera(), False),
                ("egg box", _egg_box(), True),
            ),
            start=1,
        )
    )


def _duck() -> list[Part]:
    yellow, orange, dark = (235, 200, 40), (230, 110, 20), (30, 30, 40)
    return [
        _ball((42, 28, 26), (0, 0, 0), yellow),
        _ball((20, 20, 20), (30, 0, 32), yellow),
        _ball((14, 9, 5), (52, 0, 30), orange),
        _ball((16, 6, 12), (-42, 0, 12), (200, 150, 30)),
        *(_ball((4, 4, 4), (42, side * 12, 40), dark) for side in (-1, 1)),
    ]


def _mug() -> list[Part]:
    blue, white = (40, 90, 190), (225, 225, 215)
    angles = np.linspace(-0.5 * np.pi, 0.5 * np.pi, 7)
    handle = [
        _ball((7, 7, 7), (34 + 22 * np.cos(a), 0, 22 * np.sin(a)), (210, 60, 50)) for a in angles
    ]
    return [
        _cylinder(34, 80, (0, 0, 0), blue),
        _cylinder(30, 4, (0, 0, 40), white),
        _box((4, 26, 30), (-33, 0, 0), (240, 190, 60)),
        *handle,
    ]


def _hammer() -> list[Part]:
    return [
        _cylinder(9, 120, (0, 0, -15), (150, 95, 45)),
        _cylinder(11, 40, (0, 0, -58), (40, 40, 45)),
        _box((64, 24, 24), (6, 0, 50), (120, 125, 135)),
        _box((12, 30, 30), (40, 0, 50), (170, 40, 40)),
        _box((24, 10, 10), (-36, 0, 50), (90, 95, 105)),
    ]


def _camera() -> list[Part]:
    black, silver = (45, 45, 50), (175, 175, 180)
    lens = [_cylinder(r, h, (8, 0, z), c) for r, h, z, c in
            ((23, 26, 26, black), (19, 30, 28, silver), (14, 33, 29, (60, 80, 160)))]  # fmt: skip
    return [
        _box((100, 60, 30), (0, 0, 0), black),
        _box((100, 16, 31), (0, 22, 0), silver),
        _box((26, 14, 24), (10, -36, 0), (90, 90, 95)),
        _box((14, 6, 14), (-36, -32, 0), (200, 40, 40)),
        *lens,
    ]


def _egg_box() -> list[Part]:
    grey, green = (150, 145, 130), (90, 140, 90)
    cups = [
        _ball((16, 16, 14), (x, y, 16), green if abs(x) > 30 else grey)
        for x in (-36, 0, 36)
        for y in (-18, 18)
    ]
    return [_box((116, 76, 26), (0, 0, 0), grey), *cups, _box((30, 80, 6), (0, 0, -14), green)]


def _joined(number: int, name: str, parts: list[Part], symmetric: bool) -> ObjectModel:
    starts = np.cumsum([0, *(len(vertices) for vertices, _, _ in parts)])
    vertices = np.concatenate([part[0] for part in parts])
    faces = np.concatenate([p[1] + start for p, start in zip(parts, starts, strict=False)])
    colors = np.concatenate([part[2] for part in parts])
    # Lighter upwards, and on one side unless the object is symmetric: no view is without texture.
    height = vertices[:, 2] / np.abs(vertices[:, 2]).max()
    side = 0 if symmetric else vertices[:, 1] / np.abs(vertices[:, 1]).max()
    colors = colors * (1 + 0.25 * height + 0.2 * side)[:, None]
    info = {"symmetries_discrete": [_HALF_TURN]} if symmetric else {}
    return ObjectModel(
        number,
        name,
        vertices,
        faces,
        np.clip(np.rint(colors), 0, 255).astype(np.uint8),
        diameter_of(vertices),
        info,
    )


def _ball(radii, middle, color, rings: int = 8, columns: int = 12) -> Part:
    """Ellipsoid."""
    polar = np.linspace(0, np.pi, rings + 1)[:, None]
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)[None]
    grid = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) + 0 * turn], -1
    )
    return _grid(grid * radii + np.asarray(middle), color)


def _cylinder(radius, length, middle, color, columns: int = 16) -> Part:
    """Closed cylinder along z."""
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    ring = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=-1)
    heights = np.linspace(0.5, -0.5, 6)
    outline = [(0.0, 0.5), (1.0, 0.5), *((1.0, h) for h in heights), (1.0, -0.5), (0.0, -0.5)]
    grid = np.stack([r * radius * ring + [0, 0, h * length] for r, h in outline])
    return _grid(grid + np.asarray(middle), color)


def _box(sizes, middle, color) -> Part:
    """Box whose sides share no vertices, so that its edges stay sharp."""
    corners: list[np.ndarray] = []
    faces: list[tuple[int, int, int]] = []
    for axis in range(3):
        for sign in (-1, 1):
            u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
            steps = np.linspace(-0.5, 0.5, 4)
            start = sum(len(side) for side in corners)
            corners.append(
                np.array(
                    [sign * 0.5 * np.eye(3)[axis] + a * u + b * v for a in steps for b in steps]
                )
            )
            for i in range(3):
                for j in range(3):
                    a, b, c, d = (start + 4 * (i + di) + j + dj for di, dj in
                                  ((0, 0), (1, 0), (1, 1), (0, 1)))  # fmt: skip
                    faces += [(a, b, c), (a, c, d)] if sign > 0 else [(a, c, b), (a, d, c)]
    vertices = np.concatenate(corners) * sizes + np.asarray(middle)
    return vertices, np.array(faces), np.tile(np.asarray(color, float), (len(vertices), 1))


def _grid(points: np.ndarray, color) -> Part:
    """Surface of rows `[R, C, 3]` from top to bottom, closed around, anticlockwise seen from z."""
    rows, columns, _ = points.shape
    row, column = np.mgrid[: rows - 1, :columns]
    a = row * columns + column
    b = row * columns + (column + 1) % columns
    below_a, below_b = a + columns, b + columns
    faces = np.stack([a, below_a, below_b, a, below_b, b], axis=-1).reshape(-1, 3)
    vertices = points.reshape(-1, 3)
    # Triangles at the poles have no area.
    edges = vertices[faces]
    area = np.linalg.norm(np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0]), axis=1)
    return vertices, faces[area > 1e-9], np.tile(np.asarray(color, float), (len(vertices), 1))
