"""HOTA, IDF1 and swaps of mice that look alike: the tracker beside plain Hungarian trackers.

    python -m tests.benchmarks.animals_tracking --mice 5 --videos 5

Mice are seen from above (`moving_mice`) and found with noise of 2.5 pixels, a mouse being
64 pixels long. Of two mice whose bodies cover each other, one is found, sometimes with the other's
tail; a mouse that is not seen well is found rarely and with noise of 8 pixels; mice are missed for
up to half a second, found from tail to head, and found where there are none.

A plain tracker has an assignment by distances of centres, or by overlaps of boxes, up to a largest
one; a track keeps its last position for 1.5 seconds.

Similarity is 1 - d / 64 with d the mean distance of the visible keypoints, so that IDF1 and MOTA
match mice within 32 pixels. `switches` are all changes of a mouse's id. `transfers` are those to an
id that belonged to another mouse last, so an exchange of two mice counts twice.
"""

import argparse
from collections.abc import Callable

import numpy as np
from scipy.optimize import linear_sum_assignment

from jaxpose.metrics.tracking import TrackedFrame, TrackingCounts, count_tracking
from jaxpose.tracking.pose_nms import box_around, box_overlap
from jaxpose.tracking.tracker import Tracker, Tracking
from tests.benchmarks.moving_mice import FPS, LENGTH, MOUSE, SIDE, Mice, mice

Follow = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]
"""Ids `[P]` from keypoints `[P, K, 2]`, scores `[P, K]`, boxes `[P, 4]` and seconds."""


class Plain:
    """Hungarian assignment to last positions, with a largest cost and nothing else."""

    def __init__(self, by: str, patience: float = 1.5) -> None:
        self.by, self.patience = by, patience
        self.tracks: list[tuple[int, np.ndarray, float]] = []
        self.count = 0

    def __call__(
        self, keypoints: np.ndarray, scores: np.ndarray, boxes: np.ndarray, seconds: float
    ) -> np.ndarray:
        places = boxes if self.by == "overlap" else keypoints.mean(axis=1)
        self.tracks = [track for track in self.tracks if track[2] >= seconds - self.patience]
        ids = np.zeros(len(keypoints), int)
        kept = []
        if self.tracks and len(places):
            last = np.stack([place for _, place, _ in self.tracks])
            if self.by == "overlap":
                cost, most = 1 - box_overlap(places, last), 0.95
            else:
                cost, most = np.linalg.norm(places[:, None] - last[None], axis=-1), LENGTH
            rows, columns = linear_sum_assignment(np.minimum(cost, most))
            for i, j in zip(rows, columns, strict=True):
                if cost[i, j] < most:
                    ids[i] = self.tracks[j][0]
            kept = [track for track in self.tracks if track[0] not in ids]
        else:
            kept = self.tracks
        for i in np.flatnonzero(ids == 0):
            self.count += 1
            ids[i] = self.count
        self.tracks = kept + [
            (int(number), place, seconds) for number, place in zip(ids, places, strict=True)
        ]
        return ids


def found(video: Mice, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Keypoints `[P, 6, 2]` and scores `[P, 6]` that a network might find in each frame."""
    rng = np.random.default_rng(1000 + seed)
    frames, count = video.present.shape
    blind = np.zeros(count, int)
    made = []
    for t in range(frames):
        points, shown = video.keypoints[t], video.shown[t]
        blind = np.maximum(blind - 1, 0)
        blind = np.where(rng.random(count) < 0.05 / FPS, rng.integers(5, FPS // 2, count), blind)
        share = shown[:, :5].mean(axis=1)
        seen = video.present[t] & (rng.random(count) > np.where(share < 0.5, 0.7, 0.03))
        seen &= blind == 0
        noise = np.where(shown, 2.5, 8.0) * np.where(share < 0.5, 1.5, 1.0)[:, None]
        poses = points + noise[..., None] * rng.normal(size=points.shape)
        scores = np.where(shown, rng.normal(0.85, 0.07, shown.shape), 0.35).clip(0, 1)
        gaps = np.linalg.norm(points[:, None, 3] - points[None, :, 3], axis=-1)
        for i, j in np.argwhere(np.triu(gaps < 22, 1)):
            upper, lower = (i, j) if video.heights[t, i] > video.heights[t, j] else (j, i)
            if seen[upper] and seen[lower]:
                seen[lower] = False
                if rng.random() < 0.3:
                    poses[upper, 4:] = poses[lower, 4:]
        turned = rng.random(count) < 0.005
        poses[turned] = poses[turned][:, [4, 2, 1, 3, 0, 5]]
        poses, scores = poses[seen], scores[seen]
        if rng.random() < 0.03:
            false = points[rng.integers(count)]
            false = false - false.mean(axis=0) + rng.uniform(60, SIDE - 60, 2)
            poses = np.concatenate([poses, false[None]])
            scores = np.concatenate([scores, rng.uniform(0.3, 0.7, (1, 6))])
        order = rng.permutation(len(poses))
        made.append((poses[order], scores[order]))
    return made


def measured(
    video: Mice, detections: list[tuple[np.ndarray, np.ndarray]], follow: Follow
) -> TrackingCounts:
    """Counts of a tracker on one video."""
    scored = []
    for t, (poses, scores) in enumerate(detections):
        boxes = box_around(poses, scores, 0.0)
        ids = follow(poses, scores, boxes, t / FPS)
        kept, there = ids > 0, np.flatnonzero(video.present[t])
        gaps = np.linalg.norm(video.keypoints[t, there][:, None] - poses[None, kept], axis=-1)
        shown = video.shown[t, there][:, None]
        similarity = 1 - (gaps * shown).sum(axis=-1) / shown.sum(axis=-1) / LENGTH
        scored.append(TrackedFrame(there, ids[kept], similarity.clip(0, 1)))
    return count_tracking(scored)


def trackers(count: int) -> dict[str, Callable[[], Follow]]:
    """Makers of the trackers that are compared, by name."""
    return {
        "plain, centres": lambda: Plain("centres"),
        "plain, overlap": lambda: Plain("overlap"),
        "jaxpose": lambda: Tracker(MOUSE),
        f"jaxpose, individuals={count}": lambda: Tracker(MOUSE, Tracking(individuals=count)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mice", type=int, default=5)
    parser.add_argument("--videos", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    rows: dict[str, list[dict[str, float]]] = {}
    for seed in range(options.videos):
        video = mice(seed, options.mice, options.seconds * FPS)
        detections = found(video, seed)
        for name, make in trackers(options.mice).items():
            rows.setdefault(name, []).append(measured(video, detections, make()).figures())
    keys = ("HOTA", "AssA", "IDF1", "MOTA", "transfers", "switches")
    print(f"{'tracker':24} " + " ".join(f"{key:>13}" for key in keys))
    for name, figures in rows.items():
        cells = []
        for key in keys:
            values = np.array([row[key] for row in figures if key in row] or [np.nan])
            digits = 3 if key.isupper() or key == "AssA" else 1
            cells.append(f"{values.mean():.{digits}f} ± {values.std():.{digits}f}")
        print(f"{name:24} " + " ".join(f"{cell:>13}" for cell in cells))


if __name__ == "__main__":
    main()
