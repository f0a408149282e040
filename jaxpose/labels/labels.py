"""Labels of any tool in one form: images, their instances, and the names of the keypoints."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxpose.data.canvas import Skip
from jaxpose.errors import InputError
from jaxpose.paths import is_file, is_inside
from jaxpose.results.people import check_number

OUTSIDE = "image outside the folder"
TWICE = "image listed twice"

ENLARGEMENT = 1.25
"""Enlargement of the labelled keypoints' extent to a box, for tools without boxes."""


@dataclass(frozen=True)
class VideoFrame:
    """Place of a frame that is not an image file yet.

    Attributes:
      video: the video, or the HDF5 file that contains the encoded image.
      index: number of the frame in the video, from 0.
      group: group of the HDF5 file; empty for a video.
      seconds: time stamp of the frame; None if it is not known.
    """

    video: Path
    index: int
    group: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Instance:
    """Labelled instance, in pixels of the image as the tool states them.

    Attributes:
      keypoints: float64 `[K, 2]`; NaN where not labelled.
      visible: int `[K]`, 0 not labelled, 1 occluded, 2 visible.
      where: file and row for messages.
      individual: name of the individual; empty if the tool has none.
      box_xywh: float64 `[4]`; None if the tool has none.
      scores: `[K]` of a model's prediction; None for labels.
    """

    keypoints: np.ndarray
    visible: np.ndarray
    where: str
    individual: str = ""
    box_xywh: np.ndarray | None = None
    scores: np.ndarray | None = None

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        points: dict[str, tuple[float, float, int]],
        where: str,
        individual: str = "",
        box_xywh: np.ndarray | None = None,
    ) -> "Instance":
        """Instance with the keypoints `names`, of which `points` has (x, y, flag) by name."""
        missing = (np.nan, np.nan, 0)
        table = np.array([points.get(name, missing) for name in names], np.float64).reshape(-1, 3)
        table[table[:, 2] == 0, :2] = np.nan
        return cls(table[:, :2], table[:, 2].astype(int), where, individual, box_xywh)

    def extent(self, least: float = 0.0) -> np.ndarray:
        """Extent `[4]` (xywh) of the labelled keypoints, enlarged; zeros without any.

        Args:
          least: smallest width and height in pixels.
        """
        labelled = self.keypoints[self.visible > 0]
        if not len(labelled):
            return np.zeros(4)
        low, high = labelled.min(axis=0), labelled.max(axis=0)
        size = np.maximum((high - low) * ENLARGEMENT, least)
        return np.concatenate([(low + high - size) / 2, size])


@dataclass(frozen=True)
class LabelledImage:
    """Image and its instances.

    Attributes:
      path: path of the image file, which need not exist.
      name: name in the tool's files, with `/`.
      instances: none for an image without labels.
      image_hw: height and width that the tool's files state; None if they do not.
      split: name of the split that the tool's files state; empty if they do not.
      frame: place in a video, for a frame that `frames.with_frames` can write to `path`.
    """

    path: Path
    name: str
    instances: tuple[Instance, ...]
    image_hw: tuple[int, int] | None = None
    split: str = ""
    frame: VideoFrame | None = None


@dataclass(frozen=True)
class Labels:
    """Labels of one tool.

    Attributes:
      tool: name of the tool.
      source: the file or folder.
      keypoints: the K names.
      images: the images in the order of the files.
      limbs: pairs of names that the tool joins by a line.
      pairs: (left, right) names that the tool states; None to find them by the names.
      skips: instances that are left out, with the reason.
      notes: remarks for the summary.
      files: the files that were read.
    """

    tool: str
    source: Path
    keypoints: tuple[str, ...]
    images: tuple[LabelledImage, ...]
    limbs: tuple[tuple[str, str], ...] = ()
    pairs: tuple[tuple[str, str], ...] | None = None
    skips: tuple[Skip, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def instances(self) -> int:
        """Number of instances in all images."""
        return sum(len(image.instances) for image in self.images)


@dataclass
class Gathered:
    """Images, and instances that are left out, while files are read.

    Attributes:
      folder: folder of the images.
      outside: whether images outside the folder are taken too.
    """

    folder: Path
    outside: bool = False
    images: list[LabelledImage] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    _seen: set[Path] = field(default_factory=set)
    _real: Path | None = None

    def add(
        self,
        name: str,
        instances: Sequence[Instance],
        *,
        others: Sequence[str] = (),
        image_hw: tuple[int, int] | None = None,
        split: str = "",
        frame: VideoFrame | None = None,
    ) -> None:
        """Add an image with its instances, or the reason why they are left out.

        Args:
          name: path of the image, relative to the folder.
          instances: may be empty.
          others: paths that are tried if there is no such file.
          image_hw: height and width that the tool's files state.
          split: split that the tool's files state.
          frame: place in a video, for a frame that is not an image file yet.

        Raises:
          InputError: the image has too many instances.
        """
        check_number(len(instances), f"{self.folder / name}")
        name, *rest = (one.replace("\\", "/") for one in (name, *others))
        paths = [self.folder / one for one in (name, *rest)]
        path = next((path for path in paths if is_file(path)), paths[0])
        reason = TWICE if path in self._seen else ""
        if not self.takes(path):
            reason = OUTSIDE
        self._seen.add(path)
        if reason:
            self.skips += [Skip(reason, f"{one.where}: {name}") for one in instances]
            if not instances:
                self.notes.append(f"left out without labels: {name}: {reason}")
            return
        self.images.append(LabelledImage(path, name, tuple(instances), image_hw, split, frame))

    def takes(self, path: Path) -> bool:
        """True for a path that may be read: inside the folder, unless those outside are wanted."""
        if self._real is None:
            self._real = self.folder.resolve()
        return self.outside or is_inside(path, self._real)

    def leave_out(self, reason: str, where: str, *, fault: bool = True) -> None:
        """Count an instance that is left out; `fault` as in `Skip`."""
        self.skips.append(Skip(reason, where, fault))

    def labels(
        self,
        tool: str,
        source: Path,
        keypoints: Sequence[str],
        limbs: Sequence[tuple[str, str]] = (),
        pairs: Sequence[tuple[str, str]] | None = None,
    ) -> Labels:
        """Labels of everything that was added.

        Raises:
          InputError: there is no image, or no instance but such that are left out.
        """
        if not any(image.instances for image in self.images):
            reasons = Counter(skip.reason for skip in self.skips)
            said = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common())
            first = f" The first one: {self.skips[0].who}." if self.skips else ""
            listed = f"{len(self.images)} images are listed, and none has a labelled keypoint"
            said = said or (listed if self.images else "it has no images")
            raise InputError(f"{source} has no labels to read: {said}.{first}")
        return Labels(
            tool,
            source,
            tuple(keypoints),
            tuple(self.images),
            tuple(limb for limb in limbs if set(limb) <= set(keypoints) and limb[0] != limb[1]),
            None if pairs is None else tuple(pairs),
            tuple(self.skips),
            tuple(self.notes),
            tuple(self.files),
        )


def number(text: object, where: str) -> float:
    """Finite number of a file's text or value.

    Raises:
      InputError: it is none; the message begins with `where`.
    """
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{where}: {str(text)[:40]!r} is not a number.") from None
    if isinstance(text, bool) or not np.isfinite(value) or abs(value) > 1e9:
        raise InputError(f"{where}: {str(text)[:40]!r} is not a number of pixels or a percentage.")
    return value
