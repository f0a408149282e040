"""Clips around the people of records: the same crop of the frames before and after."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.source import Batch, Records
from jaxpose.errors import InputError
from jaxpose.geometry.planar import crop_image, invert_affine
from jaxpose.media.image import read_image
from jaxpose.skeletons import Skeleton

_NUMBER = re.compile(r"(\d+)(\.\w+)$")
_TRIED = 64  # first records of which one must have a frame beside it


@dataclass(frozen=True)
class Clips:
    """People of records whose images are frames of videos, with frames before and after.

    The frames are files beside the labelled one, which differ in the last number of their name, as
    in PoseTrack18: `images/val/000342_mpii_test/000003.jpg`. Where there is no such file, as at the
    ends of a video, the labelled frame stands for it.

    Attributes:
      records: people written by `jaxpose prepare`, such as with `coco --dataset posetrack18`.
      images: the folder that was given as `--images`.
      times: of the frames beside the labelled one, in frames after it.
    """

    records: Records
    images: str
    times: tuple[int, ...] = (-1, 1)

    def open(self) -> "RecordClips":
        """Open the records.

        Raises:
          InputError: as `Records.open`; no time, or time 0; no folder, or none of the first records
            has a frame beside it.
        """
        return RecordClips(self.records.open(), Path(self.images), self.times)


class RecordClips:
    """Source of `Clips`: the batches of the records, with `frames` and `times`."""

    has_frames = True

    def __init__(self, source: Any, folder: Path, times: tuple[int, ...]) -> None:
        """Takes an opened source of records and the fields of `Clips`; errors as `Clips.open`."""
        if not times or 0 in times or len(set(times)) < len(times):
            raise InputError(f"times are those of other frames, such as (-1, 1), not {times}.")
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder: give the one of the images.")
        self.source, self.folder, self.times = source, folder, tuple(times)
        names = source.image_names(np.arange(min(len(source), _TRIED)))
        if not any(self._beside(name, time) for name in names for time in times):
            raise InputError(
                f"{folder} has no frame {times[0]:+d} beside those of the records, such as "
                f"{names[0] if names else 'none'}: the last number of a name counts frames."
            )

    @property
    def canvas_hw(self) -> tuple[int, int]:
        height, width = self.source.canvas_hw
        return height, width

    @property
    def skeleton(self) -> Skeleton:
        found: Skeleton = self.source.skeleton
        return found

    def __len__(self) -> int:
        return len(self.source)

    def fingerprint(self) -> str:
        """That of the records, and the times of the frames."""
        return f"{self.source.fingerprint()}-{','.join(map(str, self.times))}"

    def head_boxes(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Head boxes of the records; see `RecordSource`."""
        return np.asarray(self.source.head_boxes(indices))

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Reads the records and the frames beside them.

        Raises:
          InputError: a record or a frame cannot be read.
        """
        batch: Batch = self.source.samples(indices)
        images = batch["image"]
        frames = np.repeat(images[:, None], len(self.times), axis=1)
        for row, name in enumerate(self.source.image_names(indices)):
            matrix = invert_affine(batch["photo_from_canvas"][row].astype(np.float64))
            for place, time in enumerate(self.times):
                path = self._beside(name, time)
                if path is not None:
                    frames[row, place] = crop_image(read_image(path), matrix, self.canvas_hw)
        times = np.broadcast_to(np.array(self.times, np.float32), frames.shape[:2])
        return {**batch, "frames": frames, "times": np.array(times)}

    def _beside(self, name: str, time: int) -> Path | None:
        """File of the frame `time` frames after the one of this name; None if there is none."""
        number = _NUMBER.search(name)
        if number is None or Path(name).is_absolute() or ".." in Path(name).parts:
            return None
        other = int(number[1]) + time
        if other < 0:
            return None
        path = self.folder / f"{name[: number.start()]}{other:0{len(number[1])}d}{number[2]}"
        return path if path.is_file() else None
