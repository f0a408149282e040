"""Decoding of composite fields: people grow from seeds along associations, the surest first.

Kreiss et al. 2021, "OpenPifPaf: Composite Fields for Semantic Keypoint Detection and
Spatio-Temporal Association", arXiv:2103.02440, section 3.3; Kreiss et al. 2019, "PifPaf",
arXiv:1903.06593. Constants are those of the published package. It runs in NumPy on the host: the
number of steps depends on what is found, and few cells are above the thresholds.
"""

import heapq
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Cells whose Gaussians add up to full confidence in the accurate map.
_NEIGHBOURS = 16.0
# Weight of the accurate map in a seed's score; the rest is the confidence of its cell.
_FROM_MAP = 0.9
# Share of an association's confidence that does not depend on the keypoint at its end.
_FLOOR = 0.1
# Smallest extent in pixels of a keypoint that is taken, and pixels of a cell of that map.
_OCCUPIED, _COARSE = 4.0, 2.0
# Weight of the three surest keypoints of a person in its score, beside 1 for the others.
_SUREST, _SUREST_WEIGHT = 3, 3.0


class Keypoint(NamedTuple):
    """Place (x, y) in pixels, score in [0, 1], and scale in pixels of a keypoint."""

    x: float
    y: float
    score: float
    scale: float


Person = dict[int, Keypoint]
"""Keypoints of a person by their number."""


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the decoding.

    Attributes:
      map: lowest confidence of a cell that adds to the accurate map.
      seed: lowest confidence and score of a seed.
      association: lowest confidence of an association, before and after it is rescored.
      keypoint: lowest score of a keypoint.
      relative: lowest score of a keypoint, relative to the one that it was reached from.
      person: lowest score of a person.
    """

    map: float = 0.3
    seed: float = 0.2
    association: float = 0.2
    keypoint: float = 0.15
    relative: float = 0.5
    person: float = 0.15


def decode_people(
    keypoints: np.ndarray,
    associations: np.ndarray,
    pairs: tuple[tuple[int, int], ...],
    stride: int,
    input_hw: tuple[int, int],
    thresholds: Thresholds,
) -> list[tuple[float, Person]]:
    """Scores and keypoints of all people in one image, the highest score first.

    Args:
      keypoints: `[h, w, K, 4]`: confidence, x and y, scale; in cells.
      associations: `[h, w, L, 7]`: confidence, x and y of both ends, scale of both; in cells.
      pairs: keypoints at the ends of each of the L associations.
      stride: pixels of a cell.
      input_hw: size of the image in pixels.
    """
    cells = keypoints.astype(np.float32) * np.array([1, stride, stride, stride], np.float32)
    ends = associations.astype(np.float32) * np.array([1, *(stride,) * 6], np.float32)
    count = keypoints.shape[2]
    maps = np.stack([accurate_map(cells[:, :, k], input_hw, thresholds.map) for k in range(count)])
    neighbours = _neighbours(ends, pairs, maps, thresholds.association)
    taken = _Taken(count, input_hw)
    people: list[Person] = []
    for kind, seed in _seeds(cells, maps, thresholds.seed):
        if taken.has(kind, seed):
            continue
        person = _grow({kind: seed}, neighbours, thresholds)
        for number, keypoint in person.items():
            taken.add(number, keypoint)
        people.append(person)
    return _without_doubles(people, count, input_hw, thresholds)


def accurate_map(cells: np.ndarray, input_hw: tuple[int, int], threshold: float) -> np.ndarray:
    """Likelihood of one keypoint in each pixel, `[H, W]` in [0, 1]: sums of small Gaussians.

    Section 3.2 of arXiv:1903.06593. `cells` is `[h, w, 4]`: confidence, x, y and scale in pixels.
    """
    height, width = input_hw
    total = np.zeros((height, width), np.float32)
    for confidence, x, y, scale in cells[cells[..., 0] >= threshold]:
        sigma = float(np.float32(max(1.0, 0.5 * scale)))
        rows, columns = _window(y, sigma, height), _window(x, sigma, width)
        down = np.square(np.arange(rows.start, rows.stop, dtype=np.float32) - y)[:, None]
        across = np.square(np.arange(columns.start, columns.stop, dtype=np.float32) - x)[None]
        squared = down + across
        share = np.where((down < 0.25) & (across < 0.25), 1.0, _decay(-0.5 * squared / sigma**2))
        share = np.where(squared > sigma**2, 0.0, share) * (confidence / _NEIGHBOURS)
        part = total[rows, columns]
        part[...] = np.minimum(part + share.astype(np.float32), 1.0)
    return total


def _decay(x: np.ndarray) -> np.ndarray:
    """Approximation of exp(x) by (1 + x / 8)^8, 0 below -2."""
    return np.where(x < -2, 0.0, (1 + x / 8) ** 8)


def _window(middle: float, reach: float, size: int) -> slice:
    """Pixels of an axis within `reach` of `middle`, at least one."""
    low = min(max(int(middle - reach), 0), size - 1)
    return slice(low, min(max(int(middle + reach + 1), low + 1), size))


def _look_up(maps: np.ndarray, kind: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of the map of keypoint `kind` at the pixels nearest to (x, y); 0 outside."""
    height, width = maps.shape[1:]
    column, row = ((values + 0.5).astype(np.int64) for values in (x, y))
    inside = (x + 0.5 >= 0) & (column < width) & (y + 0.5 >= 0) & (row < height)
    found = maps[kind, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return np.where(inside, found, 0.0)


def _seeds(cells: np.ndarray, maps: np.ndarray, threshold: float) -> list[tuple[int, Keypoint]]:
    """Number and keypoint of every cell that is likely enough, the likeliest first."""
    found: list[tuple[int, Keypoint]] = []
    for kind in range(cells.shape[2]):
        confidence, x, y, scale = cells[:, :, kind][cells[:, :, kind, 0] >= threshold].T
        score = _FROM_MAP * _look_up(maps, kind, x, y) + (1 - _FROM_MAP) * confidence
        rows = np.stack([x, y, score, scale], axis=1)[score >= threshold]
        found += [(kind, Keypoint(*row)) for row in rows.tolist()]
    return sorted(found, key=lambda seed: -seed[1].score)


class _Neighbour(NamedTuple):
    """Keypoint next to another one, with associations to it and back.

    Associations are `[N, 7]`: confidence, x and y of the start, x and y of the end, scale of both.
    """

    kind: int
    there: np.ndarray
    back: np.ndarray


def _neighbours(
    ends: np.ndarray, pairs: tuple[tuple[int, int], ...], maps: np.ndarray, threshold: float
) -> dict[int, list[_Neighbour]]:
    """Neighbours of each keypoint; associations count by the keypoint at their end."""
    found: dict[int, list[_Neighbour]] = {}
    for number, (first, second) in enumerate(pairs):
        rows = ends[:, :, number][ends[:, :, number, 0] >= threshold]
        turned = rows[:, [0, 3, 4, 1, 2, 6, 5]]
        ways = []
        for way, kind in ((rows, second), (turned, first)):
            likely = _look_up(maps, kind, way[:, 3], way[:, 4])
            confidence = way[:, 0] * (_FLOOR + (1 - _FLOOR) * likely)
            way = np.concatenate([confidence[:, None], way[:, 1:]], axis=1)
            ways.append(way[confidence >= threshold].astype(np.float32))
        forward, backward = ways
        found.setdefault(first, []).append(_Neighbour(second, forward, backward))
        found.setdefault(second, []).append(_Neighbour(first, backward, forward))
    return found


def _grow(
    person: Person, neighbours: dict[int, list[_Neighbour]], thresholds: Thresholds
) -> Person:
    """Add all keypoints that can be reached, the surest first."""
    frontier: list[tuple[float, int, int, _Neighbour, Keypoint | None]] = []
    entered = 0

    def enter(score: float, start: int, neighbour: _Neighbour, found: Keypoint | None) -> None:
        nonlocal entered
        heapq.heappush(frontier, (-score, entered, start, neighbour, found))
        entered += 1

    def open_from(start: int) -> None:
        for neighbour in neighbours.get(start, ()):
            if neighbour.kind not in person:
                # No connection can have a higher score.
                enter(np.sqrt(person[start].score), start, neighbour, None)

    for start in tuple(person):
        open_from(start)
    while frontier:
        _, _, start, neighbour, found = heapq.heappop(frontier)
        if neighbour.kind in person:
            continue
        if found is not None:
            person[neighbour.kind] = found
            open_from(neighbour.kind)
            continue
        found = _connect(person[start], neighbour, thresholds)
        if found is not None:
            enter(found.score, start, neighbour, found)
    return person


def _connect(start: Keypoint, neighbour: _Neighbour, thresholds: Thresholds) -> Keypoint | None:
    """Keypoint at the other end of the best associations, if these lead back as well."""
    end = _follow(neighbour.there, start)
    if end is None:
        return None
    score = float(np.sqrt(end.score * start.score))
    if score < max(thresholds.keypoint, start.score * thresholds.relative):
        return None
    origin = _follow(neighbour.back, end)
    if origin is None or abs(start.x - origin.x) + abs(start.y - origin.y) > start.scale:
        return None
    return end._replace(score=score)


def _follow(associations: np.ndarray, start: Keypoint) -> Keypoint | None:
    """End of the best association near `start`; the mean of the best two if these agree."""
    scale = max(start.scale, 0.0)
    away = np.abs(associations[:, 1:3] - np.array([start.x, start.y], np.float32))
    near = associations[(away <= 2 * scale).all(axis=1)]
    if not len(near) or scale == 0:
        return None
    squared = np.square(near[:, 1:3] - np.array([start.x, start.y], np.float32)).sum(axis=1)
    score = near[:, 0] * np.exp(-2.0 * squared / scale**2)
    order = np.argsort(-score, kind="stable")[:2]
    best, value = near[order[0]], float(score[order[0]])
    if value == 0:
        return None
    single = Keypoint(float(best[3]), float(best[4]), 0.5 * value, float(best[6]))
    if len(order) == 1:
        return single
    other, second = near[order[1]], float(score[order[1]])
    apart = float(np.square(best[3:5] - other[3:5]).sum())
    if second < max(0.01, 0.5 * value) or apart > best[6] ** 2 / 4:
        return single
    x, y, size = (
        (value * float(best[i]) + second * float(other[i])) / (value + second) for i in (3, 4, 6)
    )
    return Keypoint(x, y, 0.5 * (value + second), size)


class _Taken:
    """Coarse maps of the places where people have keypoints already."""

    def __init__(self, count: int, input_hw: tuple[int, int]) -> None:
        height, width = (int(side / _COARSE) + 1 for side in input_hw)
        self._maps = np.zeros((count, height, width), bool)

    def add(self, kind: int, keypoint: Keypoint) -> None:
        height, width = self._maps.shape[1:]
        reach = max(_OCCUPIED, keypoint.scale) / _COARSE
        rows = _window(keypoint.y / _COARSE, reach, height)
        self._maps[kind, rows, _window(keypoint.x / _COARSE, reach, width)] = True

    def has(self, kind: int, keypoint: Keypoint) -> bool:
        height, width = self._maps.shape[1:]
        row = min(max(int(keypoint.y / _COARSE), 0), height - 1)
        column = min(max(int(keypoint.x / _COARSE), 0), width - 1)
        return bool(self._maps[kind, row, column])


def _without_doubles(
    people: list[Person], count: int, input_hw: tuple[int, int], thresholds: Thresholds
) -> list[tuple[float, Person]]:
    """Leave out keypoints that a better person has, and people with too low a score."""

    def rated(people: list[Person]) -> list[tuple[float, Person]]:
        pairs = [(person_score(person, count), person) for person in people]
        return sorted(pairs, key=lambda pair: -pair[0])

    taken = _Taken(count, input_hw)
    kept: list[Person] = []
    for _, person in rated(people):
        own: Person = {}
        for kind in sorted(person):
            keypoint = person[kind]
            if not taken.has(kind, keypoint):
                taken.add(kind, keypoint)
                if keypoint.score >= thresholds.keypoint:
                    own[kind] = keypoint
        kept.append(own)
    return [pair for pair in rated(kept) if pair[0] >= thresholds.person]


def person_score(person: Person, count: int) -> float:
    """Weighted mean of the scores of all `count` keypoints, 0 for those that are missing."""
    scores = sorted((keypoint.score for keypoint in person.values()), reverse=True)
    weights = [_SUREST_WEIGHT if i < _SUREST else 1.0 for i in range(count)]
    total = sum(weight * score for weight, score in zip(weights, scores, strict=False))
    return total / sum(weights)
