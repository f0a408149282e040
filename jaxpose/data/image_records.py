"""Records of whole images: one image with all its people (record format 2).

A record contains a canvas of fixed size with the whole image and black margins, and the affine map
from canvas to image pixels. People with labelled keypoints come first, then crowd regions and
people without labels, whose part of the image is marked in `ignore`. The file `people.SPLIT.npy`
beside the records, int32 `[N, 2]`, has for each image the number of people with labels and of all
people.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose import geometry
from jaxpose.data import example
from jaxpose.data.canvas import (
    AREA_OF_BOX,
    IMAGE_UNREADABLE,
    Canvas,
    Drawn,
    ImageAnnotation,
    InstanceAnnotation,
    Skip,
    encode_jpeg,
    fault_of,
    read_annotated_image,
    remarks,
)
from jaxpose.data.instances import (
    IGNORE_STRIDE,
    PeopleOfImages,
    cover,
    empty_batch,
    instance_shapes,
    letterbox,
)
from jaxpose.data.records import RecordFiles, decode_canvas
from jaxpose.data.segmentation import draw_segmentation
from jaxpose.data.source import Batch, check_indices
from jaxpose.errors import InputError

FORMAT = 2
"""Number of the record format of whole images."""

COUNTS_FILE = "people.{split}.npy"


class ImageSource(RecordFiles):
    """Source of one split of a dataset of whole images, with random access.

    Args:
      path: the dataset's folder.
      split: the split's name.
      people: number of rows for people in a sample; None means the largest number of people in an
        image.
      part: see `source.Images`.
      threads: decoding threads; by default one per CPU core this process may use.

    Raises:
      InputError: an error of `records.RecordFiles`; an image has more people than rows.
    """

    format = FORMAT
    kind = "whole images"

    def __init__(
        self,
        path: str | Path,
        split: str,
        *,
        people: int | None = None,
        part: float = 1.0,
        threads: int | None = None,
    ) -> None:
        super().__init__(path, split, part=part, threads=threads)
        with (self.path / COUNTS_FILE.format(split=split)).open("rb") as file:
            counts = np.load(io.BytesIO(file.read()), allow_pickle=False)
        self._labelled, total = counts[self._rows].T
        most = int(total.max(initial=1))
        if people is not None and people < most:
            raise InputError(
                f"{self.path}, split {split!r}: {int((total > people).sum())} images have more "
                f"than {people} people, at most {most}. Set people={most}, or leave it out."
            )
        self.people = people or most
        """Number of rows for people in each sample."""

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Read and decode a batch of images; see `data.instances`.

        Raises:
          InputError: a record is damaged; the message names the record and its file.
        """
        indices = check_indices(indices, len(self))
        rows = self.read(indices)
        points = self._skeleton.num_keypoints
        batch = empty_batch(len(rows), self.canvas_hw, self.people, points)
        shapes = instance_shapes(points, self.metadata["has_3d"])
        if self.metadata["has_3d"]:
            whole = len(rows), self.people, points, 3
            batch["keypoints_3d"] = np.full(whole, np.nan, np.float32)

        def fill(row: int) -> None:
            features = example.parse_features(rows[row])
            count = int(example.numbers(features, "people", (), np.int64))
            for name, (shape, dtype) in shapes.items():
                batch[name][row, :count] = example.numbers(features, name, (count, *shape), dtype)
            for name, shape, dtype in _OF_IMAGE:
                batch[name][row] = example.numbers(features, name, shape, dtype)
            batch["valid"][row, :count] = True
            batch["image"][row] = decode_canvas(example.data(features, "image"), self.canvas_hw)
            ignore = example.data(features, "ignore")
            batch["ignore"][row] = _decode_png(ignore, batch["ignore"].shape[1:])

        self.fill_rows(fill, indices)
        batch["index"] = indices
        return batch

    @property
    def has_3d(self) -> bool:
        """True if samples have `keypoints_3d`."""
        return bool(self.metadata["has_3d"])

    def single_people(self) -> PeopleOfImages:
        """Source of the people with labelled keypoints, one per sample."""
        labelled = np.arange(self.people)[None] < self._labelled[:, None]
        return PeopleOfImages(self, labelled)


_OF_IMAGE: tuple[tuple[str, tuple[int, ...], Any], ...] = (
    ("photo_from_canvas", (2, 3), np.float32),
    ("image_id", (), np.int64),
)


def draw_image(
    annotated: ImageAnnotation, canvas: Canvas, *, num_keypoints: int, has_3d: bool
) -> list[Drawn]:
    """Create the record of one image, and the list of its people who are left out.

    A person with an unusable annotation is left out, and the box is marked in `ignore`.
    """
    image, reason, detail = read_annotated_image(annotated)
    if image is None:
        who = f"{annotated.name}{detail}"
        return [Skip(reason or IMAGE_UNREADABLE, who, people=len(annotated.people))]
    matrix = letterbox(image.shape[:2], canvas.hw)
    ignore = np.zeros([side // IGNORE_STRIDE for side in canvas.hw], np.uint8)
    labelled: list[InstanceAnnotation] = []
    regions: list[InstanceAnnotation] = []
    drawn: list[Drawn] = []
    for person in annotated.people:
        fault = fault_of(person, needs_keypoints=False)
        if fault:
            who = f"annotation {person.annotation_id} in {annotated.name}"
            drawn.append(Skip(fault, who))
            if np.isfinite(person.box_xywh).all():
                cover(ignore, _moved(matrix, person.box_xywh))
        elif person.crowd or not (person.visible > 0).any():
            regions.append(person)
            if not draw_segmentation(ignore, person.segmentation, matrix, image.shape[:2]):
                cover(ignore, _moved(matrix, person.box_xywh))
        else:
            labelled.append(person)
    features = {
        "image": encode_jpeg(geometry.crop_image(image, matrix, canvas.hw), canvas),
        "ignore": _encode_png(ignore),
        "photo_from_canvas": geometry.invert_affine(matrix).astype(np.float32),
        "image_id": annotated.image_id,
        "photo_hw": np.array(image.shape[:2], np.int64),
        "photo": annotated.name,
        "labelled": len(labelled),
        "people": len(labelled) + len(regions),
    }
    each = [_instance(person, matrix) for person in (*labelled, *regions)]
    for name, (shape, dtype) in instance_shapes(num_keypoints, has_3d).items():
        stacked = np.array([one[name] for one in each], dtype).reshape(len(each), *shape)
        features[name] = stacked.astype(np.uint8) if dtype is np.bool_ else stacked
    return [*drawn, (annotated.first_key, features), *remarks(annotated, image)]


def _instance(person: InstanceAnnotation, matrix: np.ndarray) -> dict[str, Any]:
    """Arrays of one person, in canvas pixels."""
    seen = (person.visible > 0)[:, None]
    keypoints = geometry.apply_affine(matrix, np.where(seen, person.keypoints, 0.0))
    box = person.box_xywh
    points_3d = person.keypoints_3d
    return {
        "keypoints": np.where(seen, keypoints, 0.0),
        "visible": person.visible,
        "box_xywh": _moved(matrix, box),
        "area": AREA_OF_BOX * box[2] * box[3] if person.area is None else person.area,
        "annotation_id": person.annotation_id,
        "crowd": person.crowd,
        "keypoints_3d": np.full((len(seen), 3), np.nan) if points_3d is None else points_3d,
    }


def _moved(matrix: np.ndarray, box_xywh: np.ndarray) -> np.ndarray:
    """Transform a box `[4]` by an affine map without rotation."""
    corners = np.stack([box_xywh[:2], box_xywh[:2] + box_xywh[2:]]).astype(np.float64)
    low, high = geometry.apply_affine(matrix, corners)
    return np.concatenate([low, high - low])


def _encode_png(image: np.ndarray) -> bytes:
    import cv2

    written, data = cv2.imencode(".png", image)
    if not written:
        raise RuntimeError("OpenCV could not encode a mask as PNG.")
    return data.tobytes()


def _decode_png(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if image is None or image.shape != shape:
        raise InputError("its mask is damaged")
    return image
