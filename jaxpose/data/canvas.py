"""Canvases of the annotated people in an image: the part of `prepare` that runs in parallel.

A canvas is a window of fixed size around a person, large enough for every augmentation. The box is
clipped to the image, padded as for a model's input, extended to the aspect ratio of the canvas and
enlarged by the margin. With the defaults a person fills 384x288 / 1.5 = 256x192 pixels of it, so an
unaugmented 256x192 crop out of the canvas is a shift by whole pixels.
"""

import functools
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from jaxpose import geometry
from jaxpose.deprecations import moved_names
from jaxpose.errors import InputError
from jaxpose.media.image import exif_orientation, missing, read_image
from jaxpose.paths import is_file

AREA_OF_BOX = 0.53
"""Ratio of a person's area to the box's area, for annotations without area; as in MMPose."""

IMAGE_MISSING = "image missing"
IMAGE_UNREADABLE = "image unreadable"
IMAGE_SIZE = "image size differs from the annotation"
NOT_FINITE = "NaN or infinite number"
BAD_FLAG = "keypoint flag not 0, 1 or 2"
NO_KEYPOINTS = "no labelled keypoint"
BAD_BOX = "box without width or height"
BOX_OUTSIDE = "box outside the image"
NO_AREA = "zero area"


@dataclass(frozen=True)
class Canvas:
    """Size, padding and storage of canvases.

    Attributes:
      hw: height and width in pixels.
      margin: enlargement beyond the padded box.
      padding: enlargement of the box, as for a model's input.
      jpeg_quality: quality of the stored JPEG; chroma has half the resolution (4:2:0).
    """

    hw: tuple[int, int] = (384, 288)
    margin: float = 1.5
    padding: float = 1.25
    jpeg_quality: int = 95

    def __post_init__(self) -> None:
        if not all(16 <= size <= 65_500 for size in self.hw):
            raise InputError(f"A canvas must have sides of 16 to 65500 pixels, not {self.hw}.")
        if self.margin < 1 or self.padding < 1:
            raise InputError("The margin and the padding of a canvas must be 1 or more.")
        if not 1 <= self.jpeg_quality <= 100:
            raise InputError(f"JPEG quality must be 1 to 100, not {self.jpeg_quality}.")

    @classmethod
    def parse(cls, text: str) -> "Canvas":
        """Create a `Canvas` from its size HEIGHTxWIDTH, such as 384x288."""
        height, _, width = text.lower().partition("x")
        if not (height.isdecimal() and width.isdecimal()):
            raise InputError(f"A canvas size must be HEIGHTxWIDTH, such as 384x288, not {text!r}.")
        return cls(hw=(int(height), int(width)))


@dataclass(frozen=True)
class InstanceAnnotation:
    """Annotated person, in pixels of the image.

    Attributes:
      annotation_id: id in the source.
      keypoints: `[K, 2]`; values of unlabelled keypoints are ignored.
      visible: `[K]`, 0 not labelled, 1 occluded, 2 visible.
      box_xywh: `[4]`.
      area: in px²; None means `AREA_OF_BOX` times the area of the box.
      clip: whether to clip the box to the image; False keeps a window given by centre and size.
      head_xyxy: `[4]`, two corners of the head's box (the unit of PCKh); None if not annotated.
      crowd: True for a region of several people without separate keypoints.
      segmentation: the region in COCO's format (`data.segmentation`); None if not annotated.
      keypoints_3d: `[K, 3]` millimetres in the camera's frame; None if not annotated.
    """

    annotation_id: int
    keypoints: np.ndarray
    visible: np.ndarray
    box_xywh: np.ndarray
    area: float | None = None
    clip: bool = True
    head_xyxy: np.ndarray | None = None
    crowd: bool = False
    segmentation: Any = None
    keypoints_3d: np.ndarray | None = None


@dataclass(frozen=True)
class ImageAnnotation:
    """Image and its annotated people.

    Attributes:
      path: path of the image file.
      name: name in the source, which is stored in the record.
      image_id: id in the source.
      people: at least one, except in a dataset of whole images.
      first_key: number of the first person in the split; the other people have the next numbers.
      image_hw: height and width for which the annotation was made; None if the source has none.
    """

    path: Path
    name: str
    image_id: int
    people: tuple[InstanceAnnotation, ...]
    first_key: int
    image_hw: tuple[int, int] | None = None


@dataclass(frozen=True)
class Skip:
    """Person or whole image that is not written.

    Attributes:
      reason: the reason in a few words, which can be counted.
      who: the annotation and the image.
      fault: False for what a data set has on purpose and training does not want, such as crowds.
      people: number of annotated people of a whole image; None for a person.
    """

    reason: str
    who: str
    fault: bool = True
    people: int | None = None


@dataclass(frozen=True)
class Turned:
    """Image that is turned or mirrored by EXIF, for which labels may have been made as stored.

    Attributes:
      name: name of the image in the source.
      orientation: the EXIF orientation, 2 to 8.
    """

    name: str
    orientation: int


Drawn = tuple[int, dict[str, Any]] | Skip | Turned
"""Key and features of one record, the reason why it is not written, or a remark on its image."""


def draw(annotated: ImageAnnotation, canvas: Canvas) -> list[Drawn]:
    """Create the records of the people in an image, in their order, then a remark on the image."""
    image, reason, detail = read_annotated_image(annotated)
    drawn: list[Drawn] = []
    for number, person in enumerate(annotated.people):
        who = f"annotation {person.annotation_id} in {annotated.name}{detail}"
        found = reason or fault_of(person)
        if found or image is None:
            drawn.append(Skip(found or IMAGE_UNREADABLE, who, found != NO_KEYPOINTS))
            continue
        box = clip_box(person.box_xywh, image.shape[0], image.shape[1])
        if box[2] <= 0 or box[3] <= 0:
            drawn.append(Skip(BOX_OUTSIDE, who))
            continue
        if not person.clip:
            box = person.box_xywh.astype(np.float64)
        drawn.append(
            (annotated.first_key + number, _features(annotated, person, box, image, canvas))
        )
    return [*drawn, *remarks(annotated, image)]


def remarks(annotated: ImageAnnotation, image: np.ndarray | None) -> list[Turned]:
    """Remark on an upright `image [H, W, 3]` whose labels may not fit; none without an image."""
    if image is None:
        return []
    turn = exif_orientation(annotated.path)
    if turn_shows(turn, image.shape[:2], annotated.image_hw):
        return []
    return [Turned(annotated.name, turn)]


def turn_shows(
    orientation: int, upright_hw: tuple[int, ...], stated_hw: tuple[int, int] | None
) -> bool:
    """True if the stated size shows whether labels were made on the upright image.

    Orientations 2 to 4 mirror the image or turn it upside down, which leaves the size as it is.

    Args:
      orientation: EXIF orientation of the file, 1 to 8.
      upright_hw: height and width of the upright image.
      stated_hw: height and width in the annotation; None if it has none.
    """
    quarter = orientation > 4 and upright_hw[0] != upright_hw[1]
    return orientation == 1 or (quarter and stated_hw is not None)


def clip_box(box_xywh: np.ndarray, height: int, width: int) -> np.ndarray:
    """Clip boxes `[..., 4]` (xywh) to the pixel centres of an image; float64.

    The ends are clipped to `[0, width - 1]` and `[0, height - 1]`, as in MMPose's reader of COCO,
    so that boxes are comparable. A box outside the image gets a width or height of 0.
    """
    corner, size = box_xywh[..., :2], box_xywh[..., 2:]
    low = np.clip(corner, 0, [width - 1, height - 1])
    high = np.clip(corner + size, 0, [width - 1, height - 1])
    return np.concatenate([low, high - low], axis=-1).astype(np.float64)


def square_of_points(points: np.ndarray) -> np.ndarray:
    """Square `[4]` (xywh) about the extent of points `[K, 2]`, whose ends are whole pixels."""
    low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0))
    side = np.repeat((high - low).max(), 2)
    return np.concatenate([(low + high - side) / 2, side])


def read_annotated_image(annotated: ImageAnnotation) -> tuple[np.ndarray | None, str, str]:
    """Read the image; on failure return None, with the reason and a detail for the summary."""
    if not is_file(annotated.path):
        return None, IMAGE_MISSING, f": {where_missing(annotated.path, annotated.name)}"
    try:
        image = read_image(annotated.path)
    except InputError as error:
        return None, IMAGE_UNREADABLE, f": {error}"
    if annotated.image_hw is not None and image.shape[:2] != annotated.image_hw:
        turned = exif_orientation(annotated.path)
        detail = size_difference(image.shape[:2], annotated.image_hw, turned)
        return None, IMAGE_SIZE, f": {detail}"
    return image, "", ""


def check_folder(path: Path) -> None:
    """Check that a path is an existing folder.

    Raises:
      InputError: it does not exist, or is a file.
    """
    if not path.is_dir():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is a file'}.")


def where_missing(path: Path, name: str) -> str:
    """State which path was tried for a missing image, and which change would find one.

    Args:
      path: the path, which ends in `name`.
      name: the annotation's `file_name`, relative to the folder of the images.
    """
    tried = f"there is no {path}"
    inner = Path(name.replace("\\", "/"))
    if not name or Path(name).is_absolute() or ".." in inner.parts:
        return tried
    folder = path.parents[len(Path(name).parts) - 1]
    if str(inner) != name and is_file(folder / inner):
        return f"{tried}, but {inner} with / in place of \\ exists: change file_name"
    for cut in range(1, len(inner.parts)):
        rest = Path(*inner.parts[cut:])
        if not is_file(folder / rest):
            continue
        if folder.parts[-cut:] == inner.parts[:cut]:
            parent = folder.parents[cut - 1]
            return f"{tried}, but file_name begins with the folder's name: give {parent} as folder"
        return f"{tried}, but {folder / rest} exists: shorten file_name"
    place = (folder / inner).parent
    spellings, stems = _beside(place)
    for found, how in (
        (spellings.get(_plain(inner.name)), "in another spelling"),
        (stems.get(_plain(inner.stem)), "with another suffix"),
    ):
        if found and is_file(place / found):
            return f"{tried}, but {found} exists, {how}: change file_name"
    return tried


@functools.lru_cache(maxsize=8)  # a data set misses thousands of images of one folder
def _beside(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Names of the files in a folder by their plain names, and by those without the suffix."""
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError):
        names = []
    return {_plain(n): n for n in names}, {_plain(Path(n).stem): n for n in names}


def _plain(name: str) -> str:
    """Name without differences of case, of Unicode's forms, of spaces and of escapes in URLs."""
    return unicodedata.normalize("NFKC", unquote(name)).strip().casefold()


def size_difference(upright_hw: tuple[int, int], stated_hw: tuple[int, int], turned: int) -> str:
    """Describe how an image's size differs from the stated one, with EXIF as a possible reason.

    Args:
      upright_hw: height and width of the upright image.
      stated_hw: height and width in the annotation.
      turned: EXIF orientation of the file.
    """
    upright, stated = ("{1}x{0}".format(*hw) for hw in (upright_hw, stated_hw))
    if turned > 4 and upright_hw[::-1] == stated_hw:
        return (
            f"{upright} upright, {stated} as stored and annotated: the file is turned by EXIF "
            f"(orientation {turned}). Save the images upright and label these"
        )
    return f"the image has {upright} pixels, the annotation says {stated}"


def fault_of(person: InstanceAnnotation, needs_keypoints: bool = True) -> str:
    """Fault of an annotation that makes it unusable; empty if it has none."""
    if not np.isin(person.visible, (0, 1, 2)).all():
        return BAD_FLAG
    labelled = person.visible > 0
    if needs_keypoints and not labelled.any():
        return NO_KEYPOINTS
    area = person.area if person.area is not None else 1.0
    if not all(np.isfinite(x).all() for x in (person.keypoints[labelled], person.box_xywh, area)):
        return NOT_FINITE
    if person.box_xywh[2] <= 0 or person.box_xywh[3] <= 0:
        return BAD_BOX
    return "" if area > 0 else NO_AREA


def _features(
    annotated: ImageAnnotation,
    person: InstanceAnnotation,
    box_xywh: np.ndarray,
    image: np.ndarray,
    canvas: Canvas,
) -> dict[str, Any]:
    height, width = canvas.hw
    center, scale = geometry.box_to_center_scale(box_xywh, canvas.padding)
    window = geometry.fix_aspect_ratio(scale, width / height) * canvas.margin
    canvas_from_image = geometry.crop_matrix(center, window, canvas.hw)
    labelled = (person.visible > 0)[:, None]
    keypoints = geometry.apply_affine(canvas_from_image, person.keypoints.astype(np.float64))
    corners = np.stack([box_xywh[:2], box_xywh[:2] + box_xywh[2:]])
    low, high = geometry.apply_affine(canvas_from_image, corners)
    area = person.area if person.area is not None else AREA_OF_BOX * box_xywh[2] * box_xywh[3]
    head = person.head_xyxy
    return {
        "image": encode_jpeg(geometry.crop_image(image, canvas_from_image, canvas.hw), canvas),
        "keypoints": np.where(labelled, keypoints, 0).astype(np.float32),
        "visible": person.visible.astype(np.uint8),
        "box_xywh": np.concatenate([low, high - low]).astype(np.float32),
        "photo_from_canvas": geometry.invert_affine(canvas_from_image).astype(np.float32),
        "area": np.float32(area),
        "image_id": annotated.image_id,
        "annotation_id": person.annotation_id,
        "photo_hw": np.array(image.shape[:2], np.int64),
        "head_xyxy": np.zeros(4, np.float32) if head is None else head.astype(np.float32),
        "photo": annotated.name,
    }


def encode_jpeg(image: np.ndarray, canvas: Canvas) -> bytes:
    import cv2

    # Half-resolution chroma decodes a third faster, and most source images have it already.
    options = [cv2.IMWRITE_JPEG_QUALITY, canvas.jpeg_quality]
    options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    written, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not written:
        raise RuntimeError("OpenCV could not encode a canvas as JPEG.")
    return data.tobytes()


def by_image(people: list[tuple[ImageAnnotation, InstanceAnnotation]]) -> Iterator[ImageAnnotation]:
    """Group people by image, in the order of each image's first person, and number them.

    The `ImageAnnotation` of an entry identifies the image; `people` and `first_key` are not read.
    """
    groups: dict[Path, tuple[ImageAnnotation, list[InstanceAnnotation]]] = {}
    for image, person in people:
        groups.setdefault(image.path, (image, []))[1].append(person)
    key = 0
    for image, members in groups.values():
        yield ImageAnnotation(
            image.path, image.name, image.image_id, tuple(members), key, image.image_hw
        )
        key += len(members)


__getattr__ = moved_names(__name__)
