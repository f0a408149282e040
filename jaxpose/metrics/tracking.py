"""Metrics of tracking: HOTA, MOTA and IDF1 from the similarities of people in each frame.

HOTA: Luiten et al. 2021, arXiv:2009.07736. MOTA: Bernardin and Stiefelhagen 2008. IDF1: Ristani et
al. 2016, arXiv:1609.01775. The figures are those of TrackEval for the same similarities; transfers
are those of py-motmetrics.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxpose.errors import InputError

ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Similarities at which HOTA counts a match."""
_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class TrackedFrame:
    """Annotated people and tracked people of one frame.

    Attributes:
      truth: ids of the annotated people, `[G]` integers, each once.
      found: ids of the tracked people, `[D]` integers, each once.
      similarity: `[G, D]` in [0, 1], such as the overlap of boxes.

    Raises:
      InputError: an id is there twice, or the shapes do not fit.
    """

    truth: np.ndarray
    found: np.ndarray
    similarity: np.ndarray

    def __post_init__(self) -> None:
        for name in ("truth", "found"):
            ids = np.asarray(getattr(self, name), np.int64).reshape(-1)
            numbers, count = np.unique(ids, return_counts=True)
            if (count > 1).any():
                who = "annotated" if name == "truth" else "tracked"
                raise InputError(f"Id {numbers[count > 1][0]} is there twice among {who} people.")
            object.__setattr__(self, name, ids)
        similarity = np.asarray(self.similarity, np.float64)
        if similarity.size == 0:
            similarity = similarity.reshape(len(self.truth), len(self.found))
        object.__setattr__(self, "similarity", similarity)
        if self.similarity.shape != (len(self.truth), len(self.found)):
            raise InputError(
                f"Similarities are {list(self.similarity.shape)} for {len(self.truth)} annotated "
                f"and {len(self.found)} tracked people."
            )


@dataclass(frozen=True)
class TrackingCounts:
    """Counts of one or several sequences, which add up; `figures` computes the metrics.

    Attributes:
      hota_tp, hota_fp, hota_fn: `[19]` matches, false and missed people for each of `ALPHAS`.
      association: `[19]` sum over matches of the agreement of their tracks.
      location: `[19]` sum of the similarities of matches.
      tp, fp, fn: matches, false and missed people at a similarity of 0.5.
      switches: number of people whose id differs from that of their match before.
      transfers: number of people whose id differs from that of their match before, and was matched
        with another person last. An exchange of two people's ids counts twice, a new id not at all.
      fragments: number of times that a person is found again.
      idtp, idfp, idfn: people in matched tracks, others of the tracker and others of the truth, for
        the assignment of whole tracks with most matches.
    """

    hota_tp: np.ndarray
    hota_fp: np.ndarray
    hota_fn: np.ndarray
    association: np.ndarray
    location: np.ndarray
    tp: int
    fp: int
    fn: int
    switches: int
    transfers: int
    fragments: int
    idtp: int
    idfp: int
    idfn: int

    def __add__(self, other: "TrackingCounts") -> "TrackingCounts":
        names = [field.name for field in fields(self)]
        return TrackingCounts(**{n: getattr(self, n) + getattr(other, n) for n in names})

    def figures(self) -> dict[str, float]:
        """HOTA, DetA, AssA, LocA, MOTA and IDF1 in [0, 1] (MOTA may be negative), and counts.

        -1 for all shares if no person is annotated.
        """
        if self.tp + self.fn == 0:
            shares = dict.fromkeys(("HOTA", "DetA", "AssA", "LocA", "MOTA", "IDF1"), -1.0)
        else:
            found = self.hota_tp / np.maximum(1, self.hota_tp + self.hota_fp + self.hota_fn)
            associated = self.association / np.maximum(1, self.hota_tp)
            located = np.maximum(1e-10, self.location) / np.maximum(1e-10, self.hota_tp)
            identified = self.idtp + 0.5 * (self.idfp + self.idfn)
            shares = {
                "HOTA": float(np.sqrt(found * associated).mean()),
                "DetA": float(found.mean()),
                "AssA": float(associated.mean()),
                "LocA": float(located.mean()),
                "MOTA": (self.tp - self.fp - self.switches) / max(1, self.tp + self.fn),
                "IDF1": self.idtp / max(1, identified),
            }
        return shares | {
            "switches": float(self.switches),
            "transfers": float(self.transfers),
            "fragments": float(self.fragments),
            "missed": float(self.fn),
            "false": float(self.fp),
        }


def count_tracking(frames: Sequence[TrackedFrame]) -> TrackingCounts:
    """Counts of one sequence, whose frames are in order."""
    truth, found = _numbered(frames, "truth"), _numbered(frames, "found")
    numbered = [
        (
            np.array([truth[i] for i in frame.truth.tolist()], int),
            np.array([found[i] for i in frame.found.tolist()], int),
            frame.similarity,
        )
        for frame in frames
    ]
    sizes = len(truth), len(found)
    counts: dict[str, Any] = {
        **_hota(numbered, sizes),
        **_clear(numbered, sizes),
        **_identity(numbered, sizes),
    }
    return TrackingCounts(**counts)


_Numbered = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _numbered(frames: Iterable[TrackedFrame], name: str) -> dict[int, int]:
    """Numbers 0, 1, ... of all ids, in the order of the ids."""
    ids = {number for frame in frames for number in getattr(frame, name).tolist()}
    return {number: place for place, number in enumerate(sorted(ids))}


def _frames_of_tracks(frames: _Numbered, sizes: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Number of frames of each annotated track `[G, 1]` and of each found one `[1, D]`."""
    truth, found = np.zeros(sizes[0]), np.zeros(sizes[1])
    for rows, columns, _ in frames:
        truth[rows] += 1
        found[columns] += 1
    return truth[:, None], found[None]


def _hota(frames: _Numbered, sizes: tuple[int, int]) -> dict[str, Any]:
    """Fields `hota_tp` to `location` of `TrackingCounts` (arXiv:2009.07736, section 4)."""
    of_truth, of_found = _frames_of_tracks(frames, sizes)
    potential = np.zeros(sizes)
    for rows, columns, similarity in frames:
        whole = similarity.sum(0, keepdims=True) + similarity.sum(1, keepdims=True) - similarity
        share = np.where(whole > _EPS, similarity / np.maximum(whole, _EPS), 0)
        potential[rows[:, None], columns[None]] += share
    alignment = potential / np.maximum(of_truth + of_found - potential, _EPS)
    tp, fp, fn, location = (np.zeros(len(ALPHAS)) for _ in range(4))
    matches = np.zeros((len(ALPHAS), *sizes))
    for rows, columns, similarity in frames:
        score = alignment[rows[:, None], columns[None]] * similarity
        i, j = linear_sum_assignment(-score)
        near = similarity[i, j]
        for a, alpha in enumerate(ALPHAS):
            matched = near >= alpha - _EPS
            count = matched.sum()
            tp[a] += count
            fn[a] += len(rows) - count
            fp[a] += len(columns) - count
            location[a] += near[matched].sum()
            matches[a, rows[i[matched]], columns[j[matched]]] += 1
    agreement = matches / np.maximum(1, of_truth[None] + of_found[None] - matches)
    return {
        "hota_tp": tp,
        "hota_fp": fp,
        "hota_fn": fn,
        "association": (matches * agreement).sum(axis=(1, 2)),
        "location": location,
    }


def _clear(frames: _Numbered, sizes: tuple[int, int]) -> dict[str, int]:
    """Fields `tp` to `fragments` of `TrackingCounts`, at a similarity of 0.5."""
    tp = fp = fn = switches = transfers = 0
    last_match: np.ndarray = np.full(sizes[0], -1)
    last_owner: np.ndarray = np.full(sizes[1], -1)
    last_frame: np.ndarray = np.full(sizes[0], -1)
    begun: np.ndarray = np.zeros(sizes[0], int)
    for rows, columns, similarity in frames:
        if not len(rows) or not len(columns):
            fn, fp = fn + len(rows), fp + len(columns)
            continue
        # A match of the frame before is kept wherever it is still similar enough.
        score = 1000.0 * (columns[None] == last_frame[rows][:, None]) + similarity
        score[similarity < 0.5 - _EPS] = 0
        i, j = linear_sum_assignment(-score)
        matched = score[i, j] > _EPS
        people, ids = rows[i[matched]], columns[j[matched]]
        before = last_match[people]
        switches += int(((before >= 0) & (before != ids)).sum())
        owners = last_owner[ids]
        transfers += int(((owners >= 0) & (owners != people) & (before != ids)).sum())
        last_owner[ids] = people
        lost = last_frame < 0
        last_match[people] = ids
        last_frame[:] = -1
        last_frame[people] = ids
        begun += lost & (last_frame >= 0)
        tp += len(people)
        fn += len(rows) - len(people)
        fp += len(columns) - len(people)
    fragments = int(np.maximum(begun - 1, 0).sum())
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "switches": switches,
        "transfers": transfers,
        "fragments": fragments,
    }


def _identity(frames: _Numbered, sizes: tuple[int, int]) -> dict[str, int]:
    """Fields `idtp` to `idfn` of `TrackingCounts` (arXiv:1609.01775, section 4)."""
    together = np.zeros(sizes)
    truth = found = 0
    for rows, columns, similarity in frames:
        together[rows[:, None], columns[None]] += similarity >= 0.5
        truth, found = truth + len(rows), found + len(columns)
    right = int(together[linear_sum_assignment(-together)].sum())
    return {"idtp": right, "idfp": found - right, "idfn": truth - right}


@dataclass(frozen=True)
class TrackedPoints:
    """Annotated and tracked keypoints of one frame, for `keypoint_mota`.

    Attributes:
      truth_ids: `[G]`; found_ids: `[D]`.
      truth: `[G, K, 2]` pixels, NaN where not annotated.
      found: `[D, K, 2]` pixels, NaN where not predicted.
      head_sizes: `[G]` head sizes in pixels, PoseTrack's 0.6 times the diagonal of the head box.
    """

    truth_ids: np.ndarray
    truth: np.ndarray
    head_sizes: np.ndarray
    found_ids: np.ndarray
    found: np.ndarray


def keypoint_mota(frames: Sequence[Sequence[TrackedPoints]], reach: float = 0.5) -> np.ndarray:
    """PoseTrack's MOTA of each keypoint, `[K]`, in per cent (arXiv:1710.10000, section 4).

    A keypoint matches within `reach` head sizes. A match is kept as long as both are that near;
    other keypoints are matched with the smallest sum of distances. NaN where a keypoint is nowhere
    annotated; the total is the mean over the others.

    Args:
      frames: the frames of each sequence.
      reach: largest distance of a match in head sizes.

    Raises:
      InputError: no frame.
    """
    count = next((f.truth.shape[1] for sequence in frames for f in sequence), None)
    if count is None:
        raise InputError("MOTA needs at least one frame.")
    errors, objects = np.zeros(count), np.zeros(count)
    for sequence in frames:
        for k in range(count):
            last: dict[int, int] = {}
            for frame in sequence:
                wrong, there = _point_errors(frame, k, reach, last)
                errors[k] += wrong
                objects[k] += there
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(objects > 0, 100 * (1 - errors / objects), np.nan)


def _point_errors(
    frame: TrackedPoints, k: int, reach: float, last: dict[int, int]
) -> tuple[int, int]:
    """Misses, false points and switches of keypoint k, and the number of annotated ones.

    `last` is the id that each annotated person was matched with last; it is updated.
    """
    rows = np.flatnonzero(np.isfinite(frame.truth[:, k]).all(axis=-1))
    columns = np.flatnonzero(np.isfinite(frame.found[:, k]).all(axis=-1))
    gap = np.linalg.norm(frame.truth[rows, None, k] - frame.found[None, columns, k], axis=-1)
    gap = gap / frame.head_sizes[rows][:, None]
    near = gap <= reach
    truth, found = frame.truth_ids[rows].tolist(), frame.found_ids[columns].tolist()
    pairs: dict[int, int] = {}
    for i, person in enumerate(truth):
        j = found.index(last[person]) if last.get(person) in found else -1
        if j >= 0 and near[i, j] and j not in pairs.values():
            pairs[i] = j
    free = [i for i in range(len(truth)) if i not in pairs]
    left = [j for j in range(len(found)) if j not in pairs.values()]
    switches = 0
    if free and left:
        allowed = near[np.ix_(free, left)]
        # As many matches as possible, then the smallest sum of distances.
        cost = np.where(allowed, gap[np.ix_(free, left)], 1e6)
        for a, b in zip(*linear_sum_assignment(cost), strict=True):
            if not allowed[a, b]:
                continue
            i, j = free[a], left[b]
            switches += truth[i] in last and last[truth[i]] != found[j]
            pairs[i] = j
    for i, j in pairs.items():
        last[truth[i]] = found[j]
    return len(truth) + len(found) - 2 * len(pairs) + switches, len(truth)
