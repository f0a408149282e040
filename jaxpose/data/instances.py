"""Batches of whole images with all their people, padded to the same number of people.

Arrays of such a batch, with keypoints and boxes in canvas pixels (P: people, K: keypoints):

image uint8 `[B, H, W, 3]` RGB, the whole image with black margins; keypoints float32
`[B, P, K, 2]`; visible uint8 `[B, P, K]` (0 not labelled, 1 occluded, 2 visible); box_xywh float32
`[B, P, 4]`; area float32 `[B, P]` in px² of the original image (the area of OKS); annotation_id
int64 `[B, P]`; valid bool `[B, P]`, False in padding rows; crowd bool `[B, P]`, True for a region
of several people; ignore uint8 `[B, H / 4, W / 4]`, 255 where people are not labelled, or not
labelled individually; photo_from_canvas float32 `[B, 2, 3]`; image_id and index int64 `[B]`; mask
bool `[B]`, False in padding images. With 3D, keypoints_3d float32 `[B, P, K, 3]` in millimetres in
the camera's frame, NaN where unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxpose import geometry
from jaxpose.data.source import Batch, Source, check_indices
from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton

IGNORE_STRIDE = 4
"""Side of a pixel of `ignore`, in canvas pixels."""


def instance_shapes(
    num_keypoints: int, has_3d: bool = False
) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shape and type of each array of one person."""
    points_3d = {"keypoints_3d": ((num_keypoints, 3), np.float32)} if has_3d else {}
    return {
        "keypoints": ((num_keypoints, 2), np.float32),
        "visible": ((num_keypoints,), np.uint8),
        "box_xywh": ((4,), np.float32),
        "area": ((), np.float32),
        "annotation_id": ((), np.int64),
        "crowd": ((), np.bool_),
        **points_3d,
    }


def image_shapes(
    canvas_hw: tuple[int, int], people: int, num_keypoints: int
) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Shape (without the batch axis) and type of each array of a batch."""
    height, width = canvas_hw
    each = instance_shapes(num_keypoints).items()
    return {
        "image": ((height, width, 3), np.uint8),
        **{name: ((people, *shape), dtype) for name, (shape, dtype) in each},
        "valid": ((people,), np.bool_),
        "ignore": ((height // IGNORE_STRIDE, width // IGNORE_STRIDE), np.uint8),
        "photo_from_canvas": ((2, 3), np.float32),
        "image_id": ((), np.int64),
        "mask": ((), np.bool_),
    }


def empty_batch(size: int, canvas_hw: tuple[int, int], people: int, num_keypoints: int) -> Batch:
    """Create a batch of black images without people; `index` is absent."""
    shapes = image_shapes(canvas_hw, people, num_keypoints)
    batch = {name: np.zeros((size, *shape), dtype) for name, (shape, dtype) in shapes.items()}
    batch["mask"][:] = True
    return batch


def put_people(batch: Batch, row: int, people: Iterable[Mapping[str, Any]]) -> None:
    """Write one image's people, each with the arrays of `instance_shapes`; `crowd` is optional."""
    for place, person in enumerate(people):
        for name in ("keypoints", "visible", "box_xywh", "area", "annotation_id"):
            batch[name][row, place] = person[name]
        batch["crowd"][row, place] = person.get("crowd", False)
        batch["valid"][row, place] = True


def cover(ignore: np.ndarray, box_xywh: np.ndarray) -> None:
    """Set every pixel of `ignore [h, w]` that a box in canvas pixels touches to 255."""
    low = np.floor((box_xywh[:2] + 0.5) / IGNORE_STRIDE).astype(int)
    high = np.ceil((box_xywh[:2] + box_xywh[2:] + 0.5) / IGNORE_STRIDE).astype(int)
    (x0, y0), (x1, y1) = np.maximum(low, 0), np.maximum(high, 0)
    ignore[y0:y1, x0:x1] = 255


class PeopleOfImages:
    """People of a source of whole images, one person per sample, for top-down models.

    Every sample is the whole canvas of an image with the box of one person; the person is not
    enlarged. People without a labelled keypoint and crowd regions are left out.

    Args:
      images: the source of whole images.
      labelled: bool `[N, P]`, True for the people of each image that are samples.
    """

    def __init__(self, images: Source, labelled: np.ndarray) -> None:
        self._images = images
        self._image, self._person = np.nonzero(labelled)
        if not len(self._image):
            raise InputError("None of these images has a person with a labelled keypoint.")

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self._images.canvas_hw

    @property
    def has_3d(self) -> bool:
        """True if samples have `keypoints_3d`, `[K, 3]` millimetres in the camera's frame."""
        return bool(getattr(self._images, "has_3d", False))

    @property
    def skeleton(self) -> Skeleton:
        return self._images.skeleton

    def __len__(self) -> int:
        return len(self._image)

    def fingerprint(self) -> str:
        return f"people-of-{self._images.fingerprint()}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        """Read a batch of these people; see `source.Batch`.

        Raises:
          InputError: an error of the source of images.
        """
        wanted = check_indices(indices, len(self))
        found = self._images.samples(self._image[wanted])
        rows = np.arange(len(wanted)), self._person[wanted]
        names = ["keypoints", "visible", "box_xywh", "area", "annotation_id"]
        names += ["keypoints_3d"] if self.has_3d else []
        batch = {name: found[name][rows] for name in names}
        whole = ("image", "photo_from_canvas", "image_id", "mask")
        return batch | {name: found[name] for name in whole} | {"index": wanted}


def letterbox(
    image_hw: tuple[int, int], canvas_hw: tuple[int, int], udp: geometry.Udp = True
) -> np.ndarray:
    """Affine map `[2, 3]` from image to canvas pixels: the whole image, centred, as large as fits.

    The outermost pixel centres along the side that fills the canvas coincide with those of the
    canvas; with `udp=False`, the image's size becomes that of the canvas (see `crop_matrix`).
    """
    if not udp:
        whole = np.array([0.0, 0.0, image_hw[1], image_hw[0]])
        return geometry.box_crop_matrix(whole, canvas_hw, padding=1.0)
    height, width = (side - 1 for side in image_hw)
    center = np.array([width / 2, height / 2])
    size = np.maximum(np.array([width, height], np.float64), 1.0)
    aspect = (canvas_hw[1] - 1) / (canvas_hw[0] - 1)
    return geometry.crop_matrix(
        center, geometry.fix_aspect_ratio(size, aspect), canvas_hw, udp=True
    )
