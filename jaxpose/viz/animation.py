"""Short animations for web pages: animated GIF, or MP4."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError, not_written
from jaxpose.paths import whole_file
from jaxpose.viz.people import as_rgb
from jaxpose.viz.video import VideoWriter

GIF_FPS = 25.0
"""Highest rate of a GIF; browsers slow down GIFs with a much higher one."""
_OFTEN, _RARE = 160, 96  # colours of a GIF
_SAMPLES = 8  # images that the palette is computed from


def save_animation(path: str | Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Writes RGB images of one size as .gif or .mp4; the file appears whole or not at all.

    A GIF loops; if `fps` is above 25 it skips images but keeps its duration. For MP4 see
    `video.VideoWriter`.

    Raises:
      InputError: another suffix, no image, one of another size, a rate that is not positive, or
        the path cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".gif", ".mp4"):
        raise InputError(f"{path}: an animation's name must end in .gif or .mp4")
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"{path}: the frames per second must be positive, not {fps}")
    alike = _alike(path, pictures)
    if path.suffix.lower() == ".gif":
        _write_gif(path, alike, fps)
        return
    with VideoWriter(path, fps) as film:
        for picture in alike:
            film.write(picture)


def _alike(path: Path, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields the images after checks of their size; at least one."""
    size: tuple[int, ...] = ()
    for picture in pictures:
        rgb = as_rgb(picture)
        size = size or rgb.shape
        if rgb.shape != size:
            raise InputError(
                f"{path}: images of {size[1]} x {size[0]} and of {rgb.shape[1]} x {rgb.shape[0]} "
                "pixels in one animation"
            )
        yield rgb
    if not size:
        raise InputError(f"{path}: an animation needs at least one image")


def _write_gif(path: Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    from PIL import Image

    step = int(np.ceil(fps / GIF_FPS))
    kept = list(islice(pictures, 0, None, step))
    sample = kept[:: max(1, len(kept) // _SAMPLES)]
    palette = _palette(Image.fromarray(np.concatenate(sample)))
    frames = [
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in kept
    ]
    # GIF times are hundredths of a second; rounding the end times keeps the total duration.
    ends = np.rint(np.arange(len(kept) + 1) * step / fps * 100) * 10
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as partial:
            frames[0].save(
                partial,
                format="GIF",
                save_all=True,
                append_images=frames[1:],
                duration=np.diff(ends).astype(int).tolist(),
                loop=0,
                optimize=False,
            )
    except OSError as error:
        raise not_written(path, error) from None


def _palette(picture: Any) -> Any:
    """Image with 256 colours: frequent ones, and some of all others.

    The colour of a limb is rare in an image, but the palette must have it.
    """
    from PIL import Image

    often = picture.quantize(_OFTEN, method=Image.Quantize.MEDIANCUT)
    rare = picture.quantize(_RARE, method=Image.Quantize.MAXCOVERAGE)
    colors = often.getpalette()[: 3 * _OFTEN] + rare.getpalette()[: 3 * _RARE]
    holder = Image.new("P", (1, 1))
    holder.putpalette(colors)
    return holder
