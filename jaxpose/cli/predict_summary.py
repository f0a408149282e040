"""Summary of `jaxpose predict`: counts, printed at the end; names of its files."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jaxpose.console import PlainConsole
from jaxpose.counts import NONE_DONE, Counts, counted, print_counts
from jaxpose.errors import InputError, reason
from jaxpose.media.frames import NOT_TO_THE_END
from jaxpose.media.prefetch import StageTimer
from jaxpose.media.sources import Media
from jaxpose.media.video import VIDEO_SUFFIXES
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People

_LISTED = 20


class PredictSummary:
    """Counts of images, frames and people; of constant size, however long the video."""

    def __init__(self, min_score: float) -> None:
        """Starts at zero; `min_score` is the lowest score of a keypoint that is drawn."""
        self.min_score = min_score
        self.images = self.frames = self.people = self.faint = self.without = self.left_out = 0
        self.boxes: list[str] = []
        self.videos: list[tuple[str, str]] = []
        self.drawn: tuple[int, str] = (0, "")
        self.notes: list[str] = []
        self.tracks: Counter[str] = Counter()
        self.lifted = 0
        self.more: list[Counts] = []
        self.lost = self.full = self.untracked = 0

    def add(self, people: People) -> None:
        """Counts an image or frame."""
        if people.seconds is None:
            self.images += 1
        else:
            self.frames += 1
            highest = people.track_ids.max(initial=0) if people.track_ids is not None else 0
            self.tracks[people.source] = max(self.tracks[people.source], int(highest))
        self.people += len(people)
        self.without += not (len(people) or people.skipped or people.untracked)
        self.faint += int(np.sum(people.scores.max(axis=1, initial=0) < self.min_score))
        self.left_out += len(people.skipped)
        self.lost += people.lost
        self.full += people.lost > 0
        self.untracked += people.untracked
        name = people.source if people.index is None else f"{people.source}, frame {people.index}"
        for box in people.skipped[: _LISTED - len(self.boxes)]:
            self.boxes.append(f"{name}: {box.reason}")

    def counts(self, media: Media) -> list[Counts]:
        """Files, and frames, pages, boxes and tracks where there are any or some were left out.

        A video that ends too early counts as a file that was left out, beside its frames.
        """
        left_out: dict[str, Counter[str]] = {}
        for one in media.skipped:
            left_out.setdefault(one.unit, Counter())[one.cause] += one.count
        files = left_out.get("files", Counter())
        broken_off = files[NOT_TO_THE_END]
        excluded = {
            "neither image nor video": len(media.other_files),
            "given twice": media.repeated,
        }
        found = [Counts("files", self.images + len(self.tracks) - broken_off, files, excluded)]
        if self.frames or "frames" in left_out:
            found.append(Counts("frames", self.frames, left_out.get("frames", {})))
        if "pages" in left_out:
            first = sum(one.unit == "pages" for one in media.skipped)
            found.append(Counts("pages", first, left_out["pages"]))
        if self.left_out or self.untracked:
            faults = {"box cannot be used": self.left_out}
            found.append(Counts("people", self.people, faults, {"no track": self.untracked}))
        if self.lifted or "tracks" in left_out:
            found.append(Counts("tracks", self.lifted, left_out.get("tracks", {})))
        return found + self.more

    @staticmethod
    def skipped_of(media: Media) -> list[dict[str, Any]]:
        """Sources and frames that were left out, for the JSON file."""
        return [
            {"file": one.source, "reason": one.reason}
            | ({} if one.index is None else {"frame": one.index})
            for one in media.skipped
        ]


def drawn_name(source: str, names: ImageNames) -> str:
    """Name of the drawn image of an image, or of the drawn video of any other source."""
    is_image = source in names and Path(source).suffix.lower() not in VIDEO_SUFFIXES
    return f"{names.stem(source)}{'.png' if is_image else '.mp4'}"


def make_writable(out: Path) -> None:
    """Makes the folder, and checks before the work begins that it can be written.

    Raises:
      InputError: if it cannot.
    """
    probe = out / f".jaxpose-{os.getpid()}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"cannot write into {out}: {reason(error)}.") from error


def summarise(
    outcome: PredictSummary,
    media: Media,
    out: Path,
    boxes: str | None,
    stages: StageTimer,
    formats: list[str],
) -> int:
    """Prints what was done and left out, and the counts; returns the exit status."""
    console, errors = PlainConsole(), PlainConsole(stderr=True)
    done = outcome.images + outcome.frames
    if done:
        _print_done(outcome, out, boxes, formats, console)
    if outcome.frames:
        console.print(str(stages))
    if faint := outcome.faint:
        console.print(
            f"{counted(faint, 'people')} not drawn: no keypoint scores "
            f"{outcome.min_score} or more (--min-score).",
            style="yellow",
        )
    if outcome.lost:
        console.print(
            f"At least {counted(outcome.lost, 'people')} left out in "
            f"{counted(outcome.full, 'images')}: more people than the model can hold in one image "
            "(codec.max_people).",
            style="yellow",
        )
    if outcome.untracked:
        console.print(
            f"{counted(outcome.untracked, 'people')} left out: they continue no track, "
            "are more than --individuals, or were not followed for long enough to begin one.",
            style="yellow",
        )
    for note in outcome.notes[:_LISTED]:
        console.print(note, style="yellow")
    lines = [f"{one.source}: {one.reason}" for one in media.skipped]
    what = counted(len(lines), "images" if media.still else "images, videos or their parts")
    for title, some, total in (
        (what, lines, len(lines)),
        (counted(outcome.left_out, "boxes"), outcome.boxes, outcome.left_out),
    ):
        if some:
            errors.print(f"{title} left out:", style="yellow")
            for line in some[:_LISTED]:
                errors.print(f"  {line}")
            if total > _LISTED:
                where = ", in the files written" if done else ""
                errors.print(f"  and {total - _LISTED} more{where}")
    if others := media.other_files:
        names = ", ".join(path.name for path in others[:3])
        more = ", ..." if len(others) > 3 else ""
        errors.print(
            f"{counted(len(others), 'files')} in the folders neither image nor video: "
            f"{names}{more}",
            style="dim",
        )
    status = print_counts(outcome.counts(media), console)
    if status == NONE_DONE:
        nothing = "No image could be read." if media.still else "Nothing could be read."
        errors.print(nothing, style="bold red")
    return status


def _print_done(
    outcome: PredictSummary, out: Path, boxes: str | None, formats: list[str], console: Console
) -> None:
    parts = []
    if outcome.images:
        parts.append(counted(outcome.images, "images"))
    if outcome.frames:
        videos = counted(len(outcome.tracks), "videos")
        parts.append(f"{videos} of {counted(outcome.frames, 'frames')}")
    place = f"a box in {boxes}" if boxes else "anybody"
    note = f" ({outcome.without} without {place})" if outcome.without else ""
    people = counted(outcome.people, "people")
    tracks = sum(outcome.tracks.values())
    tracked = f" on {counted(tracks, 'tracks')}" if tracks else ""
    console.print(f"{', '.join(parts)}{note}, {people}{tracked}.")
    count, name = outcome.drawn
    pictures = [] if not count else [name] if count == 1 else [f"{count:,} drawn images"]
    drawn = [*pictures, *(f"{name} ({codec})" for name, codec in outcome.videos[:3])]
    console.print(f"Written to {out}: {', '.join([*formats, *drawn])}.")
    if any(codec == "mp4v" for _, codec in outcome.videos):
        console.print(
            "The video is MPEG-4 part 2, which browsers do not play: this build of PyAV has no "
            "encoder for H.264.",
            style="yellow",
        )
