"""Evaluation of any model on annotated images: boxes, predictions, COCO results, pairs.

The protocol is that of SimpleBaseline (Xiao et al. 2018, arXiv:1804.06208, section 4), HRNet,
ViTPose and MMPose on COCO: a person's score is the box's score times the mean of the keypoint
scores above 0.2, and of two people of an image whose OKS is above 0.9, over the mean area of their
crops, only the better one is kept. Annotated boxes have the score 1 and are clipped to the image.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose import geometry
from jaxpose.data.canvas import clip_box
from jaxpose.errors import InputError
from jaxpose.media.image import read_image
from jaxpose.media.prefetch import ahead
from jaxpose.metrics.annotated_results import Annotated, result_entry
from jaxpose.metrics.coco import Detections
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.oks import person_score
from jaxpose.metrics.people import PeopleInImages
from jaxpose.pipeline.person_boxes import PersonDetector, boxes_in
from jaxpose.results.box_files import BoxFile
from jaxpose.results.people import People
from jaxpose.skeletons import Skeleton
from jaxpose.skeletons.mapping import shared_keypoints
from jaxpose.tracking.pose_nms import crop_similarity, pose_nms

NMS = 0.9
"""OKS above which one of two people is a duplicate, as published."""


@dataclass(frozen=True)
class EvaluationImage:
    """Image of a dataset, with the boxes to predict in.

    Attributes:
      image_id: id in the annotations.
      image: uint8 RGB `[H, W, 3]`.
      boxes_xywh: `[P, 4]` pixels of `image`; None for a model that finds the people itself.
      scores: `[P]` of the boxes; None stands for 1.
      annotation_ids: `[P]` annotations whose boxes these are; None for boxes of a detector.
      to_dataset: affine map `[2, 3]` from pixels of `image` to those of the annotations; None if
        they are the same.
    """

    image_id: int
    image: np.ndarray
    boxes_xywh: np.ndarray | None
    scores: np.ndarray | None = None
    annotation_ids: np.ndarray | None = None
    to_dataset: np.ndarray | None = None


@dataclass(frozen=True)
class ImageFolder:
    """Images of an annotation file, read from their folder one by one.

    Attributes:
      annotated: the people of the file.
      folder: the folder to which the file's names are relative.
    """

    annotated: Annotated
    folder: Path

    def __post_init__(self) -> None:
        names = self.annotated.file_names
        if not self.folder.is_dir():
            kind = "is a file" if self.folder.exists() else "does not exist"
            raise InputError(f"The folder of images {self.folder} {kind}.")
        if not names:
            raise InputError(
                f"{self.annotated.path} does not list its images: it has no 'images' with "
                "'file_name'."
            )
        lost = [name for name in names.values() if not (self.folder / name).is_file()]
        if lost:
            raise InputError(
                f"{len(lost):,} of the {len(names):,} images of {self.annotated.path} are not in "
                f"{self.folder} (the first is {lost[0]})."
            )

    def __len__(self) -> int:
        return len(self.annotated.file_names)

    def image(self, image_id: int) -> np.ndarray:
        """Image of that id, uint8 RGB `[H, W, 3]`."""
        return read_image(self.folder / self.annotated.file_names[image_id])

    def view(self, estimates: Estimates, row: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Image `[H, W, 3]` of a person, and the map `[2, 3]` from annotations to it, or None."""
        return self.image(int(estimates.column("image_id")[row])), None

    def with_annotated_boxes(self) -> Iterator[EvaluationImage]:
        """Yields images with the boxes of their annotated people, clipped to the image."""
        truth = self.annotated.truth
        ids = truth.annotation_id
        if ids is None:
            ids = np.arange(len(truth))
        for number in self.annotated.file_names:
            rows = np.flatnonzero((truth.image_id == number) & ~truth.ignore)
            if len(rows):
                image = self.image(number)
                boxes = clip_box(truth.box_xywh[rows], image.shape[0], image.shape[1])
                yield EvaluationImage(number, image, boxes, None, ids[rows])

    def boxes_of(self, file: BoxFile) -> dict[int, np.ndarray]:
        """Boxes and scores `[P, 5]` of a file, by the ids of the images that have some.

        Raises:
          InputError: the file lists none of the images.
        """
        names = self.annotated.file_names
        file.check_mentions(names.values(), names)
        found = {number: file.scored(name, None, number) for number, name in names.items()}
        return {number: boxes for number, boxes in found.items() if len(boxes)}

    def with_boxes(self, file: BoxFile) -> Iterator[EvaluationImage]:
        """Yields images with the boxes of a file, those of annotations clipped to the image."""
        for number, own in self.boxes_of(file).items():
            image = self.image(number)
            boxes = boxes_in(file, own, (image.shape[0], image.shape[1]))
            yield EvaluationImage(number, image, boxes, own[:, 4])

    def with_detector(self, detector: PersonDetector) -> Iterator[EvaluationImage]:
        """Yields images with the boxes that a detector finds."""
        for number in self.annotated.file_names:
            image = self.image(number)
            (found,) = detector([image])
            if len(found.scores):
                yield EvaluationImage(number, image, found.boxes_xywh, found.scores)

    def without_boxes(self) -> Iterator[EvaluationImage]:
        """Yields images without boxes, for a model that finds the people itself."""
        for number in self.annotated.file_names:
            yield EvaluationImage(number, self.image(number), None)


@dataclass
class Predicted:
    """Results of a dataset.

    Attributes:
      results: COCO keypoint results, one entry for each person.
      scores: keypoint scores `[K]` of each entry.
      skipped: boxes in which no person could be predicted, with the reasons.
      boxes: number of boxes in which a person was predicted, before duplicates were dropped.
      lost: of each image, least number of people who were found beyond those that the model holds.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    boxes: int = 0
    lost: list[int] = field(default_factory=list)

    def people(self, annotated: Annotated) -> PeopleInImages:
        """The results as they stand in a file, beside the annotated people.

        Raises:
          InputError: there is no result.
        """
        if not self.results:
            raise InputError("No person was found in any image, so there is nothing to score.")
        return PeopleInImages(
            annotated.skeleton, annotated.truth, Detections.from_coco_results(self.results)
        )


def predict_dataset(
    predictor: Any,
    images: Iterable[EvaluationImage],
    target: Skeleton,
    *,
    nms: float | None = NMS,
    on_image: Callable[[int], None] = lambda people: None,
) -> Predicted:
    """Predicts the people of all images, and drops duplicates, image by image.

    Args:
      predictor: of an estimator of crops or of whole images (`tasks.task.Estimator.predictor`).
      images: with boxes, or without for a predictor of whole images.
      target: the skeleton of the annotations, whose keypoints are taken by their names.
      nms: see `NMS`; None keeps duplicates. People in annotated boxes are always kept.
      on_image: called after each image with the number of its people.

    Raises:
      InputError: the model's skeleton lacks a keypoint of the annotations; or as the predictor.
    """
    places = shared_keypoints(predictor.skeleton, target)
    if (places < 0).any():
        lacking = [n for n, k in zip(target.keypoints, places, strict=True) if k < 0]
        raise InputError(
            f"The model predicts the keypoints of {predictor.skeleton.name!r}, and the annotations "
            f"have others ({target.name}): {', '.join(lacking[:5])}. Evaluate it on data with its "
            "skeleton."
        )
    waiting: list[EvaluationImage] = []

    def items() -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for one in ahead(images, 8):
            waiting.append(replace(one, image=np.zeros((0, 0, 3), np.uint8)))
            yield one.image, one.boxes_xywh

    predicted = Predicted()
    for people in predictor.stream(items()):
        one = waiting.pop(0)
        _add(predicted, one, people, places, predictor, target, nms)
        on_image(len(people))
    return predicted


def _add(
    predicted: Predicted,
    one: EvaluationImage,
    people: People,
    places: np.ndarray,
    predictor: Any,
    target: Skeleton,
    nms: float | None,
) -> None:
    """Adds the people of one image."""
    predicted.lost.append(people.lost)
    predicted.skipped += [f"image {one.image_id}: {box.reason}" for box in people.skipped]
    predicted.boxes += 0 if one.boxes_xywh is None else len(people)
    keypoints = people.keypoints.astype(np.float64)
    if one.to_dataset is not None:
        keypoints = geometry.apply_affine(one.to_dataset, keypoints)
    keypoints = keypoints[:, places]
    certain = people.scores.astype(np.float64)[:, places]
    rows = np.arange(len(people))
    boxed = 1.0 if one.scores is None else np.asarray(one.scores)[people.box_indices]
    whole_images = one.boxes_xywh is None
    scores = person_score(certain, boxed, whole_images=whole_images)
    if not whole_images and nms is not None and one.annotation_ids is None and len(rows) > 1:
        alike = crop_similarity(
            keypoints,
            people.boxes_xywh,
            target,
            getattr(predictor, "padding", 1.0),
            getattr(getattr(predictor, "codec", None), "input_hw", (1, 1)),
        )
        rows = np.sort(pose_nms(alike, scores, nms))
    for row in rows:
        entry = result_entry(one.image_id, keypoints[row], certain[row], scores[row])
        if one.annotation_ids is not None:
            entry["annotation_id"] = int(one.annotation_ids[people.box_indices[row]])
        predicted.results.append(entry)
        predicted.scores.append(certain[row])
