"""A file of predictions and one of its tracks, as options name them."""

from jaxpose.cli.fit_command import Fit
from jaxpose.cli.lift_command import Lift
from jaxpose.cli.measure_command import Measure
from jaxpose.errors import InputError
from jaxpose.results.people import People
from jaxpose.results.readers import read_results
from jaxpose.skeletons import load
from jaxpose.tasks.lifting.tracks import Track


def read_source(options: Fit | Lift | Measure) -> list[People]:
    """Results of the file that options name.

    Raises:
      InputError: as `read_results` and `skeletons.load`; a size that is not WIDTHxHEIGHT.
    """
    size = None if options.size is None else size_of(options.size)
    skeleton = None if options.skeleton is None else load(options.skeleton)
    return read_results(options.source, skeleton=skeleton, image_wh=size)


def size_of(text: str) -> tuple[int, int]:
    """Width and height of a text such as 1280x720; InputError if it is none."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise InputError(f"--size {text!r} is not WIDTHxHEIGHT, such as 1280x720") from None
    return width, height


def chosen_track(tracks: list[Track], number: int | None) -> Track:
    """The track with this number, the first one for None; InputError if there is none."""
    for track in tracks:
        if number is None or track.number == number:
            return track
    there = ", ".join(str(track.number) for track in tracks)
    raise InputError(f"there is no track {number}; the tracks are {there}")
