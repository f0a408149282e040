"""Image files of labelled frames that lie in videos or inside a `.pkg.slp` file."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.hdf5 import MOST_BYTES, array, attribute, dataset, members, open_hdf5
from jaxpose.labels.labels import Labels
from jaxpose.media.frames import Skipped
from jaxpose.media.image import check_size, decode_image
from jaxpose.media.video import open_video
from jaxpose.paths import is_file, is_inside
from jaxpose.viz.files import save_image

_RGB_BY_DEFAULT = 1.4
"""Format of SLEAP from which on embedded images without a stated order of colours are RGB."""


def with_frames(labels: Labels, folder: Path | None) -> Labels:
    """The labels with the frames of videos as images: written into a folder, unless they are there.

    Args:
      labels: the labels.
      folder: folder of the images, named as the images of the labels; None to write none.

    Raises:
      InputError: there are such frames and no folder; or a video cannot be read.
    """
    inside = [image for image in labels.images if image.frame is not None]
    if not inside:
        return labels
    if folder is None:
        if all(is_file(image.path) for image in inside):
            return labels
        video = inside[0].frame.video if inside[0].frame else ""
        raise InputError(
            f"{len(inside):,} labelled frames are no image files; the first lies in {video}. Add "
            "--frames FOLDER, into which they are written as images"
        )
    by_video: dict[tuple[Path, str], dict[int, Path]] = {}
    images, notes = [], []
    there = 0
    for image in labels.images:
        if image.frame is None:
            images.append(image)
            continue
        file = folder / image.name
        if not is_inside(file, folder.resolve()):
            raise InputError(f"{image.name}: the name leads outside the folder {folder}.")
        images.append(replace(image, path=file))
        if is_file(file):
            there += 1
        elif is_file(image.frame.video):
            key = image.frame.video, image.frame.group
            by_video.setdefault(key, {})[image.frame.index] = file
    written = 0
    for (video, group), wanted in by_video.items():
        frames = _embedded(video, group, wanted) if group else video_frames(video, wanted)
        for index, frame in frames:
            save_image(wanted[index], frame)
            written += 1
    if written:
        notes.append(f"{written:,} frames were written into {folder}")
    if there:
        notes.append(f"{there:,} frames were in {folder} before, and are not written again")
    return replace(labels, images=tuple(images), notes=(*labels.notes, *notes))


def video_frames(video: Path, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Number and image of the wanted frames of a video, which is read up to the last of them."""
    skipped: list[Skipped] = []
    opened = open_video(video, skipped.append)
    last = max(wanted)
    for frame in opened:
        if frame.index in wanted:
            yield frame.index, frame.image
        if frame.index >= last:
            opened.close()
            return


def _embedded(path: Path, name: str, wanted: dict[int, Path]) -> Iterator[tuple[int, np.ndarray]]:
    """Number and image of the wanted frames inside a `.pkg.slp` file.

    Raises:
      InputError: the file has other content, or an image cannot be read.
    """
    with open_hdf5(path) as file:
        group: Any = file
        for part in name.split("/"):
            if part not in members(group):
                raise InputError(f"{path}: the group {name} of frames is absent.")
            group = group[part]
        data = dataset(group, "video", path)
        if data.ndim < 1:
            raise InputError(f"{path}: {data.name} has no list of images.")
        rows = {index: index for index in range(len(data))}
        if "frame_numbers" in members(group):
            numbers = array(group, "frame_numbers", path).ravel().tolist()
            rows = {int(number): row for row, number in enumerate(numbers[: len(data)])}
        order = attribute(data, "channel_order", path)
        version = attribute(file["metadata"], "format_id", path) or 1.0
        swapped = order == "BGR" if order else version < _RGB_BY_DEFAULT
        for index in wanted:
            if index not in rows:
                continue
            try:
                image = _decoded(data, rows[index])
            except InputError as error:
                raise InputError(f"{path}: {data.name}, row {rows[index]}: {error}") from None
            # Older files were encoded by OpenCV without exchanging red and blue.
            exchanged = swapped and data.ndim != 4
            yield index, np.ascontiguousarray(image[:, :, ::-1]) if exchanged else image


def _decoded(data: Any, row: int) -> np.ndarray:
    """Image uint8 `[H, W, 3]` of a row: an encoded file, padded with zeros, or pixels."""
    if data.ndim == 4:
        height, width, channels = data.shape[1:]
        check_size(height, width)
        if data.dtype != np.uint8 or channels not in (1, 3):
            raise InputError(f"pixels of the type {data.dtype} with {channels} channels")
        return np.broadcast_to(data[row], (height, width, 3)).copy()
    if data.ndim == 2 and data.shape[1] * data.dtype.itemsize > MOST_BYTES:
        raise InputError(f"an image of {data.shape[1]:,} bytes")
    content = np.asarray(data[row])
    if content.dtype not in (np.int8, np.uint8) or content.ndim != 1:
        raise InputError("it is no encoded image")
    return decode_image(content.tobytes().rstrip(b"\0"))
