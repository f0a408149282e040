"""Results of prediction in one file, whose suffix chooses the form."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from jaxpose.errors import InputError
from jaxpose.paths import note_parts
from jaxpose.results.drawing import Drawing
from jaxpose.results.people import People
from jaxpose.results.writers import CsvWriter, JsonLinesWriter, JsonWriter, Writer, head_of
from jaxpose.viz import VideoWriter, save_image

_IMAGES = (".png", ".jpg", ".jpeg")
SUFFIXES = (*_IMAGES, ".mp4", ".json", ".jsonl", ".csv")


def save_results(
    frames: Iterable[People], path: str | Path, drawing: Drawing, count: int | None = None
) -> Path:
    """Writes results: a drawn image, a drawn video, or keypoints in the formats of `predict`.

    If the frames break off with an exception, an earlier file is left as it is, and the results so
    far are in a separate file, as `writers` describe.

    Args:
      frames: of one image, several images, or a video.
      path: ends in .png, .jpg or .jpeg (one image), .mp4 (a video), .json, .jsonl or .csv.
      drawing: choices of a drawn image or video.
      count: number of frames, if it is known.

    Returns:
      The path.

    Raises:
      InputError: another suffix, several images for one image file, images for a video, no frame,
        or a file that cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: the name must end in one of {', '.join(SUFFIXES)}.")
    if suffix in _IMAGES and count != 1:
        raise InputError(
            f"{path} is one image, and the results are of several: save each of them in a loop, or "
            "choose .mp4 for a video, or .json or .csv for the keypoints."
        )
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise InputError(f"There is no result to write to {path}.")
    frames = chain([first], remaining)
    if suffix in _IMAGES:
        save_image(path, drawing.draw(first, first.image))
    elif suffix == ".mp4":
        _save_video(frames, first, path, drawing)
    else:
        _save_keypoints(frames, _writer(path, first))
    return path


def _save_keypoints(frames: Iterator[People], writer: Writer) -> None:
    try:
        for people in frames:
            writer.write(people)
    except BaseException as error:
        writer.close(complete=False)
        if writer.part is not None:
            note_parts(error, [writer.part])
        raise
    writer.close()


def _save_video(frames: Iterator[People], first: People, path: Path, drawing: Drawing) -> None:
    if first.seconds is None:
        raise InputError(f"{path} is a video, and the results are of images: choose .png or .json.")
    with VideoWriter(path) as video:
        for people in frames:
            video.write(drawing.draw(people, people.image), people.seconds)


def _writer(path: Path, first: People) -> Writer:
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return CsvWriter(path)
    if suffix == ".jsonl":
        return JsonLinesWriter(path)
    name = "photos" if first.seconds is None else "frames"
    return JsonWriter(path, head_of(first.skeleton), name=name)
