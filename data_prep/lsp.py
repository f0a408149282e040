"""Preparation of Leeds Sports Pose and its extended training set as jaxpose records.

    jaxpose prepare lsp --lsp lsp --lspet lspet --out data/lsp --canvas 192x192

Split `train` contains the first 1,000 people of LSP and, with --lspet, the 10,000 of LSP-Extended;
split `test` the last 1,000 of LSP. There is one person per image; left and right are those of the
person.

The two `joints.mat` differ. LSP: `(3, 14, 2000)`, third row 1 = occluded; every joint has a
position. LSP-Extended: `(14, 3, 10000)`, third column 1 = visible; a joint with 0 is not labelled
(its position is the origin of the original image). Coordinates are MATLAB's: the first pixel is 1.

Neither set has boxes. A person's box is the extent of the labelled joints, each side enlarged by
15 % about its centre, because feet, hands and the body extend beyond the joints.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.data.canvas import Canvas, ImageAnnotation, InstanceAnnotation
from jaxpose.data.matlab import read_mat
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.errors import InputError
from jaxpose.skeletons import LSP14

ENLARGEMENT = 1.15
LSP_COUNT, LSP_TRAIN = 2000, 1000
LSPET_FIRST_ID = 100_000
"""Offset of ids: image n of LSP has id n, image n of LSP-Extended this number plus n."""


def prepare(
    lsp: Annotated[Path, typer.Option(help="Folder of LSP, with joints.mat and images/.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    lspet: Annotated[
        Path | None, typer.Option(help="Folder of LSP-Extended, with joints.mat and images/.")
    ] = None,
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "384x288",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare Leeds Sports Pose, with or without its extended training set."""
    from jaxpose.data.builder import write_dataset

    people = lsp_people(lsp / "joints.mat")
    images = [_image(lsp / "images" / f"im{p.annotation_id:04d}.jpg", p) for p in people]
    train, test = images[:LSP_TRAIN], images[LSP_TRAIN:]
    sources = {"lsp": lsp / "joints.mat"}
    if lspet is not None:
        for person in lspet_people(lspet / "joints.mat"):
            name = f"im{person.annotation_id - LSPET_FIRST_ID:05d}.jpg"
            train.append(_image(lspet / "images" / name, person))
        sources["lspet"] = lspet / "joints.mat"
    return write_dataset(
        out,
        name="lsp",
        splits={"train": _in_order(train), "test": _in_order(test)},
        skipped={},
        skeleton=LSP14,
        canvas=Canvas.parse(canvas),
        sources=sources,
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def lsp_people(mat: Path) -> list[InstanceAnnotation]:
    """Read all people of LSP.

    Raises:
        InputError: the file is not LSP's `joints.mat`.
    """
    joints = _joints(mat)
    if joints.shape != (3, 14, LSP_COUNT):
        hint = " This is LSP-Extended's file." if joints.shape[:2] == (14, 3) else ""
        raise InputError(
            f"{mat}: the shape of LSP's joints is (3, 14, {LSP_COUNT}), not {joints.shape}.{hint}"
        )
    x, y, occluded = joints
    visible = np.where(occluded == 1, 1, 2)
    return _people(np.stack([x, y], axis=-1), visible, first_id=0)


def lspet_people(mat: Path) -> list[InstanceAnnotation]:
    """Read all people of LSP-Extended.

    Raises:
        InputError: the file is not LSP-Extended's `joints.mat`.
    """
    joints = _joints(mat)
    if joints.shape[:2] != (14, 3) or joints.ndim != 3:
        hint = " This is LSP's file." if joints.shape[:2] == (3, 14) else ""
        raise InputError(
            f"{mat}: the shape of LSP-Extended's joints is (14, 3, 10000), not {joints.shape}."
            f"{hint}"
        )
    x, y, labelled = joints.swapaxes(0, 1)
    visible = np.where(labelled == 1, 2, 0)
    return _people(np.stack([x, y], axis=-1), visible, first_id=LSPET_FIRST_ID)


def _joints(mat: Path) -> np.ndarray:
    joints = np.asarray(read_mat(mat, "joints"))
    if not np.issubdtype(joints.dtype, np.number):
        raise InputError(f"{mat}: `joints` does not contain numbers.")
    return joints.astype(np.float64)


def _people(points: np.ndarray, visible: np.ndarray, first_id: int) -> list[InstanceAnnotation]:
    """Make people of `[14, N, 2]` positions and `[14, N]` flags; ids begin at `first_id + 1`."""
    return [
        InstanceAnnotation(
            annotation_id=first_id + 1 + n,
            keypoints=points[:, n] - 1,
            visible=visible[:, n],
            box_xywh=box_of_joints(points[:, n] - 1, visible[:, n] > 0),
        )
        for n in range(points.shape[1])
    ]


def box_of_joints(points: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Enlarged extent `[4]` (xywh) of the labelled points `[K, 2]`; zeros if there are none."""
    if not labelled.any():
        return np.zeros(4)
    low, high = points[labelled].min(axis=0), points[labelled].max(axis=0)
    size = (high - low) * ENLARGEMENT
    return np.concatenate([(low + high - size) / 2, size])


def _image(path: Path, person: InstanceAnnotation) -> ImageAnnotation:
    return ImageAnnotation(path, path.name, person.annotation_id, (person,), first_key=0)


def _in_order(images: list[ImageAnnotation]) -> list[ImageAnnotation]:
    return [
        ImageAnnotation(image.path, image.name, image.image_id, image.people, first_key=key)
        for key, image in enumerate(images)
    ]
