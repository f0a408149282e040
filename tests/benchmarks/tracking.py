"""HOTA, IDF1 and changes of ids of the tracker's options, on drawn crowds whose truth is known.

    python -m tests.benchmarks.tracking --people 12 --figure tracking.png

People walk across the image at different depths. People in front hide those behind them; keypoints
have noise, some people are missed, and some false ones are found. In crowds with "doubt", hidden
people are found with noise of 8 pixels and scores of 0.45, as are false ones, of whom there are
five times as many. In crowds with a "pan", the camera swings by 250 pixels to both sides every
three seconds; its motion is known to half a pixel.
"""

import argparse
from functools import reduce
from operator import add
from pathlib import Path

import numpy as np

from jaxpose.data.synthetic.motion import FPS, synthetic_motion
from jaxpose.metrics.boxes import overlaps
from jaxpose.metrics.tracking import TrackedFrame, TrackingCounts, count_tracking
from jaxpose.skeletons import H36M17
from jaxpose.tracking.tracker import Tracker, Tracking
from jaxpose.viz import save_image
from jaxpose.viz.figures import new_figure, to_image

WIDTH, HEIGHT = 1280, 720
# Options, and the kind of crowd: "", "doubt" or "pan".
OPTIONS = {
    "default": Tracking(),
    "no reach": Tracking(reach=0.0),
    "no patience": Tracking(patience=1.5 / FPS),
    "patience 4 s": Tracking(patience=4.0),
    "similarity 0.05": Tracking(min_similarity=0.05),
    "similarity 0.5": Tracking(min_similarity=0.5),
}
KINDS = {
    **{name: (options, "") for name, options in OPTIONS.items()},
    "doubt": (Tracking(), "doubt"),
    "doubt, high_score 0.6": (Tracking(high_score=0.6), "doubt"),
    "pan": (Tracking(), "pan"),
    "pan, camera known": (Tracking(follow_camera=True), "pan"),
}


def crowd(seed: int, people: int, frames: int, kind: str = "") -> list[tuple[np.ndarray, ...]]:
    """Frames: ids `[G]`, boxes `[G, 4]` of the truth, keypoints, scores, boxes found, camera."""
    rng, doubts = np.random.default_rng(seed), np.random.default_rng(1000 + seed)
    motion = synthetic_motion(seed, clips=people, frames=frames)
    points = motion.keypoints.reshape(people, frames, -1, 2)
    # Everybody becomes as tall as the depth says, and walks from one place to another.
    low, high = points.min(axis=(1, 2)), points.max(axis=(1, 2))
    depth = np.sort(rng.uniform(2.5, 7, people))
    tall = 1500 / depth
    points = (points - points.mean(axis=2, keepdims=True)) * (
        tall / np.maximum(high - low, 1)[:, 1]
    )[:, None, None, None]
    start, end = rng.uniform(100, WIDTH - 100, (2, people))
    along = np.linspace(0, 1, frames)[None]
    points[..., 0] += (start[:, None] + (end - start)[:, None] * along)[..., None]
    points[..., 1] += (200 + 900 / depth)[:, None, None]
    swing = 250 * np.sin(2 * np.pi * np.arange(frames) / (3 * FPS)) * (kind == "pan")
    points[..., 0] += swing[None, :, None]
    made = []
    for t in range(frames):
        now = points[:, t]
        boxes = np.concatenate([now.min(axis=1), np.ptp(now, axis=1)], axis=-1)
        inside = (boxes[:, 0] > -boxes[:, 2]) & (boxes[:, 0] < WIDTH)
        shown, hidden = [], []
        for i in np.flatnonzero(inside):
            # The nearer people are first; of two that cover each other, the one behind is hidden.
            front = overlaps(boxes[i : i + 1], boxes[:i][inside[:i]]).max(initial=0.0)
            if front < 0.55 and rng.random() > 0.05:
                shown.append(i)
            elif kind == "doubt" and front < 0.85:
                hidden.append(i)
        found = now[shown] + rng.normal(0, 3, (len(shown), *now.shape[1:]))
        if rng.random() < 0.1:
            false = now[rng.integers(people)] + rng.uniform(-300, 300, 2)
            found = np.concatenate([found, false[None]])
        certain = np.full(len(found), 0.9)
        if kind == "doubt":
            behind = now[hidden] + doubts.normal(0, 8, (len(hidden), *now.shape[1:]))
            false = now[doubts.random(people) < 0.5 / people]
            false = false + doubts.uniform(-300, 300, (len(false), 1, 2))
            found = np.concatenate([found, behind, false])
            certain = np.append(certain, np.full(len(behind) + len(false), 0.45))
        around = np.concatenate([found.min(axis=1), np.ptp(found, axis=1)], axis=-1)
        scores = np.broadcast_to(certain[:, None], found.shape[:2])
        camera = np.array([[1.0, 0, swing[t] - swing[max(t - 1, 0)]], [0, 1, 0]])
        camera[:, 2] += doubts.normal(0, 0.5, 2)
        made.append((np.flatnonzero(inside) + 1, boxes[inside], found, scores, around, camera))
    return made


def measured(frames: list[tuple[np.ndarray, ...]], options: Tracking) -> TrackingCounts:
    """Counts of the tracker on one crowd."""
    tracker = Tracker(H36M17, options)
    scored = []
    for t, (ids, boxes, found, scores, around, camera) in enumerate(frames):
        known = camera if options.follow_camera else None
        tracks = tracker(found, scores, around, t / FPS, known)
        kept = tracks > 0
        scored.append(TrackedFrame(ids, tracks[kept], overlaps(boxes, around[kept])))
    return count_tracking(scored)


def draw(rows: dict[str, dict[str, float]], path: Path) -> None:
    """Bars of HOTA and IDF1, and the changes of ids beside them."""
    figure = new_figure(7.5, 4.4)
    axis = figure.subplots()
    place = np.arange(len(rows))
    for shift, name in ((-0.2, "HOTA"), (0.2, "IDF1")):
        axis.barh(place + shift, [row[name] for row in rows.values()], 0.38, label=name)
    for at, row in zip(place, rows.values(), strict=True):
        axis.text(1.0, at, f"{row['switches']:.0f} changes", va="center")
    axis.set_yticks(place, list(rows))
    axis.set_xlim(0, 1.25)
    axis.invert_yaxis()
    # Under the bars: within the axes it would cover some.
    axis.legend(loc="upper center", bbox_to_anchor=(0.4, -0.08), ncols=2, frameon=False)
    axis.set_title("Tracker options on drawn crowds")
    save_image(path, to_image(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--crowds", type=int, default=10)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--figure", type=Path, help="an image of the table")
    options = parser.parse_args()
    crowds = {
        kind: [crowd(s, options.people, options.frames, kind) for s in range(options.crowds)]
        for kind in ("", "doubt", "pan")
    }
    rows = {}
    print(f"{'options':22} {'HOTA':>6} {'AssA':>6} {'IDF1':>6} {'MOTA':>6} {'changes':>8}")
    for name, (tracking, kind) in KINDS.items():
        figures = reduce(add, (measured(frames, tracking) for frames in crowds[kind])).figures()
        rows[name] = figures
        shares = " ".join(f"{figures[key]:6.3f}" for key in ("HOTA", "AssA", "IDF1", "MOTA"))
        print(f"{name:22} {shares} {figures['switches']:8.0f}")
    if options.figure:
        draw(rows, options.figure)


if __name__ == "__main__":
    main()
