"""Preparation of a BOP dataset as jaxpose records: nine keypoints of each object.

    jaxpose prepare bop --folder lmo --split test --out data/lmo

Keypoints are eight places of each model's surface that are far from each other, and the centre of
its box, projected with the pose of the annotation. For a symmetric object, of the poses with the
same appearance, that with the rotation nearest to the identity is taken. Hidden keypoints are
stored as visible: they are known as well as the others. Models of poses train from the dataset
itself (`objects.bop_source.BopObjects`), which also has the poses and masks; records are for
detectors of keypoints and `jaxpose data check`.

Hodan et al., BOP: Benchmark for 6D Object Pose Estimation, ECCV 2018, arXiv:1808.08319.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.data.canvas import Canvas, ImageAnnotation, InstanceAnnotation, Skip, by_image
from jaxpose.data.script_options import Beam, Overwrite, Processes
from jaxpose.data.summary import Summary
from jaxpose.geometry.pnp import project_points
from jaxpose.geometry.symmetries import canonical_pose
from jaxpose.objects.bop import read_models, read_split
from jaxpose.objects.bop_source import object_box
from jaxpose.skeletons import OBJECT9


def prepare(
    folder: Annotated[Path, typer.Option(help="Folder of the dataset: models and splits.")],
    out: Annotated[Path, typer.Option(help="Folder of the dataset to write.")],
    split: Annotated[str, typer.Option(help="Folder of the split to read.")] = "test",
    models: Annotated[str, typer.Option(help="Folder of the models.")] = "models",
    min_visible: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Least share of an object that is seen.")
    ] = 0.1,
    canvas: Annotated[str, typer.Option(help="Size of stored images, HEIGHTxWIDTH.")] = "256x256",
    processes: Processes = None,
    overwrite: Overwrite = False,
    beam: Beam = None,
) -> Summary:
    """Prepare a dataset in the layout of BOP."""
    from jaxpose.data.builder import write_dataset

    annotated, skipped = objects(folder, split, models, min_visible)
    return write_dataset(
        out,
        name=folder.resolve().name,
        splits={split: annotated},
        skipped={split: skipped},
        skeleton=OBJECT9,
        canvas=Canvas.parse(canvas),
        sources={"models": folder / models / "models_info.json"},
        processes=processes,
        overwrite=overwrite,
        beam_options=None if beam is None else beam.split(),
    )


def objects(
    folder: Path, split: str, models: str, min_visible: float
) -> tuple[list[ImageAnnotation], list[Skip]]:
    """Read the objects of all images of a split.

    Raises:
        InputError: as `read_models` and `read_split`.
    """
    known = read_models(folder / models)
    images, skips = read_split(folder, split, known)
    made: list[tuple[ImageAnnotation, InstanceAnnotation]] = []
    for image in images:
        name = str(image.path.relative_to(folder))
        for each in image.objects:
            if each.visible < min_visible:
                who = f"object {each.row} of {name}"
                skips.append(Skip("seen too little", who, fault=False))
                continue
            model = known[each.object_id]
            pose = canonical_pose(each.pose, model.symmetries)
            person = InstanceAnnotation(
                annotation_id=len(made),
                keypoints=project_points(pose, model.keypoints, image.camera),
                visible=np.full(OBJECT9.num_keypoints, 2),
                box_xywh=object_box(each, model, image.camera),
            )
            made.append((ImageAnnotation(image.path, name, image.key, (), 0), person))
    return list(by_image(made)), skips
