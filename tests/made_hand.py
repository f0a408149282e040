"""A right hand of our own in the layout of MANO's files: 778 vertices, 16 joints, a prior of poses.

As in MANO, the rest pose is flat with the fingers along -x, the palm down (-y) and the thumb at +z,
and the tips of the fingers are the vertices 744, 320, 443, 554 and 671.
"""

import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
_TIPS = {"index": 320, "middle": 443, "pinky": 671, "ring": 554, "thumb": 744}
# Joints from the palm to the tip and the radius, mm.
_CHAINS = {
    "index": ([[-88, 2, 23], [-128, 3, 27], [-152, 3, 29], [-173, 2, 30]], 8.5),
    "middle": ([[-92, 4, 1], [-137, 5, 1], [-165, 5, 1], [-187, 4, 1]], 8.5),
    "ring": ([[-85, 3, -19], [-126, 4, -22], [-152, 4, -24], [-174, 3, -25]], 8.0),
    "pinky": ([[-75, 0, -36], [-107, 0, -43], [-126, 0, -47], [-144, -1, -51]], 7.0),
    "thumb": ([[-22, -12, 25], [-50, -18, 53], [-74, -20, 74], [-94, -21, 92]], 10.0),
}
_AROUND, _RINGS = 10, 14


@lru_cache(maxsize=1)
def made_hand() -> dict[str, np.ndarray]:
    """Arrays of the file, in metres."""
    rng = np.random.default_rng(0)
    vertices, faces, weights, rings, tips = [], [], [], {0: []}, {}
    for number, finger in enumerate(_FINGERS):
        first = 1 + 3 * number
        begin = len(vertices)
        tips[finger] = _finger(finger, first, begin, vertices, faces, weights, rings)
        if finger == "thumb":  # the other fingers are closed by the palm
            vertices.append(np.array(_CHAINS[finger][0][0], float))
            weights.append(_share({0: 0.5, first: 0.5}))
            faces += [
                (len(vertices) - 1, begin + a, begin + (a + 1) % _AROUND) for a in range(_AROUND)
            ]
    _palm(vertices, faces, weights, rings)
    regressor = np.zeros((16, len(vertices)))
    for joint, members in rings.items():
        regressor[joint, members] = 1 / len(members)
    order = _order(len(vertices), tips)
    place = np.argsort(order)
    template = np.array(vertices)[order] / 1000
    parents = [2**32 - 1, *(0 if j % 3 == 1 else j - 1 for j in range(1, 16))]
    components, deviations, mean = _poses()
    return {
        "v_template": template,
        "shapedirs": _shapes(template, np.array(weights)[order]),
        "posedirs": 2e-4 * rng.standard_normal((778, 3, 135)),
        "J_regressor": regressor[:, order],
        "weights": np.array(weights)[order],
        "kintree_table": np.stack([parents, np.arange(16)]).astype(np.uint32),
        "f": place[np.array(faces)].astype(np.uint32),
        "hands_components": components,
        "hands_mean": mean,
        "hands_coeffs": deviations * rng.standard_normal((400, 45)),
    }


def _finger(finger, first, begin, vertices, faces, weights, rings):
    """Adds a tube along a finger; returns its last vertex, the tip."""
    points, radius = np.array(_CHAINS[finger][0], float), _CHAINS[finger][1]
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    stops = np.r_[0, np.cumsum(lengths)]
    along = np.sort(np.r_[stops[:3], np.linspace(0, stops[3] - 1.5, 12)[1:]])
    direction = (points[3] - points[0]) / np.linalg.norm(points[3] - points[0])
    side = np.cross(direction, [0.0, 1, 0])
    side /= np.linalg.norm(side)
    up = np.cross(side, direction)
    for number, length in enumerate(along):
        middle = np.array([np.interp(length, stops, points[:, axis]) for axis in range(3)])
        thick = radius * (1 - 0.3 * length / stops[3])
        thick *= np.sqrt(np.clip((stops[3] - length) / thick, 0.15, 1))
        for joint in range(3):
            if abs(length - stops[joint]) < 1e-9:
                rings[first + joint] = list(range(len(vertices), len(vertices) + _AROUND))
        for step in range(_AROUND):
            angle = 2 * np.pi * step / _AROUND
            vertices.append(middle + thick * (np.cos(angle) * side + np.sin(angle) * up))
            weights.append(_bend(length, stops, first))
            if number:
                a, b = (begin + number * _AROUND + (step + s) % _AROUND for s in (0, 1))
                faces += [(a - _AROUND, a, b), (a - _AROUND, b, b - _AROUND)]
    vertices.append(points[3])
    weights.append(_share({first + 2: 1.0}))
    last = begin + (len(along) - 1) * _AROUND
    faces += [
        (last + step, len(vertices) - 1, last + (step + 1) % _AROUND) for step in range(_AROUND)
    ]
    return len(vertices) - 1


def _palm(vertices, faces, weights, rings):
    """Adds an ellipsoid with blunt ends from the wrist to the knuckles."""
    begin, count = len(vertices), 7
    for number in range(count):
        polar = np.pi * (number + 1) / (count + 1)
        for step in range(_AROUND):
            angle = 2 * np.pi * step / _AROUND
            out = np.sqrt(np.sin(polar)) * np.array([0, np.cos(angle), np.sin(angle)])
            out[0] = np.cos(polar)
            vertices.append([-43, -1, -4] + np.array([54, 13, 42]) * out)
            weights.append(_share({0: 1.0}))
            if number:
                a, b = (begin + number * _AROUND + (step + s) % _AROUND for s in (0, 1))
                faces += [(a - _AROUND, a, b), (a - _AROUND, b, b - _AROUND)]
    last = begin + (count - 1) * _AROUND
    for x, ring, turn in ((54, begin, 1), (-54, last, -1)):
        vertices.append(np.array([-43.0 + x, -1, -4]))
        weights.append(_share({0: 1.0}))
        faces += [
            (len(vertices) - 1, ring + step, ring + (step + turn) % _AROUND)
            for step in range(_AROUND)
        ]
    rings[0] = list(range(begin, begin + _AROUND))  # the wrist


def _order(count, tips):
    """Numbers of the vertices in the order of the file, with each tip at its place."""
    order = np.arange(count)
    for finger, place in _TIPS.items():
        at = int(np.flatnonzero(order == tips[finger])[0])
        order[[at, place]] = order[[place, at]]
    return order


def _share(parts):
    row = np.zeros(16)
    for joint, share in parts.items():
        row[joint] = share
    return row


def _bend(length, stops, first):
    """Shares of a finger's joints at a length; they blend over 10 mm around each joint."""
    row = np.zeros(16)
    row[0] = 1.0
    for joint in range(3):
        share = np.clip((length - stops[joint] + 5) / 10, 0, 1)
        row *= 1 - share
        row[first + joint] += share
    return row


def _shapes(template, weights):
    """Displacements `[778, 3, 10]`: size, lengths of the fingers, width, thickness, each finger."""
    middle = template - [-0.08, 0, 0]
    fingers = weights[:, 1:].reshape(-1, 5, 3)
    along = fingers @ np.array([0.3, 0.6, 1.0])
    shapes = np.zeros((len(template), 3, 10))
    shapes[:, :, 0] = 0.05 * middle
    shapes[:, 0, 1] = -0.006 * along[:, :4].sum(axis=1)
    shapes[:, 2, 2] = 0.06 * middle[:, 2]
    shapes[:, 1, 3] = 0.08 * middle[:, 1]
    for number in range(5):
        shapes[:, 0, 4 + number] = -0.002 * along[:, number]
    shapes[:, 1, 9] = -0.002 * fingers[:, 4].sum(axis=1)
    return shapes


def _poses():
    """Components, their deviations and the mean of poses: fingers bend about z, all alike."""
    covariance = np.zeros((15, 3, 15, 3))
    joints = np.arange(15)
    finger, number = joints // 3, joints % 3
    alike = 0.45 + 0.25 * (number[:, None] == number) + 0.25 * (finger[:, None] == finger)
    np.fill_diagonal(alike, 1.0)
    covariance[:, 2, :, 2] = 0.4**2 * alike
    covariance[joints, 1, joints, 1] = np.where(number == 0, 0.12, 0.03) ** 2
    covariance[joints, 0, joints, 0] = 0.05**2
    values, vectors = np.linalg.eigh(covariance.reshape(45, 45))
    mean = np.zeros((15, 3))
    mean[:, 2] = np.array([0.35, 0.45, 0.25])[number]
    mean[12:] = [[0.1, 0.1, 0.1], [0, 0.1, 0.1], [0, 0.1, 0.1]]
    return vectors[:, ::-1].T, np.sqrt(values[::-1].clip(1e-9)), mean.ravel()


def save_hand(folder: Path | None = None, name: str = "MANO_RIGHT.npz") -> Path:
    """Writes the file; into a temporary folder if None."""
    folder = Path(tempfile.mkdtemp()) if folder is None else folder
    np.savez(folder / name, **made_hand())
    return folder / name
