"""People of DensePose-COCO's own files as samples: images, labelled points and coarse masks."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxpose import geometry
from jaxpose.bodies.charts import read_symmetry
from jaxpose.data.canvas import (
    AREA_OF_BOX,
    IMAGE_MISSING,
    Canvas,
    ImageAnnotation,
    Skip,
    check_folder,
    read_annotated_image,
    where_missing,
)
from jaxpose.data.coco_json import NO_IMAGE_ENTRY, images_by_id
from jaxpose.data.densepose import DensePosePerson, read_densepose
from jaxpose.data.source import Batch, check_indices
from jaxpose.errors import InputError
from jaxpose.paths import as_path, is_file
from jaxpose.skeletons import COCO17, Skeleton

BAD_LABELS = "labels not as published"
TOO_MANY_POINTS = "too many points"
WITHOUT = "no points on the surface"
_LEAVE_OUT = "skip_faults=True leaves such people out"


@dataclass(frozen=True)
class DensePoseCoco:
    """People of DensePose-COCO with points on their surfaces, one per sample.

    The files are those of the authors; nothing has to be prepared. Annotations without points are
    left out and counted. Opening the 39,000 people of the training file takes a minute or two.

    Attributes:
      annotations: a file such as `densepose_coco_2014_train.json`.
      images: folder of its images, such as `train2014`.
      symmetry: `UV_symmetry_transforms.mat` of DensePose, which crops of mirror images need.
      skip_faults: leave out people with wrong labels or without an image, and count them, in place
        of an error.
      max_points: largest number of points of a person; the published code has room for as many.
      canvas_hw: height and width of the canvas in pixels.
    """

    annotations: str
    images: str
    symmetry: str | None = None
    skip_faults: bool = False
    max_points: int = 196
    canvas_hw: tuple[int, int] = (384, 288)

    def __post_init__(self) -> None:
        if self.max_points < 1:
            raise InputError("DensePoseCoco needs max_points of at least 1.")

    def open(self) -> "DensePoseSource":
        """Open the files; raises as `DensePoseSource`."""
        return DensePoseSource(self)


class DensePoseSource:
    """Opened `DensePoseCoco`.

    A batch has, beside the arrays of `data.source.Batch`, the labels of N = `max_points` points:
    `points [B, N, 2]` float32 pixels of the canvas, `part [B, N]` int32 (0 for what is no point),
    `uv [B, N, 2]` float32, and `mirror_part` and `mirror_uv`, the same in the mirror image, all 0
    without a symmetry; and `coarse [B, 256, 256]` uint8, the coarse part at each place of the box,
    where `has_coarse [B]` is true. No keypoint is labelled.

    Attributes:
      skips: what was left out, by reason.
      without: number of annotations without points.
    """

    def __init__(self, data: DensePoseCoco) -> None:
        """Reads the annotations, and checks that the images exist.

        Raises:
          InputError: as for `data.densepose.read_densepose` and `bodies.charts.read_symmetry`; the
            folder of images, or an image, does not exist; no person is left.
        """
        self.data, self._canvas = data, Canvas(data.canvas_hw)
        path, folder = as_path(data.annotations), as_path(data.images)
        check_folder(folder)
        self._symmetry = None if data.symmetry is None else read_symmetry(as_path(data.symmetry))
        file = read_densepose(path, skip_faults=data.skip_faults)
        self.without = file.without
        self.skips = [Skip(BAD_LABELS, fault) for fault in file.faults]
        listed, unusable = images_by_id(
            [row for row in file.images if isinstance(row, dict)], folder, False, False
        )
        self._people: list[tuple[DensePosePerson, ImageAnnotation]] = []
        there: dict[int, bool] = {}
        for person in file.people:
            who = f"{path}, annotation {person.annotation_id}"
            image = listed.get(person.image_id)
            reason = detail = ""
            if image is None:
                reason, detail = NO_IMAGE_ENTRY, f"image {person.image_id}"
            elif person.image_id in unusable:
                reason, detail = unusable[person.image_id], image.name
            elif not there.setdefault(person.image_id, is_file(image.path)):
                reason, detail = IMAGE_MISSING, where_missing(image.path, image.name)
            elif len(person.part) > data.max_points:
                reason, detail = TOO_MANY_POINTS, f"{len(person.part)}, see max_points"
            if reason:
                if not data.skip_faults:
                    raise InputError(f"{who}: {reason} ({detail}); {_LEAVE_OUT}.")
                self.skips.append(Skip(reason, f"{who}: {detail}"))
            elif image is not None:
                self._people.append((person, image))
        if not self._people:
            counts = "; ".join(f"{number} {reason}" for reason, number in self.left_out.items())
            raise InputError(f"{path} has no person to use: {counts or 'no annotations'}.")

    @property
    def left_out(self) -> dict[str, int]:
        """Number of annotations that are not used, by reason."""
        counts = Counter(skip.reason for skip in self.skips)
        return dict(Counter({WITHOUT: self.without} if self.without else {}) + counts)

    @property
    def has_symmetry(self) -> bool:
        """True if batches have the labels of mirror images."""
        return self._symmetry is not None

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self.data.canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return COCO17

    def __len__(self) -> int:
        return len(self._people)

    def name(self, index: int) -> str:
        """Annotation and image of a sample."""
        person, image = self._people[index]
        return f"annotation {person.annotation_id} in {image.name}"

    def fingerprint(self) -> str:
        """Text that identifies the settings and all labels."""
        digest = hashlib.sha256(repr((self.data.canvas_hw, self.data.max_points)).encode())
        for person, image in self._people:
            digest.update(f"{person.annotation_id} {image.name}".encode())
            for array in (person.box_xywh, person.points, person.part, person.uv):
                digest.update(array.tobytes())
            digest.update(person.packed_mask)
        if self._symmetry is not None:
            digest.update(self._symmetry.tables.tobytes())
        return f"densepose-{digest.hexdigest()[:16]}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Read a batch; InputError if an image cannot be read or has another size."""
        wanted = check_indices(indices, len(self))
        rows = [self._sample(int(index)) for index in wanted]
        batch = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        return {**batch, "index": wanted, "mask": np.ones(len(wanted), bool)}

    def _sample(self, index: int) -> dict[str, Any]:
        person, annotated = self._people[index]
        image, reason, detail = read_annotated_image(annotated)
        if image is None:
            raise InputError(f"{self.data.annotations}, {self.name(index)}: {reason}{detail}.")
        size, canvas = self.data.canvas_hw, self._canvas
        matrix = geometry.box_crop_matrix(
            person.box_xywh, size, padding=canvas.padding * canvas.margin
        )
        low, high = geometry.apply_affine(
            matrix, np.array([person.box_xywh[:2], person.box_xywh[:2] + person.box_xywh[2:]])
        )
        area = person.area
        if area is None:
            area = AREA_OF_BOX * float(person.box_xywh[2] * person.box_xywh[3])
        mirror_part, mirror_uv = np.zeros_like(person.part), np.zeros_like(person.uv)
        if self._symmetry is not None:
            mirror_part, mirror_uv = self._symmetry(person.part, person.uv)
        return {
            "image": geometry.crop_image(image, matrix, size),
            "keypoints": np.zeros((COCO17.num_keypoints, 2), np.float32),
            "visible": np.zeros(COCO17.num_keypoints, np.uint8),
            "box_xywh": np.concatenate([low, high - low]).astype(np.float32),
            "photo_from_canvas": geometry.invert_affine(matrix).astype(np.float32),
            "area": np.float32(area),
            "image_id": np.int64(person.image_id),
            "annotation_id": np.int64(person.annotation_id),
            "points": self._padded(geometry.apply_affine(matrix, person.points), np.float32),
            "part": self._padded(person.part, np.int32),
            "uv": self._padded(person.uv, np.float32),
            "mirror_part": self._padded(mirror_part, np.int32),
            "mirror_uv": self._padded(mirror_uv, np.float32),
            "coarse": person.mask,
            "has_coarse": np.bool_(person.has_mask),
        }

    def _padded(self, values: np.ndarray, dtype: type) -> np.ndarray:
        """Rows of the points, and zeros up to `max_points`."""
        padded = np.zeros((self.data.max_points, *values.shape[1:]), dtype)
        padded[: len(values)] = values
        return padded
