"""Measures of one person's keypoints over time: curves, events and figures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from jaxpose.errors import InputError, nearest
from jaxpose.measure.angles import ANGLES, angle, has_angle, inclination
from jaxpose.measure.fall import fall_signs, falls
from jaxpose.measure.gait import Steps, cadence, step_events, step_times
from jaxpose.measure.parts import part
from jaxpose.measure.repetition import count_repetitions
from jaxpose.measure.symmetry import symmetry_index
from jaxpose.motion.clean import Cleaning, clean
from jaxpose.motion.fill import fill_gaps
from jaxpose.skeletons import Skeleton

SIGNALS = (*ANGLES, "trunk")
"""Names of curves: the angles, and the angle of the trunk to the vertical."""

# Shortest stretch without gaps in which steps are searched, seconds.
_SHORTEST_WALK = 1.5


@dataclass(frozen=True)
class Measures:
    """Choice of measures.

    Attributes:
      angles: names of `SIGNALS` whose curves are wanted.
      repetitions: names of `SIGNALS` whose repetitions are counted.
      gait: whether steps are found.
      falls: whether falls are found.
      min_range: degrees that a repetition must have at least.
      facing: "left" or "right", for a person on a treadmill; None for one who walks through the
        image.
      min_score: keypoints with a lower score count as missing.
      longest_gap: seconds over which missing keypoints are interpolated.
      smooth_seconds: time of the polynomial fitted around each frame; 0 for no smoothing.
    """

    angles: tuple[str, ...] = ()
    repetitions: tuple[str, ...] = ()
    gait: bool = False
    falls: bool = False
    min_range: float = 30.0
    facing: Literal["left", "right"] | None = None
    min_score: float = 0.3
    longest_gap: float = 0.5
    smooth_seconds: float = 0.25

    def __post_init__(self) -> None:
        if not (self.angles or self.repetitions or self.gait or self.falls):
            raise InputError("Choose at least one of angles, repetitions, gait and falls.")
        for name in (*self.angles, *self.repetitions):
            if name not in SIGNALS:
                raise InputError(
                    f"There is no angle {name!r}.{nearest(name, SIGNALS)} "
                    f"There are {', '.join(SIGNALS)}."
                )
        if not (np.isfinite(self.smooth_seconds) and self.smooth_seconds >= 0):
            raise InputError(f"smooth_seconds must be at least 0, not {self.smooth_seconds}.")

    @property
    def signals(self) -> tuple[str, ...]:
        """Curves of `angles` and `repetitions`, each once."""
        return tuple(dict.fromkeys((*self.angles, *self.repetitions)))

    def definitions(self) -> list[str]:
        """Definitions of the measures with their sources, a sentence or two each."""
        return [text for wanted, text in _DEFINITIONS if wanted(self)]


class Event(NamedTuple):
    """Event in a video, by the clock of the video.

    Attributes:
      kind: "repetition", "left strike", "right strike", "left off", "right off" or "fall".
      begin, end: seconds; equal for a moment.
      name: the angle of a repetition; else empty.
      turn: second at which a repetition is furthest from rest; else None.
    """

    kind: str
    begin: float
    end: float
    name: str = ""
    turn: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able fields; times to a millisecond."""
        return {
            "event": self.kind,
            "name": self.name,
            "begin_s": round(self.begin, 3),
            "turn_s": None if self.turn is None else round(self.turn, 3),
            "end_s": round(self.end, 3),
        }


@dataclass(frozen=True)
class Measured:
    """Measures of one person.

    Attributes:
      signals: curves by name, each `[N]` degrees; NaN where keypoints are missing.
      events: in the order of time.
      figures: numbers by name, with their unit in the name; NaN where nothing was found.
      notes: reasons for which something could not be measured.
    """

    signals: dict[str, np.ndarray]
    events: tuple[Event, ...]
    figures: dict[str, float]
    notes: tuple[str, ...]


def measure_track(
    points: np.ndarray,
    scores: np.ndarray,
    skeleton: Skeleton,
    fps: float,
    measures: Measures,
    begin: float = 0.0,
    joints: np.ndarray | None = None,
    joint_skeleton: Skeleton | None = None,
) -> Measured:
    """Measures a person, after short gaps are filled and the motion is smoothed.

    With joints, the angles of `ANGLES` are those in 3D if the joints have their names; the trunk,
    steps and falls are measured in the image in any case.

    Args:
      points: `[N, K, 2]` pixels, y down, at a constant rate; NaN where missing.
      scores: `[N, K]` in [0, 1].
      fps: rows per second.
      begin: time of the first row, seconds.
      joints: `[N, J, 3]` in one unit, NaN where missing; None for angles in the image.
      joint_skeleton: names of the J joints.

    Raises:
      InputError: the skeleton has no keypoints for one of the measures.
    """
    smooth = _smooth(
        np.where((scores >= measures.min_score)[..., None], points, np.nan), skeleton, fps, measures
    )
    in_space: tuple[str, ...] = ()
    notes: list[str] = []
    signals: dict[str, np.ndarray] = {}
    if joints is not None and joint_skeleton is not None:
        moved, known = _smooth(joints, joint_skeleton, fps, measures), joint_skeleton
        in_space = tuple(name for name in measures.signals if has_angle(known, name))
        signals = {name: angle(moved, known, name) for name in in_space}
        if in_space:
            notes.append(f"{', '.join(in_space)}: angles in 3D, of the joints of {known.name}")
        rest = [name for name in measures.signals if name not in in_space]
        if rest:
            notes.append(f"{', '.join(rest)}: angles in the image")
    signals |= {n: signal(smooth, skeleton, n) for n in measures.signals if n not in in_space}
    events: list[Event] = []
    figures: dict[str, float] = {}
    for name in measures.repetitions:
        _repetitions(signals[name], name, fps, begin, measures.min_range, events, figures)
    if measures.gait:
        _gait(smooth, skeleton, fps, begin, measures.facing, events, figures, notes)
    if measures.falls:
        found = [begin + t for t in falls(fall_signs(smooth, skeleton, fps))]
        events += [Event("fall", t, t) for t in found]
        figures["falls"] = len(found)
    for name in measures.angles:
        values = signals[name][np.isfinite(signals[name])]
        low, high = np.percentile(values, [5, 95]) if values.size else (np.nan, np.nan)
        figures |= {f"{name}, low, degrees": float(low), f"{name}, high, degrees": float(high)}
        if not values.size:
            notes.append(f"{name}: its keypoints are never known")
    order = sorted(events, key=lambda event: event.begin)
    return Measured(signals, tuple(order), figures, tuple(notes))


def _smooth(points: np.ndarray, skeleton: Skeleton, fps: float, measures: Measures) -> np.ndarray:
    """Points `[N, K, D]` with short gaps filled, and smoothed."""
    gap = round(measures.longest_gap * fps)
    filled, _ = fill_gaps(points, max_gap=gap) if gap else (points, None)
    return clean(filled, skeleton, fps, Cleaning(measures.smooth_seconds, rigid=False))


def signal(points: np.ndarray, skeleton: Skeleton, name: str) -> np.ndarray:
    """Curve of `SIGNALS`, `[N]` degrees, of points `[N, K, 2]` pixels.

    Raises:
      InputError: as `angle` and `inclination`.
    """
    return inclination(points, skeleton) if name == "trunk" else angle(points, skeleton, name)


def _repetitions(
    values: np.ndarray,
    name: str,
    fps: float,
    begin: float,
    min_range: float,
    events: list[Event],
    figures: dict[str, float],
) -> None:
    rest = "low" if name == "trunk" else "high"
    found = count_repetitions(values, min_range=min_range, rest=rest)
    times = begin + np.stack([found.starts, found.turns, found.ends], axis=-1) / fps
    events += [Event("repetition", a, c, name, b) for a, b, c in times.tolist()]
    figures[f"{name}, repetitions"] = len(found)
    figures[f"{name}, begun at the end"] = int(found.unfinished)
    if len(found):
        lengths = times[:, 2] - times[:, 0]
        figures[f"{name}, time of a repetition, s"] = float(lengths.mean())


def _gait(
    points: np.ndarray,
    skeleton: Skeleton,
    fps: float,
    begin: float,
    facing: str | None,
    events: list[Event],
    figures: dict[str, float],
    notes: list[str],
) -> None:
    """Adds the steps of every stretch without gaps, or a note why there is none."""
    names = ("hips", "left_heel", "right_heel", "left_toe", "right_toe")
    needed = np.stack([part(points, skeleton, name) for name in names], axis=1)
    there = np.flatnonzero(np.isfinite(needed).all(axis=(1, 2)))
    runs = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
    runs = [run for run in runs if len(run) >= _SHORTEST_WALK * fps]
    forward = None if facing is None else np.array([1.0 if facing == "right" else -1.0, 0.0])
    found, reasons = [], []
    for run in runs:
        try:
            steps = step_events(points[run], skeleton, fps, forward=forward)
        except InputError:
            reasons.append("the person does not walk across the view")
            continue
        found.append((begin + run[0] / fps, steps))
    if not runs:
        reasons.append(f"hips and feet are nowhere known for {_SHORTEST_WALK:g} s")
    joined: dict[str, Any] = {
        field: np.concatenate([np.zeros(0), *(start + getattr(s, field) for start, s in found)])
        for field in ("left_strikes", "right_strikes", "left_offs", "right_offs")
    }
    for field, times in joined.items():
        kind = field.replace("_", " ").removesuffix("s")
        events += [Event(kind, t, t) for t in times.tolist()]
    steps = Steps(**joined)
    figures |= {"strikes": len(steps.strikes), "cadence, steps/min": cadence(steps)}
    if not len(steps.strikes):
        notes.append(f"gait: {(reasons or ['no step was found'])[0]}")
        return
    means = [_mean(step_times(steps, foot)) for foot in (None, "left", "right")]
    for name, value in zip(("step", "left step", "right step"), means, strict=True):
        figures[f"{name} time, s"] = value
    figures["step time, symmetry index, %"] = float(symmetry_index(means[1], means[2]))


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")


_DEFINITIONS: tuple[tuple[Callable[[Measures], Any], str], ...] = (
    (
        lambda m: [name for name in m.signals if name != "trunk"],
        "Angle of a joint: the interior angle between the directions to its two neighbours; 180 "
        "degrees is straight, flexion of a knee or elbow is 180 minus it (Wu et al., J. "
        "Biomechanics 2002, 2005). Where a track has joints in 3D (joints_mm), it is the angle in "
        "3D; in an image it is the angle of the projection.",
    ),
    (
        lambda m: "trunk" in m.signals,
        "Trunk: the angle from the vertical of the image to the line from the hips to the "
        "shoulders; 0 degrees is upright.",
    ),
    (
        lambda m: m.angles,
        "Low and high: the 5th and 95th percentile over the frames.",
    ),
    (
        lambda m: m.repetitions,
        "Repetition: from rest past 60 % of the range, and back below 30 % of it; the range is "
        "from the 5th to the 95th percentile (two thresholds: Schmitt, J. Scientific Instruments "
        "1938).",
    ),
    (
        lambda m: m.gait,
        "Strike: the heel is furthest in front of the hips. Off: the toes are furthest behind "
        "them (Zeni et al., Gait & Posture 2008). Ankles replace heels and toes where the "
        "skeleton has none. Step time: from a strike to the next one, of the other foot. "
        "Cadence: 60 divided by the mean step time (Perry and Burnfield, Gait Analysis 2010). "
        "Symmetry index: 100 (left - right) / mean (Robinson et al. 1987).",
    ),
    (
        lambda m: m.falls,
        "Fall: the hips descend by a trunk length a second or more, and within 1.5 s the person "
        "lies for a second (Chen et al., Symmetry 2020; Noury et al., EMBC 2007). Not a safety "
        "device.",
    ),
)
