"""Error and jitter of 2D tracks after One-Euro, Savitzky-Golay and a trained refiner.

    jaxpose train humaneva_refiner --workdir runs/humaneva_refiner
    python -m tests.benchmarks.tracks runs/humaneva_refiner [runs/other ...] \\
        --data data/humaneva.npz --subject S3 --tune S1,S2 [--figure tracks.png]

Tracks are the true 2D keypoints of people whom the refiner has not seen, in every second frame,
with noise of several sizes; then with gaps, jumps and exchanged sides. Missing keypoints are on
straight lines before the filters see them. Each filter runs with its default options, and with
those that are best for each kind of fault on the people of `--tune` ("tuned"): it knows what it is
given, the refiner does not. Prints the mean error of positions and of accelerations in per cent of
the person's size (`metrics.TrackError`). "Equal" is the Savitzky-Golay filter of the longest window
whose error is not above the refiner's: what is left of the jitter at equal accuracy.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.data.motion import Motion
from jaxpose.data.motion_dataset import MotionDataset
from jaxpose.hub.load import load_refiner
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.track_error import TrackError
from jaxpose.motion.smooth import one_euro, savitzky_golay
from jaxpose.tasks.refining.corruption import Corruption
from jaxpose.tasks.refining.task import boxes_of, corrupted_clips, sizes_of
from jaxpose.tracking.smoothing import Smoothing
from jaxpose.viz import save_image
from jaxpose.viz.figures import new_figure, to_image

NONE = Corruption((0.0, 0.0), jumps=0, swaps=0, gaps=0, absences=0, short=0)
KINDS = {
    **{f"noise {100 * n:g} %": replace(NONE, noise=(n, n)) for n in (0.005, 0.01, 0.02, 0.03)},
    "noise 1 %, gaps": replace(NONE, noise=(0.01, 0.01), gaps=0.03, absences=0.02),
    "noise 1 %, jumps": replace(NONE, noise=(0.01, 0.01), jumps=0.02),
    "noise 1 %, sides exchanged": replace(NONE, noise=(0.01, 0.01), swaps=0.01),
}
DEFAULT = Smoothing()
EUROS = [(c, b) for c in (0.5, 1.0, 2.0, 4.0) for b in (0.03, 0.1, 0.3)]
WINDOWS = [(w, o) for o in (2, 3) for w in (5, 7, 9, 11, 15, 21)]

Filter = Callable[[np.ndarray, float, float], np.ndarray]
"""From a track `[T, K, 2]` without gaps, frames per second and the person's size."""


def euro(cutoff: float, beta: float) -> Filter:
    """One-Euro on a person of 300 pixels, as `tracking.smoothing` applies it."""
    return lambda track, fps, size: (
        one_euro(track * 300 / size, fps, min_cutoff=cutoff, beta=beta) * size / 300
    )


def golay(window: int, order: int) -> Filter:
    return lambda track, fps, size: savitzky_golay(track, window, order)


def halved(motion: Motion) -> Motion:
    """Every second frame of each clip that has at least 12 of these."""
    starts = np.cumsum(motion.length) - motion.length
    chosen = np.flatnonzero(motion.length >= 24)
    rows = np.concatenate([np.arange(starts[i], starts[i] + motion.length[i], 2) for i in chosen])
    by_frame = {name: getattr(motion, name)[rows] for name in ("joints_mm", "labelled")}
    by_frame |= {name: np.asarray(getattr(motion, name))[rows] for name in PIXELS}
    by_clip = {name: getattr(motion, name)[chosen] for name in CLIPS}
    lengths, rates = (motion.length[chosen] + 1) // 2, motion.fps[chosen] / 2
    return replace(motion, **by_frame, **by_clip, length=lengths, fps=rates)


PIXELS = ("keypoints", "confidence")
CLIPS = (*("split", "subject", "action", "camera", "name"), *("image_wh", "K", "R", "t"))
CLIPS = (*CLIPS, "distortion")


class Tracks:
    """True tracks of some people and the same with faults."""

    def __init__(self, motion: Motion, kinds: Corruption) -> None:
        self.motion = motion
        self.faulty, self.known = corrupted_clips(motion, kinds)
        self.sizes, self.boxes = sizes_of(motion), boxes_of(motion)

    def rows(self) -> Iterator[tuple[slice, float, float]]:
        ends = np.cumsum(self.motion.length).tolist()
        lengths, fps = self.motion.length.tolist(), self.motion.fps.tolist()
        for end, length, rate, size in zip(ends, lengths, fps, self.sizes, strict=True):
            yield slice(end - length, end), rate, float(size)

    def filtered(self, one: Filter) -> dict[str, float]:
        found = np.empty_like(self.faulty)
        for rows, fps, size in self.rows():
            found[rows] = one(self.faulty[rows], fps, size)
        return self.score(found)

    def refined(self, refiner: Callable[..., np.ndarray]) -> dict[str, float]:
        found = np.empty_like(self.faulty)
        for rows, fps, _ in self.rows():
            given = np.where(self.known[rows, :, None], self.faulty[rows], np.nan)
            found[rows] = refiner(given, fps=fps)
        return self.score(np.where(np.isfinite(found), found, self.faulty))

    def score(self, found: np.ndarray) -> dict[str, float]:
        motion, clip = self.motion, self.motion.clip_of_frame
        truth = np.asarray(motion.keypoints)
        boxes = self.boxes[clip]
        estimates = Estimates(
            motion.skeleton, found, truth, motion.labelled, box_xywh=boxes, clip=clip
        )
        return dict(TrackError()(estimates).figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="runs or releases of refiners")
    parser.add_argument("--data", required=True)
    parser.add_argument("--subject", default="S3")
    parser.add_argument("--tune", default="S1,S2")
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()

    test = halved(MotionDataset(options.data, subject=tuple(options.subject.split(","))).open())
    other = halved(MotionDataset(options.data, subject=tuple(options.tune.split(","))).open())
    print(f"{len(test.joints_mm):,} frames at {test.fps[0]:g} a second of {options.subject}")
    refiners = {
        Path(run).name: load_refiner(run).predictor(source=test.skeleton) for run in options.runs
    }
    table = Table("faults", "track", "error, %", "acceleration error, %", "options")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind, faults in KINDS.items():
        tracks, tuning = Tracks(test, faults), Tracks(other, faults)
        best_euro, best_golay = (
            min(grid, key=lambda p: tuning.filtered(make(*p))["track error"])
            for make, grid in ((euro, EUROS), (golay, WINDOWS))
        )
        rows = {
            "as found": (tracks.score(tracks.faulty), ""),
            "One-Euro": (tracks.filtered(euro(DEFAULT.min_cutoff, DEFAULT.beta)), ""),
            "One-Euro, tuned": (tracks.filtered(euro(*best_euro)), str(best_euro)),
            "Savitzky-Golay": (tracks.filtered(golay(DEFAULT.window, DEFAULT.order)), ""),
            "Savitzky-Golay, tuned": (tracks.filtered(golay(*best_golay)), str(best_golay)),
        }
        for name, refiner in refiners.items():
            rows[name] = (tracks.refined(refiner), "")
        limit = rows[next(iter(refiners))][0]["track error"]
        even = [(w, tracks.filtered(golay(w, 2))) for w in range(5, 43, 2)]
        below = [pair for pair in even if pair[1]["track error"] <= limit]
        if below:
            window, figures = max(below, key=lambda pair: pair[0])
            rows["Savitzky-Golay, equal"] = (figures, f"({window}, 2)")
        found[kind] = {name: figures for name, (figures, _) in rows.items()}
        for name, (figures, words) in rows.items():
            error, bend = figures["track error"], figures["acceleration error"]
            table.add_row(kind, name, f"{error:.2f}", f"{bend:.3f}", words)
        table.add_section()
    Console(width=130).print(table)
    if options.figure:
        draw(found, tuple(refiners), options.figure)


def draw(
    found: dict[str, dict[str, dict[str, float]]], refiners: tuple[str, ...], path: Path
) -> None:
    """Errors against the size of the noise, and bars for the other faults."""
    figure = new_figure(9.5, 3.6)
    axes = figure.subplots(1, 3)
    names = ("as found", "One-Euro, tuned", "Savitzky-Golay, tuned", *refiners)
    noisy = [kind for kind in found if kind.endswith("%")]
    levels = [float(kind.split()[1]) for kind in noisy]
    for axis, figure_name in zip(axes, ("track error", "acceleration error"), strict=False):
        for name in names:
            if (name, figure_name) != ("as found", "acceleration error"):
                values = [found[kind][name][figure_name] for kind in noisy]
                axis.plot(levels, values, marker="o", label=name)
            else:
                axis.plot([], [])
        axis.set_xlabel("noise, % of the person's size")
        axis.set_title(f"{figure_name}, %")
        axis.set_ylim(bottom=0)
    rest = [kind for kind in found if kind not in noisy]
    width = 0.8 / len(names)
    for i, name in enumerate(names):
        values = [found[kind][name]["track error"] for kind in rest]
        axes[2].bar(np.arange(len(rest)) + (i - (len(names) - 1) / 2) * width, values, width)
    axes[2].set_xticks(
        np.arange(len(rest)), [kind.split(", ")[1].replace(" ", "\n") for kind in rest]
    )
    axes[2].set_title("track error with noise of 1 %")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(names))
    save_image(path, to_image(figure))


if __name__ == "__main__":
    main()
