"""Sources of images as one stream of frames: images, folders, videos, webcams, arrays."""

import glob
import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError
from jaxpose.file_limits import SETTINGS, read_text
from jaxpose.media.frames import ABSENT, NOT_READ, Frame, Skipped
from jaxpose.media.image import is_image_file, is_tiff, on_white, page_count, read_image
from jaxpose.media.video import VIDEO_SUFFIXES, Video, is_address, open_video
from jaxpose.media.webcam import Webcam
from jaxpose.paths import is_file

LIST_SUFFIXES = frozenset({".lst", ".txt"})
"""Suffixes of files that list paths, one per line."""

ARRAY = "array"
"""`Frame.source` of an array."""

_Item = str | Path | int | np.ndarray


class Media:
    """Frames of all given sources, in order; can be iterated once.

    An image or a video that cannot be read is skipped and listed in `skipped`; so are damaged
    frames of a video.

    Attributes:
      skipped: sources and frames that have been skipped so far.
      other_files: files of given folders that are neither images nor videos.
      repeated: number of paths that were given before, and are read once.
      still: True if there are only images, as far as is known before reading.
      single: True if one image was given directly, not in a folder or list.
      live: True if frames come from a webcam or a stream and should not wait for each other.
      count: number of frames, of a video an estimate; None if unknown.
    """

    def __init__(self, items: Iterable[_Item], fps: float | None = None) -> None:
        """Takes paths, webcam numbers and arrays; `open_media` converts other sources to these.

        Args:
          items: a list, or an iterator of unknown length.
          fps: frames per second of arrays that are consecutive frames; None: they are single
            images.
        """
        self.skipped: list[Skipped] = []
        self.other_files: list[Path] = []
        self.repeated = 0
        self._items = items
        self._fps = fps
        self.single = False
        known = list(items) if isinstance(items, list) else None
        self.paths = [Path(i) for i in known or () if _is_path(i)]
        self.still = known is not None and fps is None and not any(_moves(i) for i in known)
        self.live = any(not isinstance(i, np.ndarray) and not _is_path(i) for i in known or ())
        self.count = len(known) if known is not None and not any(map(_moves, known)) else None
        self._first: Video | Webcam | None = None
        if known is not None and len(known) == 1 and _moves(known[0]):
            try:
                self._first = open_video(_film(known[0]), self.skipped.append)
            except InputError as error:
                self.skipped.append(_unread(str(known[0]), error))
                self._items, self.count = [], 0
            else:
                self.count = self._first.count

    def __iter__(self) -> Iterator[Frame]:
        arrays = 0
        for item in self._items:
            if isinstance(item, np.ndarray):
                seconds = None if self._fps is None else arrays / self._fps
                name = f"{ARRAY} {arrays}" if self._fps is None else ARRAY
                index = 0 if self._fps is None else arrays
                arrays += 1
                try:
                    yield Frame(as_image(item), name, index, seconds, self._fps)
                except InputError as error:
                    self.skipped.append(Skipped(ARRAY, str(error), arrays - 1))
                continue
            try:
                if _moves(item):
                    video = self._first or open_video(_film(item), self.skipped.append)
                    self._first = None
                    yield from video
                else:
                    yield Frame(read_image(str(item)), str(item))
                    if (pages := page_count(Path(str(item)))) > 1:
                        tiff = is_tiff(Path(str(item)))
                        part, whole = ("page", "a TIFF") if tiff else ("image", "an animation")
                        rest = f"{part} 2 is" if pages == 2 else f"{part}s 2 to {pages} are"
                        reason = f"{rest} left out: of {whole} the first {part} is read"
                        cause = f"after the first of {whole}"
                        left = Skipped(str(item), reason, None, "pages", pages - 1, cause)
                        self.skipped.append(left)
            except InputError as error:
                self.skipped.append(_unread(str(item), error))


def open_media(what: Any, *, fps: float | None = None) -> Media:
    """Opens an image, video, folder, pattern, list, webcam, array, or a mixture of them.

    - a path of an image (detected by content) or video (`VIDEO_SUFFIXES`), `rtsp://` and `http://`
      addresses;
    - a folder: its images (detected by content) and videos and those of its folders, in natural
      order (`2.jpg` before `10.jpg`), without hidden ones; other files are in `other_files`;
    - a pattern with `*`, `?` or `[...]`, where `**` crosses folders; brackets in the name of a
      folder that exists are part of the name;
    - a list file (`LIST_SUFFIXES`): one path per line, relative to the list's folder; a line that
      begins with `#` is a comment, and so is the rest of a line after ` #` unless a file has that
      name;
    - the number of a webcam;
    - an array, uint8 `[H, W]`, `[H, W, 1]`, RGB or RGBA, or `[T, H, W, C]`; an image of Pillow;
    - a list or an iterator of any of these.

    Args:
      what: one of these.
      fps: frame rate, for arrays that are consecutive frames of a video.

    Raises:
      InputError: there is nothing to read, or it is of another type; a frame rate that is no
        positive number.
    """
    if fps is not None and not (isinstance(fps, Real) and 0 < fps < math.inf):
        raise InputError(f"fps is a positive number, not {fps!r}")
    if isinstance(what, Iterator):
        others: list[Path] = []
        media = Media(itertools.chain.from_iterable(_items(item, others) for item in what), fps)
        media.other_files = others
        return media
    given = list(what) if isinstance(what, list | tuple) else [what]
    skipped: list[Skipped] = []
    items: list[_Item] = []
    seen: set[str] = set()
    repeated = 0
    other_files: list[Path] = []
    for one in given:
        try:
            found = list(_items(one, other_files))
        except InputError as error:
            if len(given) == 1:
                raise
            skipped.append(_unread(str(one), error))
            continue
        for item in found:
            key = str(item) if _is_path(item) else ""
            if key and key in seen:
                repeated += 1
                continue
            items.append(item)
            seen.add(key)
    if not items:
        reasons = "; ".join(f"{s.source}: {s.reason}" for s in skipped)
        raise InputError(f"nothing to read{': ' + reasons if reasons else ''}")
    media = Media(items, fps)
    media.skipped[:0] = skipped
    media.other_files = other_files
    media.repeated = repeated
    media.single = media.still and _is_one(what, items)
    return media


def as_image(image: np.ndarray) -> np.ndarray:
    """Converts a uint8 image, grey, RGB, or RGBA (blended with white), to RGB `[H, W, 3]`.

    Raises:
      InputError: another type or shape, or no pixels.
    """
    fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
    if image.dtype != np.uint8 or not fits or not image.size:
        raise InputError(
            f"an image is uint8 [H, W], [H, W, 1], RGB [H, W, 3] or RGBA, not {image.dtype} "
            f"{list(image.shape)}"
        )
    if image.ndim == 2:
        image = image[:, :, None]
    if image.shape[2] == 4:
        image = on_white(image)
    return np.ascontiguousarray(np.broadcast_to(image, (*image.shape[:2], 3)))


def natural_key(path: Path) -> list[tuple[int, list[tuple[int, int, str]]]]:
    """Sort key that puts `2.jpg` before `10.jpg`, and files before those of subfolders."""

    def pieces(name: str) -> list[tuple[int, int, str]]:
        found = [piece for piece in re.split(r"(\d+)", name.lower()) if piece]
        return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in found]

    return [(1, pieces(part)) for part in path.parts[:-1]] + [(0, pieces(path.name))]


def _items(what: Any, other_files: list[Path]) -> Iterator[_Item]:
    """Paths, webcam numbers and arrays of one source; adds files of folders to `other_files`."""
    if isinstance(what, bool) or what is None:
        raise InputError(f"{what!r} is not a source of images")
    if isinstance(what, int | np.integer):
        if what < 0:
            raise InputError(f"webcams are numbered from 0; {what} is not a valid number")
        yield int(what)
    elif isinstance(what, np.ndarray):
        yield from what if what.ndim == 4 else [what]
    elif is_address(what):
        yield what
    elif isinstance(what, str | os.PathLike):
        yield from _from_path(Path(what), other_files)
    elif _is_pillow(what):
        yield _from_pillow(what)
    elif hasattr(what, "__array__"):  # a JAX array
        yield from _items(np.asarray(what), other_files)
    else:
        raise InputError(f"images cannot be read from a {type(what).__name__}")


def _is_one(what: Any, items: list[_Item]) -> bool:
    """True for a single image, False for a source that contains images."""
    if isinstance(what, str | os.PathLike):
        return items == [Path(what)]
    return not isinstance(what, list | tuple) and np.ndim(what) < 4


def _is_pillow(what: Any) -> bool:
    # Pillow is not imported for this: who has an image of it has imported it.
    return any(cls.__module__ == "PIL.Image" for cls in type(what).__mro__)


def _from_pillow(image: Any) -> np.ndarray:
    """Convert an image of Pillow, of any mode, to what a file of it would be read as, RGB or RGBA.

    The EXIF orientation is applied, palettes and CMYK become RGB, and 16-bit grey is scaled.
    """
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        return ((np.asarray(image).astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if image.mode in ("I", "F"):
        raise InputError(
            f"a Pillow image of mode {image.mode!r} has no fixed range: convert it to 'L' or 'RGB'"
        )
    transparent = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if transparent else "RGB"))


def _from_path(path: Path, other_files: list[Path]) -> Iterator[_Item]:
    if path.is_dir():
        yield from _folder(path, other_files)
    elif glob.has_magic(str(path)) and not path.exists():
        found = [Path(name) for name in glob.glob(_pattern(path), recursive=True)]
        found = [file for file in found if file.is_file()]
        if not found:
            raise InputError(f"no file matches the pattern {path}")
        yield from sorted(found, key=natural_key)
    elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
        yield from _listed(path)
    else:
        yield path


def _pattern(path: Path) -> str:
    """Pattern of a path whose first folders, as far as they exist, are taken literally."""
    literal = path
    while not literal.exists():
        literal = literal.parent
    return str(Path(glob.escape(str(literal)), path.relative_to(literal)))


def _folder(folder: Path, other_files: list[Path]) -> Iterator[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(place, name)
            if name.startswith("."):
                continue
            moves = path.suffix.lower() in VIDEO_SUFFIXES
            (found if moves or is_image_file(path) else other_files).append(path)
    if not found:
        raise InputError(f"the folder {folder} contains no image and no video")
    yield from sorted(found, key=natural_key)


def _listed(path: Path) -> Iterator[_Item]:
    try:
        lines = read_text(path, SETTINGS).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable list of paths, one per line") from error
    names = [_without_comment(line, path.parent) for line in lines]
    names = [name for name in names if name]
    if not names:
        raise InputError(f"the list {path} lists no file")
    for name in names:
        yield name if is_address(name) else path.parent / name


def _without_comment(line: str, folder: Path) -> str:
    """The path in a line; empty for a comment. A file may have ` #` in its name."""
    line = line.strip()
    if line.startswith("#"):
        return ""
    parts = line.split(" #")
    names = [" #".join(parts[:end]).strip() for end in range(len(parts), 0, -1)]
    return next((name for name in names if is_file(folder / name)), names[-1])


def _is_path(item: _Item) -> bool:
    return isinstance(item, str | Path) and not is_address(item)


def _moves(item: _Item) -> bool:
    """True if the item is read as a video."""
    if isinstance(item, np.ndarray):
        return False
    return not _is_path(item) or Path(str(item)).suffix.lower() in VIDEO_SUFFIXES


def _film(item: _Item) -> str | Path | int:
    assert not isinstance(item, np.ndarray)
    return item


def _unread(source: str, error: InputError) -> Skipped:
    reason = str(error).removeprefix(source).removeprefix(":").strip().removesuffix(".")
    # The words are those of `image.missing`, `errors.not_read` and `_from_path`.
    absent = reason.startswith((ABSENT, "no file matches"))
    return Skipped(source, reason, cause=ABSENT if absent else NOT_READ)


__getattr__ = moved_names(__name__)
