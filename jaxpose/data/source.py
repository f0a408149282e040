"""What a dataset is to the rest of the package, and the two that a configuration can name."""

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
`[B, 2, 3]`; area float32 `[B]` in photo pixels squared (the area of OKS); image_id, annotation_id
and index int64 `[B]`; mask bool `[B]`, False where a row only fills up the batch. A `Mixture` adds
dataset int32 `[B]`.
"""


@runtime_checkable
class Source(Protocol):
    """A finite set of people with random access; needs no TensorFlow."""

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Height and width of every image in pixels."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The keypoint set of every sample."""
        ...

    def __len__(self) -> int: ...

    def fingerprint(self) -> str:
        """Identifies the content: equal fingerprints mean equal samples."""
        ...

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """The batch of these samples, in this order; `mask` is all True.

        Raises:
            InputError: a sample cannot be read; the message names it.
        """
        ...


@runtime_checkable
class Dataset(Protocol):
    """What a configuration names as data: a frozen dataclass that opens a `Source`."""

    def open(self) -> Any:
        """The data as a `Source`.

        Raises:
          InputError: there is no such data.
        """
        ...


@dataclass(frozen=True)
class Records:
    """The people of one split of a dataset written by `jaxpose prepare`, one a sample.

    Of a dataset of whole images (`Images`) each sample is the image with one person's box.

    Attributes:
      path: the dataset's folder, the one that holds `dataset_info.json`.
      split: the split's name, such as `train`.
      part: how much of the split is used, in (0, 1]: people (or whole images) drawn at random,
        among them all those of any smaller part.
    """

    path: str
    split: str
    part: float = 1.0

    def open(self) -> Source:
        """Raises InputError, naming the nearest folder or split, if there is no such dataset."""
        from jaxpose.data import image_records
        from jaxpose.data.records import RecordSource, record_format

        if record_format(self.path) == image_records.FORMAT:
            images = image_records.ImageSource(self.path, self.split, part=self.part)
            return images.single_people()
        return RecordSource(self.path, self.split, part=self.part)


@dataclass(frozen=True)
class SyntheticPeople:
    """Drawn people with COCO-17 keypoints: sample i is a pure function of (seed, i).

    Attributes:
      count: number of samples.
      seed: another seed is another, unrelated set.
      canvas_hw: height and width of the canvas in pixels.
      plain: upright people who look our way, alone and whole in the photo: the easier set.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (384, 288)
    plain: bool = False

    def open(self) -> Source:
        from jaxpose.data.synthetic import SyntheticSource

        return SyntheticSource(self.count, self.seed, self.canvas_hw, plain=self.plain)


@dataclass(frozen=True)
class Images:
    """One split of a dataset of whole images (`jaxpose prepare coco --layout images`).

    Attributes:
      path: the dataset's folder, the one that holds `dataset_info.json`.
      split: the split's name, such as `train`.
      people: rows for people in each sample; None is what the fullest image of the split needs.
      part: how much of the split is used, in (0, 1]: images drawn at random, among them all those
        of any smaller part.
    """

    path: str
    split: str
    people: int | None = None
    part: float = 1.0

    def open(self) -> Source:
        """The images.

        Raises:
          InputError: there is no such dataset or it holds crops; an image with more people than
            there are rows.
        """
        from jaxpose.data.image_records import ImageSource

        return ImageSource(self.path, self.split, people=self.people, part=self.part)


@dataclass(frozen=True)
class SyntheticScenes:
    """Drawn images of several people with COCO-17 keypoints: image i is a function of (seed, i).

    Attributes:
      count: number of images.
      seed: another seed is another, unrelated set.
      canvas_hw: height and width of the images in pixels.
      people: the largest number of people in one image, and rows for people in each sample.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (256, 256)
    people: int = 4

    def open(self) -> Source:
        from jaxpose.data.synthetic.scenes import SceneSource

        return SceneSource(self.count, self.seed, self.canvas_hw, self.people)


def check_indices(indices: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """`indices` as int64 `[B]`.

    Raises:
        InputError: there are none, or one lies outside `[0, count)`.
    """
    array = np.asarray(indices, np.int64).reshape(-1)
    if not array.size:
        raise InputError("No sample was asked for: the list of indices is empty.")
    outside = array[(array < 0) | (array >= count)]
    if outside.size:
        raise InputError(f"There is no sample {outside[0]}; the dataset has {count}.")
    return array
