"""Prepared datasets as images with annotated people, for any model."""

from collections.abc import Iterator

import numpy as np

from jaxpose.data.source import Batch, Images, Records, Source
from jaxpose.errors import InputError
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.metrics.annotated_results import Annotated
from jaxpose.metrics.coco import GroundTruth
from jaxpose.metrics.estimates import Estimates
from jaxpose.pipeline.evaluation import EvaluationImage

_BATCH = 64
# Arrays of a batch that the annotations are made of.
_OF_PEOPLE = ("keypoints", "visible", "box_xywh", "area", "annotation_id")
_OF_IMAGES = ("image_id", "photo_from_canvas")


class PreparedPeople:
    """People of a split that `jaxpose prepare` wrote, as images with one annotated box each.

    Attributes:
      annotated: the people, in pixels of the original images.
    """

    def __init__(self, path: str, split: str) -> None:
        """Opens the split and reads its annotations.

        Raises:
          InputError: no such dataset or split, or one without people.
        """
        self._source = source = Records(path, split).open()
        if not len(source):
            raise InputError(f"Split {split!r} of {path} has no people.")
        parts = []
        for rows, batch in _batches(source):
            part = {name: batch[name] for name in (*_OF_PEOPLE, *_OF_IMAGES)}
            if hasattr(source, "head_boxes"):
                part["head_boxes"] = source.head_boxes(rows)
            parts.append(part)
        self.annotated = _annotated(path, source, parts)
        ids = self.annotated.truth.annotation_id
        assert ids is not None
        self._row = {number: row for row, number in enumerate(ids.tolist())}

    def __len__(self) -> int:
        return len(self._source)

    def with_annotated_boxes(self) -> Iterator[EvaluationImage]:
        """Yields the stored image of each person with the annotated box."""
        ids = self.annotated.truth.annotation_id
        assert ids is not None
        for rows, batch in _batches(self._source):
            for i, row in enumerate(rows):
                yield EvaluationImage(
                    int(batch["image_id"][i]),
                    batch["image"][i],
                    batch["box_xywh"][i][None],
                    None,
                    ids[row : row + 1],
                    batch["photo_from_canvas"][i].astype(np.float64),
                )

    def view(self, estimates: Estimates, row: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Stored image `[H, W, 3]` of a person, and the map `[2, 3]` to it from the original."""
        return _view(self._source, self._row[int(estimates.column("annotation_id")[row])])


class PreparedImages:
    """Whole images of a split that `jaxpose prepare --layout images` wrote, with their people.

    Attributes:
      annotated: the people, in pixels of the original images.
    """

    def __init__(self, path: str, split: str) -> None:
        """Opens the split and reads its annotations.

        Raises:
          InputError: no such dataset or split, one of crops, or one without images or people.
        """
        self._source = source = Images(path, split).open()
        if not len(source):
            raise InputError(f"Split {split!r} of {path} has no images.")
        parts, images = [], []
        for _, batch in _batches(source):
            row, place = np.nonzero(batch["valid"])
            part = {name: batch[name][row, place] for name in (*_OF_PEOPLE, "crowd")}
            parts.append(part | {name: batch[name][row] for name in _OF_IMAGES})
            images.append(batch["image_id"])
        self._images = np.concatenate(images)
        if len(np.unique(self._images)) < len(self._images):
            raise InputError(
                f"Split {split!r} of {path} has two images with one id, so their people cannot be "
                "told apart. Prepare its sources separately."
            )
        self.annotated = _annotated(path, source, parts, self._images)
        self._row = {number: row for row, number in enumerate(self._images.tolist())}

    def __len__(self) -> int:
        return len(self._source)

    def without_boxes(self) -> Iterator[EvaluationImage]:
        """Yields the stored images, for a model that finds the people itself."""
        for _, batch in _batches(self._source):
            for number, image, matrix in zip(
                batch["image_id"], batch["image"], batch["photo_from_canvas"], strict=True
            ):
                yield EvaluationImage(
                    int(number), image, None, to_dataset=matrix.astype(np.float64)
                )

    def view(self, estimates: Estimates, row: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Stored image `[H, W, 3]` of a person, and the map `[2, 3]` to it from the original."""
        return _view(self._source, self._row[int(estimates.column("image_id")[row])])


def _batches(source: Source) -> Iterator[tuple[np.ndarray, Batch]]:
    """Rows of the source, and their samples."""
    for first in range(0, len(source), _BATCH):
        rows = np.arange(first, min(first + _BATCH, len(source)))
        yield rows, source.samples(rows)


def _annotated(
    path: str, source: Source, parts: list[Batch], images: np.ndarray | None = None
) -> Annotated:
    """People in pixels of the original images, from arrays with one row for each of them."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    head_boxes = columns.pop("head_boxes", None)
    to_image = columns.pop("photo_from_canvas").astype(np.float64)
    box = columns["box_xywh"].astype(np.float64)
    corners = np.stack([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
    corners = apply_affine(to_image, corners)
    ids = columns["annotation_id"]
    truth = GroundTruth(
        image_id=columns["image_id"],
        keypoints=apply_affine(to_image, columns["keypoints"].astype(np.float64)),
        visible=columns["visible"],
        box_xywh=np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1),
        area=columns["area"].astype(np.float64),
        iscrowd=columns.get("crowd"),
        images=images,
        # Datasets of several sources may repeat ids.
        annotation_id=ids if len(np.unique(ids)) == len(ids) else np.arange(len(ids)),
    )
    return Annotated(
        str(path),
        source.skeleton,
        truth,
        {},
        frozenset((1,)),
        head_boxes if head_boxes is not None and head_boxes.any() else None,
    )


def _view(source: Source, row: int) -> tuple[np.ndarray, np.ndarray]:
    batch = source.samples(np.array([row]))
    return batch["image"][0], invert_affine(batch["photo_from_canvas"][0].astype(np.float64))
