"""Names and ids of the images and videos of a command: one table, in which each is unique."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from jaxpose.errors import InputError


class ImageNames:
    """Table of the images and videos that a command reads.

    An image is identified by its path relative to the folder that all of them have in common, so
    `cam1/0001.jpg` and `cam2/0001.jpg` stay two images. Sources that were not listed at first,
    such as webcams and streams, are entered when they appear.
    """

    def __init__(self, paths: Iterable[Path] = (), ids: Mapping[str, int] | None = None) -> None:
        """Enter the paths.

        Args:
          paths: paths of images and videos.
          ids: ids by an annotation file's `file_name`. Without them an image's id is the number in
            its name, as in COCO (`000000397133.jpg`), if all images have different ones above 0;
            otherwise images are numbered from 1.
        """
        paths = list(dict.fromkeys(paths))
        self._given = frozenset(map(str, paths))
        self._folder = _common_folder(paths)
        self._annotated = {str(PurePosixPath(name)): number for name, number in (ids or {}).items()}
        self._files: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        self._taken: set[str] = set()
        for path in paths:
            self._enter(str(path))
        numbers = [int(path.stem) if path.stem.isdecimal() else 0 for path in paths]
        self._by_name = 0 not in numbers and len(set(numbers)) == len(numbers) > 0
        self._ids: dict[tuple[str, int | None], int] = {}
        self._used = set(self._annotated.values())
        self._last = 0

    def __contains__(self, source: str) -> bool:
        """True for the source of a path that was entered at first."""
        return source in self._given

    def file_name(self, source: str) -> str:
        """Path relative to the common folder, with `/`; a source that is no file as it is."""
        return self._files.get(source) or self._enter(source)

    def stem(self, source: str) -> str:
        """Relative path without suffix for files that are written for a source, unique.

        Where two images differ only in their suffix, the second one's is numbered: `a-2`.
        """
        self.file_name(source)
        return self._stems[source]

    def image_id(self, source: str, frame: int | None = None) -> int:
        """Id of an image, or of one frame of a video: a number above 0 that no other one has."""
        key = source, frame
        if key not in self._ids:
            self._ids[key] = self._new_id(source, frame)
            self._used.add(self._ids[key])
        return self._ids[key]

    def _new_id(self, source: str, frame: int | None) -> int:
        if frame is None and self._annotated:
            parts = PurePosixPath(Path(source).as_posix()).parts
            for start in range(len(parts)):
                found = self._annotated.get(str(PurePosixPath(*parts[start:])))
                if found is not None:
                    return found
        if frame is None and self._by_name and not self._annotated and source in self:
            return int(Path(source).stem)
        while self._last + 1 in self._used:
            self._last += 1
        self._last += 1
        return self._last

    def _enter(self, source: str) -> str:
        path = Path(source)
        name = source
        if self._folder is not None and path.is_absolute() == self._folder.is_absolute():
            relative = os.path.relpath(path, self._folder)
            name = path.name if relative.startswith("..") else Path(relative).as_posix()
        stem = _file_stem(name)
        number, unique = 1, stem
        while unique.lower() in self._taken:  # some file systems do not distinguish case
            number += 1
            unique = f"{stem}-{number}"
        self._taken.add(unique.lower())
        self._files[source], self._stems[source] = name, unique
        return name


def check_not_read(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Check that files that will be written are none of those that are read.

    Raises:
      InputError: names the first one that would be overwritten.
    """
    originals = {path.resolve() for path in read}
    for path in written:
        if path.resolve() in originals:
            raise InputError(
                f"the drawn file {path} would overwrite an image of that name; choose another "
                "folder for --out"
            )


def _common_folder(paths: list[Path]) -> Path | None:
    if not paths:
        return None
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # absolute and relative paths, or several drives
        return None


def _file_stem(name: str) -> str:
    """Relative path for files: without suffix; of a source that is no file, its letters."""
    path = PurePosixPath(name)
    if "://" in name or not path.suffix:  # a stream, a webcam, an array
        words = "".join(letter if letter.isalnum() else "-" for letter in name)
        return words.strip("-") or "source"
    return path.stem if path.is_absolute() or ".." in path.parts else str(path.with_suffix(""))
