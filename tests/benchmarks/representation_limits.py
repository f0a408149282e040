"""Share of people that a representation cannot hold, counted from the annotations alone.

NumPy, and independent of the codecs: only the sizes of cells and the rules of the papers are used.
P people of one image, K keypoints.
"""

import numpy as np

LEAST_OKS = 0.95
LEAST_SIDE = 2.0  # cells, of a person: the square root of the area
LEAST_LEAD = 0.1  # of the score of a limb over those of others


def shared_cells(
    keypoints: np.ndarray, labelled: np.ndarray, stride: float, reach: int
) -> np.ndarray:
    """True for keypoints that have no peak of their own, bool `[P, K]`.

    The same keypoint of another person is at most `reach` cells away along both axes, so that no
    lower cell can be between them, or the search for peaks has only one in its window.
    """
    cell = np.floor(keypoints / stride + 0.5)
    away = np.abs(cell[:, None] - cell[None]).max(axis=-1)
    near = (away <= reach) & labelled[:, None] & labelled[None]
    near[np.arange(len(near)), np.arange(len(near))] = False
    return near.any(axis=1)


def near_others(keypoints: np.ndarray, labelled: np.ndarray, distance: float) -> np.ndarray:
    """True for keypoints less than `distance` from another person's along both axes, `[P, K]`."""
    away = np.abs(keypoints[:, None] - keypoints[None]).max(axis=-1)
    near = (away < distance) & labelled[:, None] & labelled[None]
    near[np.arange(len(near)), np.arange(len(near))] = False
    return near.any(axis=1)


def few_cells(
    keypoints: np.ndarray, labelled: np.ndarray, stride: float, side: int = 4, least: int = 4
) -> np.ndarray:
    """True for keypoints that are the nearest ones in fewer than `least` cells, bool `[P, K]`.

    The cells of a keypoint are the square of `side` around it (Kreiss et al. 2021, section 4.1).
    """
    place = keypoints / stride
    first = np.round(place - (side - 1) / 2)
    own = first[:, :, None, None] + np.stack(np.mgrid[:side, :side][::-1], axis=-1)[None, None]
    few = np.zeros(labelled.shape, bool)
    for person, keypoint in zip(*np.nonzero(labelled), strict=True):
        cells = own[person, keypoint].reshape(-1, 1, 2)
        others = np.flatnonzero(labelled[:, keypoint])
        away = np.linalg.norm(cells - place[others, keypoint], axis=-1)  # [cells, others]
        low = first[others, keypoint]
        claims = ((cells >= low) & (cells < low + side)).all(axis=-1)
        nearest = others[np.where(claims, away, np.inf).argmin(axis=1)]
        few[person, keypoint] = (nearest == person).sum() < least
    return few


def _centers(keypoints: np.ndarray, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean `[P, 2]` of the labelled keypoints, and the diagonal `[P]` of their extent."""
    known = labelled[..., None]
    total = np.where(known, keypoints, 0.0).sum(axis=1)
    low = np.where(known, keypoints, np.inf).min(axis=1)
    high = np.where(known, keypoints, -np.inf).max(axis=1)
    number = np.maximum(labelled.sum(axis=1), 1)
    return total / number[:, None], np.linalg.norm(high - low, axis=-1)


def covered_centers(
    keypoints: np.ndarray, labelled: np.ndarray, stride: float, radius: float
) -> np.ndarray:
    """True for people whose centre's cell has the vectors of a smaller person, bool `[P]`.

    A person has the square of 2 `radius` cells around its centre (DEKR, section 3.3).
    """
    center, size = _centers(keypoints, labelled)
    center = center / stride
    cell = np.trunc(center + 0.5)
    low, high = np.trunc(center - radius), np.trunc(center + radius)
    inside = ((cell[:, None] >= low[None]) & (cell[:, None] < high[None])).all(axis=-1)
    return (inside & (size[None] < size[:, None])).any(axis=1)


def shared_centers(
    keypoints: np.ndarray, labelled: np.ndarray, stride: float, reach: int
) -> np.ndarray:
    """True for people whose centre is at most `reach` cells from another's, bool `[P]`."""
    cell = np.floor(_centers(keypoints, labelled)[0] / stride + 0.5)
    away = np.abs(cell[:, None] - cell[None]).max(axis=-1)
    return ((away <= reach) & ~np.eye(len(away), dtype=bool)).any(axis=1)


def unclear_limbs(
    keypoints: np.ndarray,
    labelled: np.ndarray,
    limbs: tuple[tuple[int, int], ...],
    stride: float,
    points: int = 10,
    share: float = 0.8,
) -> np.ndarray:
    """True for people with a limb that its field does not single out, bool `[P]`.

    The field is the mean of the directions of all people's limbs at most one cell away (Cao et al.
    2021, eq. 8 and 9). A limb is singled out if the field along it supports it, and more than it
    supports the same limb from or to any other person's keypoint (eq. 11), by `LEAST_LEAD`.
    """
    unclear = np.zeros(len(keypoints), bool)
    for first, second in limbs:
        there = np.flatnonzero(labelled[:, first] & labelled[:, second])
        start, end = keypoints[there, first], keypoints[there, second]
        starts = np.flatnonzero(labelled[:, first])
        ends = np.flatnonzero(labelled[:, second])
        lead = end - start
        unit = lead / np.maximum(np.linalg.norm(lead, axis=-1), 1e-9)[:, None]
        a, b = keypoints[starts, first][:, None, None], keypoints[ends, second][None, :, None]
        place = a + np.linspace(0, 1, points)[:, None] * (b - a)  # [S, E, points, 2]
        own = (b - a) / np.maximum(np.linalg.norm(b - a, axis=-1, keepdims=True), 1e-9)
        offset = place[..., None, :] - start
        beside = np.abs(offset[..., 0] * unit[:, 1] - offset[..., 1] * unit[:, 0]) <= stride
        low, high = np.minimum(start, end) - stride, np.maximum(start, end) + stride
        near = beside & ((place[..., None, :] >= low) & (place[..., None, :] <= high)).all(axis=-1)
        field = (near[..., None] * unit).sum(axis=-2) / np.maximum(near.sum(axis=-1), 1)[..., None]
        value = (field * own).sum(axis=-1)  # [S, E, points]
        fits = (value > 0.05).sum(axis=-1) > share * points
        score = np.where(fits, value.mean(axis=-1), -1.0)
        for person in there:
            row, column = np.flatnonzero(starts == person)[0], np.flatnonzero(ends == person)[0]
            mine = score[row, column]
            others = np.concatenate(
                [np.delete(score[row], column), np.delete(score[:, column], row), [0.0]]
            )
            unclear[person] |= mine <= others.max() + LEAST_LEAD
    return unclear


def large_enough(area: np.ndarray, stride: float) -> np.ndarray:
    """True for people of at least two cells along each side, bool `[P]`."""
    return np.sqrt(area) >= LEAST_SIDE * stride


def keepable(shared: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """True for people of whom enough keypoints are left for the highest threshold of OKS."""
    kept = (labelled & ~shared).sum(axis=1) / np.maximum(labelled.sum(axis=1), 1)
    return kept >= LEAST_OKS
