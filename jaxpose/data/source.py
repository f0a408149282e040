"""Interfaces of datasets, and the dataset classes for configurations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton

Batch = dict[str, np.ndarray]
"""Arrays of one batch, keypoints and boxes in canvas pixels (H, W: the canvas; K: keypoints).

image uint8 `[B, H, W, 3]` RGB; keypoints float32 `[B, K, 2]`; visible uint8 `[B, K]` (0 not
labelled, 1 occluded, 2 visible); box_xywh float32 `[B, 4]`, not padded; photo_from_canvas float32
`[B, 2, 3]`; area float32 `[B]` in px² of the original image (the area of OKS); image_id,
annotation_id and index int64 `[B]`; mask bool `[B]`, False in padding rows. A `Mixture` adds
dataset int32 `[B]`.
"""


@runtime_checkable
class Source(Protocol):
    """Finite set of samples with random access; needs no TensorFlow."""

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Height and width of every image in pixels."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """Keypoint set of all samples."""
        ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> str:
        """Text that identifies the content: equal fingerprints mean equal samples."""
        ...

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Read the batch of these samples, in this order; `mask` is all True.

        Raises:
            InputError: a sample cannot be read; the message names it.
        """
        ...


@runtime_checkable
class Dataset(Protocol):
    """Data in a configuration: a frozen dataclass that opens a `Source`."""

    def open(self) -> Any:
        """Open the data as a `Source`.

        Raises:
          InputError: the data does not exist.
        """
        ...


@dataclass(frozen=True)
class Records:
    """People of one split of a dataset written by `jaxpose prepare`, one per sample.

    For a dataset of whole images (`Images`), each sample is the image with one person's box.

    Attributes:
      path: the dataset's folder, the one that holds `dataset_info.json`.
      split: the split's name, such as `train`.
      part: fraction of the split to use, in (0, 1]. People (or whole images) are drawn at random; a
        larger part contains those of a smaller one.
    """

    path: str
    split: str
    part: float = 1.0

    def open(self) -> Source:
        """Open the split; InputError with the nearest folder or split if it does not exist."""
        from jaxpose.data import image_records
        from jaxpose.data.records import RecordSource, record_format

        if record_format(self.path) == image_records.FORMAT:
            images = image_records.ImageSource(self.path, self.split, part=self.part)
            return images.single_people()
        return RecordSource(self.path, self.split, part=self.part)


@dataclass(frozen=True)
class SyntheticPeople:
    """Synthetic people with COCO-17 keypoints: sample i is a pure function of (seed, i).

    Attributes:
      count: number of samples.
      seed: seed of the set; sets of different seeds are unrelated.
      canvas_hw: height and width of the canvas in pixels.
      plain: an easier set: one upright person per image, facing the camera, completely visible.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (384, 288)
    plain: bool = False

    def open(self) -> Source:
        from jaxpose.data.synthetic import SyntheticSource

        return SyntheticSource(self.count, self.seed, self.canvas_hw, plain=self.plain)


@dataclass(frozen=True)
class SyntheticClips:
    """Drawn clips of a person who moves, with COCO-17 keypoints: a function of (seed, i) each.

    Attributes:
      count: number of clips.
      seed: seed of the set; sets of different seeds are unrelated.
      canvas_hw: height and width of the canvas in pixels.
      times: of the frames beside the labelled one, in frames after it.
      cover: part of the person's box that a board covers, in each frame another one.
      blur: longest motion blur in pixels, in each frame another one.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (128, 96)
    times: tuple[float, ...] = (-1.0, 1.0)
    cover: float = 0.0
    blur: float = 0.0

    def open(self) -> Source:
        from jaxpose.data.synthetic.clips import ClipSource

        return ClipSource(self.count, self.seed, self.canvas_hw, self.times, self.cover, self.blur)


@dataclass(frozen=True)
class Images:
    """One split of a dataset of whole images (`jaxpose prepare coco --layout images`).

    Attributes:
      path: the dataset's folder, the one that holds `dataset_info.json`.
      split: the split's name, such as `train`.
      people: number of rows for people in each sample; None means the largest number of people in
        an image of the split.
      part: fraction of the split to use, in (0, 1]. Images are drawn at random; a larger part
        contains those of a smaller one.
    """

    path: str
    split: str
    people: int | None = None
    part: float = 1.0

    def open(self) -> Source:
        """Open the images.

        Raises:
          InputError: the dataset does not exist or has crops; an image has more people than rows.
        """
        from jaxpose.data.image_records import ImageSource

        return ImageSource(self.path, self.split, people=self.people, part=self.part)


@dataclass(frozen=True)
class SyntheticScenes:
    """Synthetic images of several people with COCO-17 keypoints: a function of (seed, i) each.

    Attributes:
      count: number of images.
      seed: seed of the set; sets of different seeds are unrelated.
      canvas_hw: height and width of the images in pixels.
      people: largest number of people in an image, and number of rows for people in a sample.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (256, 256)
    people: int = 4

    def open(self) -> Source:
        from jaxpose.data.synthetic.scenes import SceneSource

        return SceneSource(self.count, self.seed, self.canvas_hw, self.people)


def check_indices(indices: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """Convert `indices` to int64 `[B]`.

    Raises:
        InputError: the list is empty, or an index is outside `[0, count)`.
    """
    array = np.asarray(indices, np.int64).reshape(-1)
    if not array.size:
        raise InputError("The list of sample indices is empty.")
    outside = array[(array < 0) | (array >= count)]
    if outside.size:
        raise InputError(f"There is no sample {outside[0]}; the dataset has {count}.")
    return array


def check_keypoints(source: Source, skeleton: Skeleton, name: str) -> None:
    """Check that a dataset has the keypoints of an experiment's skeleton.

    Raises:
      InputError: it has others; the message calls the dataset `name`.
    """
    if source.skeleton.keypoints != skeleton.keypoints:
        raise InputError(
            f"{name} has the keypoints of skeleton {source.skeleton.name!r}, but the "
            f"experiment's skeleton is {skeleton.name!r}. Prepare the data with that skeleton, "
            "or change `skeleton` in the recipe."
        )
