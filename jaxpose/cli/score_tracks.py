"""`jaxpose score --tracking`: metrics of files of tracks."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.table import Table

from jaxpose.cli.score_command import Score
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, exit_status, print_counts
from jaxpose.errors import InputError
from jaxpose.metrics.report import shown, with_null
from jaxpose.metrics.tracking import TrackedPoints, TrackingCounts, count_tracking, keypoint_mota
from jaxpose.results.track_files import mot_frames, posetrack_frames, read_mot, read_posetrack
from jaxpose.skeletons import POSETRACK17


def score_tracks(options: Score) -> int:
    """Print HOTA, MOTA, IDF1 and counts of tracks, and for PoseTrack's files keypoint MOTA.

    `options.results` and `options.annotations` are two files, `.txt` of MOTChallenge or `.json` of
    PoseTrack, or two folders with files of the same names, one for each sequence.

    Returns:
      The exit status, 0, or 1 if an annotated sequence has no results.

    Raises:
      InputError: options that are not for tracks, or files that cannot be read or do not fit.
    """
    if options.metric or options.skeleton or options.per_keypoint:
        raise InputError(
            "--metric, --skeleton and --per-keypoint are not for --tracking: leave them out."
        )
    pairs, absent = _pairs(options.annotations, options.results)
    total: TrackingCounts | None = None
    points: list[list[TrackedPoints]] = []
    for truth, found in pairs:
        if truth.suffix == ".txt":
            frames = mot_frames(read_mot(truth, truth=True), read_mot(found))
        else:
            keypoints, frames = posetrack_frames(read_posetrack(truth), read_posetrack(found))
            points.append(keypoints)
        counts = count_tracking(frames)
        total = counts if total is None else total + counts
    assert total is not None
    figures = total.figures()
    notes = {"similarity": "overlap of boxes (IoU)"}
    if points:
        notes = {"similarity": "overlap of boxes around keypoints (IoU)"}
        figures |= _keypoint_figures(points)
    closing = [Counts("sequences", len(pairs), {"no results": absent})]
    if options.json:
        document = {"metrics": with_null(figures), "notes": notes}
        document["counts"] = [one.to_dict() for one in closing]  # type: ignore[assignment]
        print(json.dumps(document, indent=1, allow_nan=False))
        return exit_status(closing)
    console = PlainConsole()
    console.print(_table(figures, notes))
    return print_counts(closing, console)


def _pairs(annotations: Path, results: Path) -> tuple[list[tuple[Path, Path]], int]:
    """Files of annotations and results, and the number of annotations without results."""
    if annotations.is_dir() != results.is_dir():
        raise InputError("--annotations and the results must be two files, or two folders.")
    if not annotations.is_dir():
        if annotations.suffix != results.suffix or annotations.suffix not in (".txt", ".json"):
            raise InputError(
                f"{annotations} and {results} must both be .txt files of MOTChallenge, or both "
                ".json files of PoseTrack18."
            )
        return [(annotations, results)], 0
    files = sorted(p for p in annotations.iterdir() if p.suffix in (".txt", ".json"))
    pairs = [(file, results / file.name) for file in files if (results / file.name).is_file()]
    if not pairs:
        raise InputError(f"{annotations} and {results} have no .txt or .json file in common.")
    return pairs, len(files) - len(pairs)


def _keypoint_figures(points: list[list[TrackedPoints]]) -> dict[str, float]:
    """Keypoint MOTA in per cent: the mean, and that of each keypoint."""
    of_each = keypoint_mota(points)
    known = of_each[np.isfinite(of_each)]
    figures = {"keypoint MOTA": float(known.mean()) if known.size else -1.0}
    return figures | {
        f"MOTA of {name}": float(value)
        for name, value in zip(POSETRACK17.keypoints, of_each, strict=True)
        if np.isfinite(value)
    }


def _table(figures: Mapping[str, float], notes: Mapping[str, str]) -> Table:
    table = Table("metric", "value")
    for name, value in figures.items():
        table.add_row(name, shown(value, ".4f" if abs(value) <= 1 else ".2f"))
    table.add_section()
    for name, words in notes.items():
        table.add_row(name, words)
    return table
