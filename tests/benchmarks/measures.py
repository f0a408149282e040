"""Agreement of measures in images with those of motion capture.

    python -m tests.benchmarks.measures --humaneva humaneva15_flat.npz --h36m h36m_fk17_10hz.npz \\
        --cameras camera-parameters.json [--picture measures.png]

The images' keypoints are the projected joints, so the errors are those of the projection alone.
HumanEva-I: the walks and jogs of three people round the room, seen by three cameras at 60 frames a
second. Human3.6M: poses of seven people at 10 frames a second, whose way through the room is not in
the file: angles are those of poses before the subject's four cameras, and steps those of walks
turned to the right, as on a treadmill, 4 m before a camera. Prints, beside the 3D truth: the
mean absolute error of angles, over all views and over frames in which the person is seen from the
side (line of the hips within 30 degrees of the line of sight); of strikes that both find; of step
times; of cadence. The last table has the same measures from uneven time stamps.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxpose.config.scripts import find_script, load_script
from jaxpose.data.motion import motion_of
from jaxpose.data.virtual_cameras import before_each_camera, upright
from jaxpose.geometry.cameras import Camera
from jaxpose.measure import cadence, step_events, step_times
from jaxpose.measure.track import Measured, Measures, measure_track
from jaxpose.motion.clean import Cleaning, clean
from jaxpose.motion.timing import even_clock
from jaxpose.skeletons import H36M17, HUMANEVA15, Skeleton
from jaxpose.viz import save_image
from jaxpose.viz.measures import Panel, measures_chart

JOINTS = ("knee", "hip", "elbow")
ANGLES = tuple(f"{side}_{joint}" for joint in JOINTS for side in ("left", "right"))
MEASURES = Measures(angles=ANGLES, gait=True)
_SAME = 0.2  # seconds between a strike and the true one that is the same step


@dataclass
class Errors:
    """Errors of one kind of motion; absolute where they are angles or times of strikes.

    Attributes:
      angles: by joint, degrees of all frames, and whether each is seen from the side.
      strikes: seconds, signed, of strikes that both have.
      missed, extra: number of strikes that only the truth, or only the image has.
      step_times, cadences: (image, truth) of each walk, seconds and steps per minute.
    """

    angles: dict[str, list[np.ndarray]] = field(default_factory=lambda: {j: [] for j in JOINTS})
    sides: dict[str, list[np.ndarray]] = field(default_factory=lambda: {j: [] for j in JOINTS})
    strikes: list[float] = field(default_factory=list)
    missed: int = 0
    extra: int = 0
    step_times: list[tuple[float, float]] = field(default_factory=list)
    cadences: list[tuple[float, float]] = field(default_factory=list)

    def add_angles(self, seen: Measured, true: Measured, side: np.ndarray) -> None:
        """Adds all frames of a clip; `side [T]` tells which ones are seen from the side."""
        for name in ANGLES:
            joint = name.partition("_")[2]
            self.angles[joint].append(np.abs(seen.signals[name] - true.signals[name]))
            self.sides[joint].append(side)

    def add_steps(self, seen: Measured, joints: np.ndarray, skeleton, fps, forward=None) -> None:
        """Adds the steps of a walk, of which the truth is that of smoothed 3D joints."""
        smooth = clean(joints, skeleton, fps, Cleaning(rigid=False))
        steps = step_events(smooth, skeleton, fps, forward=forward)
        found = {s: times(seen, f"{s} strike") for s in ("left", "right")}
        if not any(map(len, found.values())):
            return
        begin = min(t.min() for t in found.values() if len(t))
        end = max(t.max() for t in found.values() if len(t))
        for side in ("left", "right"):
            own = getattr(steps, f"{side}_strikes")
            own = own[(own >= begin - _SAME) & (own <= end + _SAME)]
            apart = found[side][:, None] - own[None]
            pairs = [
                (i, j)
                for i, j in np.argwhere(np.abs(apart) < _SAME).tolist()
                if np.abs(apart[i]).argmin() == j and np.abs(apart[:, j]).argmin() == i
            ]
            self.strikes += [float(apart[i, j]) for i, j in pairs]
            self.missed += len(own) - len(pairs)
            self.extra += len(found[side]) - len(pairs)
        if np.isfinite(seen.figures["cadence, steps/min"]):
            self.cadences.append((seen.figures["cadence, steps/min"], cadence(steps)))
            self.step_times.append((seen.figures["step time, s"], float(step_times(steps).mean())))


def times(measured: Measured, kind: str) -> np.ndarray:
    """Seconds of the events of a kind."""
    return np.array([event.begin for event in measured.events if event.kind == kind])


def measured(points: np.ndarray, skeleton: Skeleton, fps: float, facing=None) -> Measured:
    """Measures of points `[T, K, 2 or 3]` that are all known."""
    known = np.ones(points.shape[:2])
    gait = points.shape[-1] == 2
    wanted = Measures(angles=ANGLES, gait=gait, facing=facing)
    return measure_track(points, known, skeleton, fps, wanted)


def humaneva(source: Path, longest: float = np.inf) -> dict[str, Errors]:
    """Errors by action; clips of at least two and a half seconds."""
    script = load_script(find_script("humaneva", "data_prep"))
    found = {"Walking": Errors(), "Jog": Errors()}
    count = dict.fromkeys(found, 0)
    for one in script.read_sequences(source):
        if one["action"] not in found or len(one["joints"]) < 150:
            continue
        count[one["action"]] += 1
        if count[one["action"]] > longest:
            continue
        true = measured(one["joints"], HUMANEVA15, script.FPS)
        for index in range(3):
            seen = measured(one["pixels"][index].astype(float), HUMANEVA15, script.FPS)
            quaternion, _ = script.PLACES[one["subject"]][index]
            R = script._rotation(np.array(quaternion)).T
            side = from_the_side(one["joints"] @ R.T, HUMANEVA15)
            found[one["action"]].add_angles(seen, true, side)
            found[one["action"]].add_steps(seen, one["joints"], HUMANEVA15, script.FPS)
    return found


def h36m(source: Path, cameras: Path, clips: int | None = None) -> Errors:
    """Errors of the walks, of which `clips` are taken."""
    script = load_script(find_script("h36m", "data_prep"))
    own = [c for c in script.pose_clips(source) if c.action == "walking"][:clips]
    world = motion_of(H36M17, own, frame="world", up="y")
    rigs = {}
    for subject in sorted(set(world.subject.tolist())):
        views = script.read_cameras(cameras, subject)
        rigs[subject] = Camera(*(np.stack(part) for part in zip(*views, strict=True)))
    placed = before_each_camera(world, rigs, (1000, 1000), 0.0)
    found, ends = Errors(), np.cumsum(placed.length)
    assert placed.keypoints is not None
    for start, end in zip((ends - placed.length).tolist(), ends.tolist(), strict=True):
        joints = placed.joints_mm[start:end].astype(float)
        seen = measured(placed.keypoints[start:end].astype(float), H36M17, script.POSES_FPS)
        true = measured(joints, H36M17, script.POSES_FPS)
        found.add_angles(seen, true, from_the_side(joints, H36M17))
    for clip in own:
        walk = to_the_right(upright(clip.joints_mm, "y"))
        depth = 4000.0 + walk[..., 1]
        pixels = 500 + 1145.0 * np.stack([walk[..., 0], -walk[..., 2]], axis=-1) / depth[..., None]
        seen = measured(pixels, H36M17, script.POSES_FPS, facing="right")
        found.add_steps(seen, walk, H36M17, script.POSES_FPS, forward=np.array([1.0, 0, 0]))
    return found


def to_the_right(joints: np.ndarray) -> np.ndarray:
    """Poses `[T, K, 3]`, z up, turned about the vertical so that each faces along x."""
    hips = joints[:, H36M17.index("left_hip")] - joints[:, H36M17.index("right_hip")]
    # A person who faces along x has the left hip at y.
    bearing = np.arctan2(hips[:, 1], hips[:, 0]) - np.pi / 2
    cos, sin = np.cos(bearing)[:, None], np.sin(bearing)[:, None]
    x, y, z = np.moveaxis(joints, -1, 0)
    return np.stack([cos * x + sin * y, cos * y - sin * x, z], axis=-1)


def from_the_side(joints: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Frames `[T]` in which the line of the hips is within 30 degrees of the camera's axis, z."""
    names = ("left_hip", "right_hip")
    left, right = (joints[:, skeleton.index(name)] for name in names)
    across = left - right
    return np.abs(across[:, 2]) > np.cos(np.radians(30)) * np.linalg.norm(across, axis=-1)


def uneven(source: Path) -> list[tuple[str, float, float]]:
    """Figures of one walk from even frames, and from frames at a third to one 60th of a second."""
    script = load_script(find_script("humaneva", "data_prep"))
    walks = [s for s in script.read_sequences(source) if s["action"] == "Walking"]
    one = max(walks, key=lambda s: len(s["joints"]))
    pixels = one["pixels"][0].astype(float)
    rng, stamps = np.random.default_rng(0), np.arange(len(pixels)) / script.FPS
    # Half of the walk at about 40 frames a second, half at about 20, none of them even.
    steps = np.concatenate([rng.uniform(1 / 60, 1 / 30, 400), rng.uniform(1 / 30, 1 / 15, 400)])
    half = stamps[-1] / 2
    places = np.cumsum(np.where(np.cumsum(steps) < half, steps, steps))
    places = places[places < stamps[-1]]
    flat = pixels.reshape(len(pixels), -1)
    moved = np.stack([np.interp(places, stamps, column) for column in flat.T], axis=-1)
    clock = even_clock(places)
    rows = clock.to_rows(moved.reshape(-1, *pixels.shape[1:]))
    even = measured(pixels, HUMANEVA15, script.FPS)
    other = measure_track(
        rows, np.ones(rows.shape[:2]), HUMANEVA15, clock.fps, MEASURES, clock.begin
    )
    names = [n for n in even.figures if "symmetry" not in n and np.isfinite(even.figures[n])]
    return [(name, even.figures[name], other.figures[name]) for name in names]


def row_of(name: str, errors: Errors) -> list[str]:
    """Cells of a line of the table."""
    cells = [name]
    for joint in JOINTS:
        off, side = np.concatenate(errors.angles[joint]), np.concatenate(errors.sides[joint])
        cells.append(f"{off.mean():.1f} / {off[side].mean():.1f}")
    strikes = 1000 * np.array(errors.strikes)
    cells.append(f"{np.abs(strikes).mean():.0f} of {len(strikes)}")
    cells.append(f"{errors.missed} / {errors.extra}")
    lasted, rates = np.array(errors.step_times), np.array(errors.cadences)
    cells.append(f"{1000 * np.abs(lasted[:, 0] - lasted[:, 1]).mean():.1f}")
    cells.append(f"{np.abs(rates[:, 0] - rates[:, 1]).mean():.2f} of {rates[:, 1].mean():.0f}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--humaneva", type=Path, required=True)
    parser.add_argument("--h36m", type=Path, required=True)
    parser.add_argument("--cameras", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    table = Table(
        *("motion", *(f"{joint}, degrees: all / side" for joint in JOINTS)),
        *("strikes, ms", "missed / extra", "step time, ms", "cadence, steps/min"),
    )
    for name, errors in humaneva(options.humaneva).items():
        table.add_row(*row_of(f"HumanEva-I {name}", errors))
    table.add_row(*row_of("Human3.6M walking", h36m(options.h36m, options.cameras)))
    console = Console(width=150)
    console.print(table)
    stamps = Table("uneven time stamps", "even frames", "uneven", "difference, %")
    for name, even, other in uneven(options.humaneva):
        stamps.add_row(name, f"{even:.4g}", f"{other:.4g}", f"{100 * (other / even - 1):.2f}")
    console.print(stamps)
    if options.picture is not None:
        save_image(options.picture, picture(options.humaneva))


def picture(source: Path) -> np.ndarray:
    """Knees of a walk in an image and in 3D, with the steps."""
    script = load_script(find_script("humaneva", "data_prep"))
    walks = [s for s in script.read_sequences(source) if s["action"] == "Walking"]
    one = max(walks, key=lambda s: len(s["joints"]))
    true = measured(one["joints"], HUMANEVA15, script.FPS)
    panels = []
    for index in range(2):
        seen = measured(one["pixels"][index].astype(float), HUMANEVA15, script.FPS)
        name = "left_knee"
        curves = {f"{name}, image": seen.signals[name], f"{name}, 3D": true.signals[name]}
        events = [(e.kind, e.begin, "") for e in seen.events if "strike" in e.kind]
        seconds = np.arange(len(one["joints"])) / script.FPS
        title = f"HumanEva-I, {one['subject']} walks round the room, camera C{index + 1}"
        panels.append(Panel(title, seconds, curves, events))
    return measures_chart(panels)


if __name__ == "__main__":
    main()
