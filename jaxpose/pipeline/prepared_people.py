"""People of a prepared dataset as images with one annotated box each, for any model."""

from collections.abc import Iterator

import numpy as np

from jaxpose.data.source import Records
from jaxpose.errors import InputError
from jaxpose.geometry import apply_affine, invert_affine
from jaxpose.metrics.annotated_results import Annotated
from jaxpose.metrics.coco import GroundTruth
from jaxpose.metrics.estimates import Estimates
from jaxpose.pipeline.evaluation import EvaluationImage

_BATCH = 64


class PreparedPeople:
    """People of a split that `jaxpose prepare` wrote.

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
        parts = [self._annotations(rows) for rows in self._batches()]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        head_boxes = columns.pop("head_boxes", None)
        ids = columns["annotation_id"]
        if len(np.unique(ids)) < len(ids):  # datasets of several sources may repeat ids
            columns["annotation_id"] = np.arange(len(ids))
        truth = GroundTruth(**columns)
        self._row = {number: row for row, number in enumerate(columns["annotation_id"].tolist())}
        self.annotated = Annotated(
            str(path),
            source.skeleton,
            truth,
            {},
            frozenset((1,)),
            head_boxes if head_boxes is not None and head_boxes.any() else None,
        )

    def with_annotated_boxes(self) -> Iterator[EvaluationImage]:
        """Yields the stored image of each person with the annotated box."""
        ids = self.annotated.truth.annotation_id
        assert ids is not None
        for rows in self._batches():
            batch = self._source.samples(rows)
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
        number = self._row[int(estimates.column("annotation_id")[row])]
        batch = self._source.samples(np.array([number]))
        return batch["image"][0], invert_affine(batch["photo_from_canvas"][0].astype(np.float64))

    def _batches(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self._source), _BATCH):
            yield np.arange(first, min(first + _BATCH, len(self._source)))

    def _annotations(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        batch = self._source.samples(rows)
        to_image = batch["photo_from_canvas"].astype(np.float64)
        box = batch["box_xywh"].astype(np.float64)
        corners = np.stack([box[:, :2], box[:, :2] + box[:, 2:]], axis=1)
        corners = apply_affine(to_image, corners)
        columns = {
            "image_id": batch["image_id"],
            "keypoints": apply_affine(to_image, batch["keypoints"].astype(np.float64)),
            "visible": batch["visible"],
            "box_xywh": np.concatenate([corners[:, 0], corners[:, 1] - corners[:, 0]], axis=1),
            "area": batch["area"].astype(np.float64),
            "annotation_id": batch["annotation_id"],
        }
        if hasattr(self._source, "head_boxes"):
            columns["head_boxes"] = self._source.head_boxes(rows)
        return columns
