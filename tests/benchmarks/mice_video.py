"""Several alike mice from labels to tracked videos: drawn frames with labels, videos, and scores.

    python -m tests.benchmarks.mice_video labels --mice 4 --frames 40 --out mice
    python -m tests.benchmarks.mice_video video --mice 4 --seconds 20 --out mice.mp4
    jaxpose init mice --out project
    jaxpose train project/recipe.py --workdir project/run
    jaxpose convert project/run project/model
    jaxpose predict mice.mp4 --from project/model --individuals 4 --format jsonl --out tracked
    python -m tests.benchmarks.mice_video score --mice 4 --out tracked/predictions.jsonl
    python -m tests.benchmarks.mice_video draw --mice 4 --out tracked/predictions.jsonl \
        --at 100 110 120

Mice move as in `moving_mice`, with other seeds in the video than in the labels, and are drawn as
grey bodies on litter. HOTA, IDF1 and transfers are those of `animals_tracking`; a mouse is found if
the mean distance of its visible keypoints is below half its length.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from jaxpose.data.synthetic.background import smooth_noise
from jaxpose.labels.deeplabcut import write_deeplabcut
from jaxpose.labels.labels import Instance, LabelledImage, Labels
from jaxpose.results.readers import read_results
from jaxpose.viz import save_image
from jaxpose.viz.video import VideoWriter
from tests.benchmarks.animals_tracking import measured
from tests.benchmarks.moving_mice import FPS, HOUSE, MOUSE, SIDE, Mice, mice

# Seeds of labelled videos begin here; the held-out video has the seed 0.
_LABELLED = 100
_VIDEOS = 5
_VIEW = 260  # pixels of each side of a drawn part
_KEYS = ("HOTA", "DetA", "AssA", "IDF1", "MOTA", "transfers", "switches")


def background(seed: int) -> np.ndarray:
    """Litter `[640, 640, 3]` RGB uint8 of one video."""
    rng = np.random.default_rng([7, seed])
    smooth = smooth_noise(rng, (SIDE, SIDE), 0.3).astype(float)
    tint = rng.uniform(150, 210) * np.array([1.0, 0.9, 0.75])
    grain = rng.normal(0, 10, (SIDE, SIDE, 1))
    return np.clip(tint + 0.25 * (smooth - 128) + grain, 0, 255).astype(np.uint8)


def draw(litter: np.ndarray, video: Mice, frame: int) -> np.ndarray:
    """Frame `[640, 640, 3]` RGB uint8; the higher of two mice covers the lower one."""
    image = litter.copy()
    for mouse in np.argsort(video.heights[frame]):
        snout, left, right, body, base, tip = video.keypoints[frame, mouse]
        coat, skin = (70, 64, 60), (190, 140, 130)
        middle, neck = (body + base) / 2, (left + right) / 2

        def blob(at: np.ndarray, along: np.ndarray, wide: float, colour: tuple[int, int, int]):
            size = (int(np.linalg.norm(along)), int(wide))
            angle = float(np.degrees(np.arctan2(along[1], along[0])))
            center = tuple(int(x) for x in at)
            cv2.ellipse(image, center, size, angle, 0, 360, colour, -1, cv2.LINE_AA)

        way = np.array([base, (base + tip) / 2, tip]).round().astype(np.int32)
        cv2.polylines(image, [way[:, None]], False, skin, 3, cv2.LINE_AA)
        edge = tuple(c - 25 for c in coat)
        blob(middle, (body - base) * 0.75, 15, edge)
        blob(middle, (body - base) * 0.7, 13, coat)
        blob((body + neck) / 2, (neck - body) * 0.9, 11, coat)
        blob((snout + neck) / 2, (snout - neck) * 0.65, 7, coat)
        for ear in (left, right):
            cv2.circle(image, ear.round().astype(int).tolist(), 5, skin, -1, cv2.LINE_AA)
        cv2.circle(image, snout.round().astype(int).tolist(), 3, (215, 165, 155), -1, cv2.LINE_AA)
    x, y, width, height = HOUSE
    cv2.rectangle(image, (x, y), (x + width, y + height), (150, 90, 50), -1)
    return image


def write_labels(count: int, frames: int, out: Path) -> None:
    """Writes a project of DeepLabCut with frames of five videos."""
    images = []
    for number in range(_VIDEOS):
        seed = _LABELLED + number
        video, litter = mice(seed, count, 40 * FPS), background(seed)
        folder = out / "labeled-data" / f"cage{number}"
        folder.mkdir(parents=True, exist_ok=True)
        share = frames // _VIDEOS + (number < frames % _VIDEOS)
        for t in np.linspace(FPS, len(video.keypoints) - 1, share).astype(int):
            name = f"img{t:04d}.png"
            cv2.imwrite(str(folder / name), draw(litter, video, t)[..., ::-1])
            places = np.where(video.shown[t, ..., None], video.keypoints[t], np.nan)
            instances = [
                Instance(places[i], 2 * video.shown[t, i].astype(int), "drawn", f"m{i}")
                for i in np.flatnonzero(video.shown[t].any(axis=1))
            ]
            images.append(LabelledImage(folder / name, f"cage{number}/{name}", tuple(instances)))
    write_deeplabcut(Labels("drawn", out, MOUSE.keypoints, tuple(images)), MOUSE, out)


def write_video(count: int, seconds: int, seed: int, out: Path) -> None:
    """Writes a video of mice that are not in the labels."""
    video, litter = mice(seed, count, seconds * FPS), background(seed)
    with VideoWriter(out, FPS) as writer:
        for t in range(len(video.keypoints)):
            writer.write(draw(litter, video, t))


def score(count: int, seed: int, path: Path) -> None:
    """Prints the figures of predictions for the video."""
    found = list(read_results(path, skeleton=MOUSE))
    video = mice(seed, count, len(found))
    ids = iter(np.zeros(0, int) if p.track_ids is None else p.track_ids for p in found)
    counts = measured(video, [(p.keypoints, p.scores) for p in found], lambda *_: next(ids))
    there = int(video.present.sum())
    print(f"{len(found)} frames, {there} mice that can be seen, {sum(map(len, found))} found")
    figures = counts.figures()
    print(", ".join(f"{key} {figures[key]:.3f}" for key in _KEYS if key in figures))


def draw_tracks(count: int, seed: int, path: Path, frames: Sequence[int]) -> None:
    """Writes frames of the video with the tracks, side by side, around where they differ most."""
    found = list(read_results(path, skeleton=MOUSE))
    video, litter = mice(seed, count, len(found)), background(seed)
    chosen = video.keypoints[list(frames)].mean(axis=2)
    gaps = np.linalg.norm(chosen[:, :, None] - chosen[:, None], axis=-1).min(axis=0)
    np.fill_diagonal(gaps, np.inf)
    i, j = np.unravel_index(int(gaps.argmin()), gaps.shape)
    middle = chosen[:, [i, j]].mean(axis=(0, 1))
    x, y = np.clip(middle - _VIEW / 2, 0, SIDE - _VIEW).astype(int)
    views = []
    for t in frames:
        people = replace(found[t], image_hw=(SIDE, SIDE))
        drawn = people.draw(draw(litter, video, t), colors="people", min_score=0.1)
        views.append(drawn[y : y + _VIEW, x : x + _VIEW])
    save_image(path.with_name("tracks.png"), np.concatenate(views, axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("labels", "video", "score", "draw"))
    parser.add_argument("--mice", type=int, default=4)
    parser.add_argument("--frames", type=int, default=40, help="number of labelled frames")
    parser.add_argument("--seconds", type=int, default=20, help="length of the video")
    parser.add_argument("--seed", type=int, default=0, help="seed of the video")
    parser.add_argument("--at", type=int, nargs="+", default=[0], help="frames that are drawn")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.what == "labels":
        write_labels(options.mice, options.frames, options.out)
    elif options.what == "video":
        write_video(options.mice, options.seconds, options.seed, options.out)
    elif options.what == "draw":
        draw_tracks(options.mice, options.seed, options.out, options.at)
    else:
        score(options.mice, options.seed, options.out)


if __name__ == "__main__":
    main()
