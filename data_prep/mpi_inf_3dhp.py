"""Preparation of MPI-INF-3DHP as a motion dataset (`jaxpose.data.motion`), from MMPose's files.

    jaxpose prepare mpi_inf_3dhp --train mpi_inf_3dhp_train.npz --test mpi_inf_3dhp_test.npz \\
        --cameras-train cameras_train.pkl --cameras-test cameras_test.pkl --out data/3dhp.npz

Joints are the skeleton `mpi_inf_3dhp17`, in the frames of the cameras (`jaxpose.data.mmpose_motion`
describes the layout). Training images are 2048 x 2048, although the camera files state different
heights. Subjects S1 to S8 are split `train`, the test sequences TS1 to TS6 split `test`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxpose.data.mmpose_motion import read_clips, stated_size
from jaxpose.data.motion import Clip, MotionSummary, motion_of, write_motion
from jaxpose.errors import InputError
from jaxpose.skeletons import MPI_INF_3DHP17

_TRAIN = re.compile(r"(?P<subject>S\d)_(?P<action>Seq\d)_(?P<camera>Cam\d+)_(?P<frame>\d{6})\.jpg")
_TEST = re.compile(r"(?P<subject>TS\d)_(?P<frame>\d{6})\.jpg")


def prepare(
    out: Annotated[Path, typer.Option(help="Motion dataset to write (.npz).")],
    train: Annotated[Path | None, typer.Option(help="Annotations of S1 to S8 (.npz).")] = None,
    test: Annotated[Path | None, typer.Option(help="Annotations of TS1 to TS6 (.npz).")] = None,
    cameras_train: Annotated[
        Path | None, typer.Option(help="Cameras of the file of --train (.pkl).")
    ] = None,
    cameras_test: Annotated[
        Path | None, typer.Option(help="Cameras of the file of --test (.pkl).")
    ] = None,
) -> MotionSummary:
    """Prepare MPI-INF-3DHP with 17 joints."""
    clips: list[Clip] = []
    if train is not None:
        clips += read_clips(
            train,
            cameras_train,
            image_name=_TRAIN,
            camera_key=lambda fields: "_".join(fields.values()),
            split=lambda subject: "train",
            image_size=square,
        )
    if test is not None:
        clips += read_clips(
            test,
            cameras_test,
            image_name=_TEST,
            camera_key=lambda fields: fields["subject"],
            split=lambda subject: "test",
            image_size=stated_size,
        )
    if not clips:
        raise InputError("Give --train, --test or both.")
    motion = motion_of(MPI_INF_3DHP17, clips)
    write_motion(out, motion)
    return MotionSummary.of(motion)


def square(parameters: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the training images."""
    return int(parameters["w"]), int(parameters["w"])
