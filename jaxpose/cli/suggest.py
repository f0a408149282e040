"""`jaxpose suggest-frames`: images of frames that are worth labelling."""

import re
from pathlib import Path

from jaxpose.cli.suggest_command import Suggest
from jaxpose.console import PlainConsole
from jaxpose.counts import Counts, print_counts
from jaxpose.errors import InputError
from jaxpose.labels.frames import video_frames
from jaxpose.labels.suggest import doubts_of, suggest_frames
from jaxpose.results.image_names import ImageNames
from jaxpose.results.people import People
from jaxpose.results.readers import read_results
from jaxpose.viz.files import save_image


def write_suggested(options: Suggest) -> int:
    """Writes the frames; prints their numbers, and returns the exit status.

    Raises:
      InputError: a video cannot be read, or the predictions are not those of a video.
    """
    names = ImageNames(options.videos)
    predicted = None if options.predictions is None else list(read_results(options.predictions))
    console = PlainConsole()
    written = 0
    for video in options.videos:
        stem = names.stem(str(video))
        doubts = None if predicted is None else doubts_of(_of_video(predicted, video, options))
        chosen = suggest_frames(
            video,
            options.count,
            seed=options.seed,
            doubts=doubts,
            labelled=_labelled(options.out / stem),
        )
        for index, image in video_frames(video, set(chosen)):
            save_image(options.out / stem / f"img{index:04d}.png", image)
            written += 1
        console.print(f"{options.out / stem}: frames {', '.join(map(str, chosen))}")
    return print_counts([Counts("frames", written)], console)


def _labelled(folder: Path) -> set[int]:
    """Numbers of the frames in a folder, by their names."""
    files = folder.glob("img*.png") if folder.is_dir() else ()
    found = (re.fullmatch(r"img(\d{1,12})", file.stem) for file in files)
    return {int(match[1]) for match in found if match}


def _of_video(predicted: list[People], video: Path, options: Suggest) -> list[People]:
    own = [people for people in predicted if Path(people.source).name == video.name]
    if not any(people.index is not None for people in own):
        sources = sorted({people.source for people in predicted})
        raise InputError(
            f"{options.predictions} has no frames of {video}; it has {', '.join(sources[:3])}."
        )
    return own
