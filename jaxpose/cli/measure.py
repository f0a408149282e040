"""`jaxpose measure`: angles, repetitions, steps and falls of the people in a video."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from jaxpose.cli.measure_command import Measure
from jaxpose.cli.results_file import chosen_track, read_source
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.errors import InputError, not_written
from jaxpose.measure.track import Measured, Measures, measure_track
from jaxpose.motion.timing import DEFAULT_FPS
from jaxpose.paths import atomic_write
from jaxpose.tasks.lifting.tracks import Track, tracks_of
from jaxpose.viz import save_image
from jaxpose.viz.measures import Panel, measures_chart

_EVENTS = ("source", "track_id", "event", "name", "begin_s", "turn_s", "end_s")


def measure(options: Measure) -> int:
    """Measures the people of a file of predictions, one track after the other.

    Writes into `options.out`: `measures.csv`, a line for each frame of a track; `events.csv`;
    `measures.json`, with the definitions and the figures of each track; `measures.png`.

    Returns:
      The exit status: 0, or 1 if a track has no keypoint that can be used, or 2 if none has one.

    Raises:
      InputError: a file or option that cannot be used.
    """
    measures = Measures(
        angles=_names(options.angles),
        repetitions=_names(options.repetitions),
        gait=options.gait,
        falls=options.falls,
        min_range=options.min_range,
        facing=options.treadmill,
        min_score=options.min_score,
        longest_gap=options.longest_gap,
        smooth_seconds=options.smooth,
    )
    results = read_source(options)
    if all(people.index is None for people in results):
        raise InputError(f"{options.source} has results of images; measures need a video's.")
    tracks = tracks_of(results, options.fps, options.longest_gap)
    chosen = tracks if options.track is None else [chosen_track(tracks, options.track)]
    usable = [track for track in chosen if (track.scores >= options.min_score).any()]
    found = [_measured(track, measures, options.in_image) for track in usable]
    left_out = {"no keypoint above the score": len(chosen) - len(usable)}
    others = {"not chosen": len(tracks) - len(chosen)}
    counts = [Counts("tracks", len(usable), left_out, others)]
    frames = [people for people in results if people.index is not None]
    if options.fps is None and any(p.seconds is None and p.fps is None for p in frames):
        PlainConsole(stderr=True).print(
            f"{options.source} has no time stamps: {DEFAULT_FPS:g} frames a second are assumed; "
            "--fps gives another rate.",
            style="yellow",
        )
    if usable:
        _write(options.out, list(zip(usable, found, strict=True)), measures, counts)
        _print(list(zip(usable, found, strict=True)), measures, options.out)
    return print_counts(counts)


def _names(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(filter(None, (name.strip() for name in text.split(","))))


def _measured(track: Track, measures: Measures, in_image: bool) -> Measured:
    return measure_track(
        track.keypoints,
        track.scores,
        track.skeleton,
        track.fps,
        measures,
        track.clock.begin,
        None if in_image else track.joints,
        track.joint_skeleton,
    )


def _write(
    out: Path, found: list[tuple[Track, Measured]], measures: Measures, counts: list[Counts]
) -> None:
    names = ("source", "track_id", "frame", "seconds", *measures.signals)
    document = {
        "definitions": measures.definitions(),
        "tracks": [_entry(track, measured) for track, measured in found],
        "counts": [one.to_dict() for one in counts],
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write(out / "measures.csv", _table(names, _frames(found)))
        atomic_write(out / "events.csv", _table(_EVENTS, _events(found)))
        atomic_write(out / "measures.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise not_written(out, error) from error
    panels = [
        Panel(
            f"{Path(track.source).name}, track {track.number}",
            track.seconds,
            measured.signals,
            [(e.kind, e.begin if e.turn is None else e.turn, e.name) for e in measured.events],
        )
        for track, measured in found
    ]
    save_image(out / "measures.png", measures_chart(panels))


def _entry(track: Track, measured: Measured) -> dict[str, Any]:
    return {
        "source": track.source,
        "track_id": track.number,
        "frames": len(track.frames),
        "begin_s": round(float(track.seconds[0]), 6),
        "end_s": round(float(track.seconds[-1]), 6),
        "figures": {
            name: round(float(value), 4) if np.isfinite(value) else None
            for name, value in measured.figures.items()
        },
        "events": [event.to_dict() for event in measured.events],
        "notes": [*([track.note] if track.note else []), *measured.notes],
    }


def _frames(found: list[tuple[Track, Measured]]) -> Iterable[Mapping[str, Any]]:
    """Lines of all frames: angles at the time of each frame, by the stamps of the video."""
    for track, measured in found:
        curves = {name: track.clock.to_frames(v) for name, v in measured.signals.items()}
        for row, (frame, second) in enumerate(zip(track.frames, track.clock.seconds, strict=True)):
            place = {"source": track.source, "track_id": track.number, "frame": int(frame)}
            values = {n: f"{v[row]:.3f}" if np.isfinite(v[row]) else "" for n, v in curves.items()}
            yield {**place, "seconds": round(float(second), 9), **values}


def _events(found: list[tuple[Track, Measured]]) -> Iterable[Mapping[str, Any]]:
    for track, measured in found:
        for event in measured.events:
            yield {"source": track.source, "track_id": track.number, **event.to_dict()}


def _table(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return text.getvalue()


def _print(found: list[tuple[Track, Measured]], measures: Measures, out: Path) -> None:
    console = PlainConsole()
    for text in measures.definitions():
        console.print(text)
    several = len({track.source for track, _ in found}) > 1
    names = [
        f"{track.number} of {track.source}" if several else f"{track.number}" for track, _ in found
    ]
    table = Table("track", "frames", "measure", "value")
    for name, (track, measured) in zip(names, found, strict=True):
        first = (name, str(len(track.frames)))
        for figure, value in measured.figures.items():
            shown = "-" if not np.isfinite(value) else f"{value:.4g}"
            table.add_row(*first, figure, shown)
            first = ("", "")
    console.print(table)
    for name, (track, measured) in zip(names, found, strict=True):
        for note in (*([track.note] if track.note else []), *measured.notes):
            console.print(f"Track {name}: {note}.")
    console.print(f"Written to {out}: events.csv, measures.csv, measures.json, measures.png")
