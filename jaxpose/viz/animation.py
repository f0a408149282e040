"""A short film that stands in a page: an animated GIF, or MP4."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.viz.people import as_rgb
from jaxpose.viz.video import VideoWriter

_GIF_FPS = 25.0  # browsers slow a GIF down that asks for much more
_OFTEN, _RARE = 160, 96  # colours of a GIF
_SAMPLES = 8  # pictures that the palette is made of


def save_animation(path: str | Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    """Writes RGB pictures of one size as .gif or .mp4; the file appears whole or not at all.

    A GIF loops, and leaves pictures out where `fps` is above 25; it lasts as long. For MP4 see
    `film.VideoWriter`.

    Raises:
      InputError: another suffix, no picture, one of another size, a rate that is not positive, or
        the path cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in (".gif", ".mp4"):
        raise InputError(f"{path}: an animation's name must end in .gif or .mp4")
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"{path}: the pictures per second must be positive, not {fps}")
    alike = _alike(path, pictures)
    if path.suffix.lower() == ".gif":
        _write_gif(path, alike, fps)
        return
    with VideoWriter(path, fps) as film:
        for picture in alike:
            film.write(picture)


def _alike(path: Path, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures, checked; at least one."""
    size: tuple[int, ...] = ()
    for picture in pictures:
        rgb = as_rgb(picture)
        size = size or rgb.shape
        if rgb.shape != size:
            raise InputError(
                f"{path}: pictures of {size[1]} x {size[0]} and of {rgb.shape[1]} x {rgb.shape[0]} "
                "pixels in one animation"
            )
        yield rgb
    if not size:
        raise InputError(f"{path}: there is no picture to make an animation of")


def _write_gif(path: Path, pictures: Iterable[np.ndarray], fps: float) -> None:
    from PIL import Image

    step = int(np.ceil(fps / _GIF_FPS))
    kept = list(islice(pictures, 0, None, step))
    sample = kept[:: max(1, len(kept) // _SAMPLES)]
    palette = _palette(Image.fromarray(np.concatenate(sample)))
    frames = [
        Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)
        for picture in kept
    ]
    # A GIF counts in hundredths of a second; rounded ends keep the whole at its length.
    ends = np.rint(np.arange(len(kept) + 1) * step / fps * 100) * 10
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        frames[0].save(
            partial,
            format="GIF",
            save_all=True,
            append_images=frames[1:],
            duration=np.diff(ends).astype(int).tolist(),
            loop=0,
            optimize=False,
        )
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: the animation cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _palette(picture: Any) -> Any:
    """An image with 256 colours: those that are frequent, and some of all others.

    A limb's colour is rare beside a photo's, and has to be there all the same.
    """
    from PIL import Image

    often = picture.quantize(_OFTEN, method=Image.Quantize.MEDIANCUT)
    rare = picture.quantize(_RARE, method=Image.Quantize.MAXCOVERAGE)
    colors = often.getpalette()[: 3 * _OFTEN] + rare.getpalette()[: 3 * _RARE]
    holder = Image.new("P", (1, 1))
    holder.putpalette(colors)
    return holder
