"""Preparation of COFW from its own MATLAB files as jaxpose records: faces with 29 landmarks.

    jaxpose prepare cofw --annotations COFW_train_color.mat --images images --out data/cofw_train
    jaxpose prepare cofw --annotations COFW_test_color.mat --images images --split test \
        --out data/cofw_test

The files are of MATLAB 7.3, which is HDF5 (`pip install "jaxpose[labels]"`), and contain the images
themselves, which are written as PNG into the folder of `--images` unless they are there. Variables
`IsTr`, `phisTr` and `bboxesTr` (`IsT`, `phisT` and `bboxesT` of the test file) have an image, 87
numbers and a box (x, y, width, height) for each face. The numbers are the landmarks' 29 x, 29 y,
and 29 flags, 1 for occluded. Every landmark is labelled.

Coordinates count pixels from 1, in the convention of MATLAB, so 1 is subtracted from landmarks and
boxes; MMPose's list of COFW does so for landmarks alone. Faces and images are numbered from 1,
those of the test file from 1,346, as in that list.

Burgos-Artizzu et al., "Robust Face Landmark Estimation under Occlusion", ICCV 2013.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from jaxpose.data.canvas import Canvas, ImageAnnotation, InstanceAnnotation, Skip
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.hdf5 import array, cells, content_of, dataset, members, open_hdf5
from jaxpose.media.image import check_size, missing
from jaxpose.paths import is_file
from jaxpose.skeletons import COFW29
from jaxpose.viz.files import save_image

NO_IMAGE = "image that is neither RGB nor grey with 8 bits"
BAD_FLAG = "flag of occlusion not 0 or 1"
TRAINING_FACES = 1345
_FIRST = {"Tr": 1, "T": TRAINING_FACES + 1}
_NUMBERS = 3 * COFW29.num_keypoints


def prepare(
    annotations: Annotated[
        Path, typer.Option(help="COFW_train_color.mat or COFW_test_color.mat, with the images.")
    ],
    images: Annotated[
        Path, typer.Option(help="Folder into which the images of the file are written.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Name of the split to write.")] = "train",
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x384",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare COFW, in colour."""
    from jaxpose.data.builder import write_dataset

    annotated, skipped = faces(annotations, images)
    return write_dataset(
        out,
        name="cofw",
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=COFW29,
        canvas=Canvas.parse(canvas),
        sources={"annotations": annotations},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def faces(path: Path, images: Path) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the faces of a file, and write their images into the folder unless they are there.

    Raises:
        InputError: the file is missing, damaged, or none of COFW's; an image cannot be written.
    """
    if not path.is_file():
        raise InputError(f"{missing(path) if not path.exists() else f'{path} is not a file'}.")
    found: list[ImageAnnotation] = []
    skips: list[Skip] = []
    with open_hdf5(path) as file:
        part = _part(path, members(file))
        table = _columns(file, f"phis{part}", _NUMBERS, path)
        boxes = _columns(file, f"bboxes{part}", 4, path)
        photos = dataset(file, f"Is{part}", path).size
        if not len(table) == len(boxes) == photos:
            raise InputError(
                f"{path} has landmarks of {len(table):,} faces, {len(boxes):,} boxes and {photos} "
                "images: the numbers must be equal."
            )
        rows = zip(table, boxes, _images(file, f"Is{part}", path), strict=True)
        for number, (numbers, box, photo) in enumerate(rows, start=_FIRST[part]):
            name = f"{number:06d}.png"
            points = numbers[: 2 * COFW29.num_keypoints].reshape(2, -1).T - 1
            occluded = numbers[2 * COFW29.num_keypoints :]
            who = f"face {number} of {path.name}"
            if photo is None:
                skips.append(Skip(NO_IMAGE, who))
                continue
            if not np.isin(occluded, (0, 1)).all():
                skips.append(Skip(BAD_FLAG, who))
                continue
            if not is_file(images / name):
                save_image(images / name, photo)
            own = box - np.array([1, 1, 0, 0])
            face = InstanceAnnotation(number, points, np.where(occluded > 0, 1, 2), own)
            height, width = photo.shape[:2]
            found.append(
                ImageAnnotation(images / name, name, number, (face,), len(found), (height, width))
            )
    return found, skips


def _part(path: Path, names: list[str]) -> str:
    """End of the names of a file's variables: "Tr" in the training file, "T" in the test file."""
    for part in _FIRST:
        if {f"Is{part}", f"phis{part}", f"bboxes{part}"} <= set(names):
            return part
    raise InputError(
        f"{path} is no file of COFW: it must have the variables IsTr, phisTr and bboxesTr, or IsT, "
        f"phisT and bboxesT. It has: {', '.join(names[:9]) or 'none'}."
    )


def _columns(file: Any, name: str, length: int, path: Path) -> np.ndarray:
    """Numbers `[faces, length]` of a variable; HDF5 has MATLAB's arrays transposed."""
    content = array(file, name, path)
    if content.ndim != 2 or content.shape[0] != length or content.dtype.kind not in "fiu":
        raise InputError(
            f"{path} is no file of COFW: {name} has {list(content.shape)} values of type "
            f"{content.dtype}, and must have {length} numbers for each face."
        )
    return content.T.astype(np.float64)


def _images(file: Any, name: str, path: Path) -> Iterator[np.ndarray | None]:
    """RGB or grey images of a variable, uint8; None for what is neither."""
    for number, cell in enumerate(cells(file, name, path), start=1):
        grey = cell.ndim == 2
        if cell.dtype != np.uint8 or not (grey or (cell.ndim == 3 and cell.shape[0] == 3)):
            yield None
            continue
        where = f"{path}: {name}, image {number}"
        try:
            check_size(cell.shape[-1], cell.shape[-2])
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
        yield np.ascontiguousarray(content_of(cell, where).T)
