"""Preparation of Human3.6M as a motion dataset (`jaxpose.data.motion`), from one of three layouts.

    jaxpose prepare h36m --videopose3d data_3d_h36m.npz --cameras camera-parameters.json \\
        --out data/h36m.npz
    jaxpose prepare h36m --mmpose h36m_train.npz --mmpose h36m_test.npz --cameras cameras.pkl ...
    jaxpose prepare h36m --poses h36m_fk17_10hz.npz ...

- `--videopose3d`: a stored dictionary subject -> action -> world positions `[T, 32 or 17, 3]` in
  metres at 50 Hz. Keypoints are the joints projected by the four cameras with lens distortion. With
  `--detections` they are those of a second file of that layout (subject -> action -> four arrays
  `[T, 17, 2]`, in the cameras' order).
- `--mmpose`: MMPose's annotations (`jaxpose.data.mmpose_motion`), in the cameras' frames.
- `--poses`: arrays `SUBJECT/ACTION_TRIAL [T, 17, 3]` in metres, y up, root at the origin, 10 Hz,
  without a camera: a dataset in frame `world`, which training projects with random cameras.

Joints are the skeleton `h36m17`. Split `train` contains S1, S5, S6, S7 and S8, split `test` S9 and
S11, for protocols 1 and 2. Protocol 2 scores every 64th frame; the evaluation selects these frames.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.convert.npz import read_npz
from jaxpose.data.mmpose_motion import read_clips
from jaxpose.data.motion import Clip, MotionSummary, motion_of, write_motion
from jaxpose.data.pickles import read_pickled_npz
from jaxpose.errors import InputError, nearest
from jaxpose.file_limits import SETTINGS, read_text
from jaxpose.geometry.cameras import Camera, pinhole, project, world_to_camera
from jaxpose.json_text import parse_json
from jaxpose.skeletons import H36M17

CAMERAS = ("54138969", "55011271", "58860488", "60457274")
HEIGHTS = (1002, 1000, 1000, 1002)
WIDTH = 1000
FPS, POSES_FPS = 50.0, 10.0
TEST = ("S9", "S11")
OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""Indices of the skeleton's 17 joints among the 32 joints of the motion capture."""

_IMAGE = re.compile(
    r"(?P<subject>S\d+)_(?P<action>\w+?(?:_\d)?)\.(?P<camera>\d{8})_(?P<frame>\d{6})\.jpg"
)


def prepare(
    out: Annotated[Path, typer.Option(help="Motion dataset to write (.npz).")],
    videopose3d: Annotated[
        Path | None, typer.Option(help="VideoPose3D's 3D joints: data_3d_h36m.npz.")
    ] = None,
    detections: Annotated[
        Path | None,
        typer.Option(help="Detected 2D keypoints for --videopose3d: data_2d_h36m_*.npz."),
    ] = None,
    mmpose: Annotated[
        list[Path] | None,
        typer.Option(help="MMPose's annotation file (.npz); repeat for several files."),
    ] = None,
    poses: Annotated[Path | None, typer.Option(help="3D joints without cameras (.npz).")] = None,
    cameras: Annotated[
        Path | None,
        typer.Option(help="Camera parameters: JSON for --videopose3d, pickle for --mmpose."),
    ] = None,
) -> MotionSummary:
    """Prepare Human3.6M with 17 joints."""
    if sum(source is not None for source in (videopose3d, mmpose or None, poses)) != 1:
        raise InputError("Give exactly one of --videopose3d, --mmpose and --poses.")
    left_out: Counter[str] = Counter()
    if poses is not None:
        motion = motion_of(H36M17, pose_clips(poses), frame="world", up="y")
    elif mmpose:
        motion = motion_of(
            H36M17, [clip for path in mmpose for clip in mmpose_clips(path, cameras)]
        )
    else:
        assert videopose3d is not None
        clips = videopose3d_clips(videopose3d, cameras, detections, left_out)
        motion = motion_of(H36M17, clips)
    write_motion(out, motion)
    return MotionSummary.of(motion, left_out=left_out)


def split_of(subject: str) -> str:
    """Split of a subject: `test` for the subjects that the protocols score."""
    return "test" if subject in TEST else "train"


def pose_clips(path: Path) -> list[Clip]:
    """Read clips without a camera.

    Raises:
      InputError: the file cannot be read, or an array has a wrong name.
    """
    clips = []
    for key, joints in read_npz(path).items():
        subject, _, action = key.partition("/")
        if not re.fullmatch(r"S\d+", subject) or not action:
            raise InputError(f"{path}: names of arrays must be like 'S1/walking_1', not {key!r}.")
        clips.append(
            Clip(
                joints_mm=joints * 1000.0,
                split=split_of(subject),
                subject=subject,
                action=action.rsplit("_", 1)[0],
                name=action,
                fps=POSES_FPS,
            )
        )
    return clips


def mmpose_clips(path: Path, cameras: Path | None) -> list[Clip]:
    """Read clips in the cameras' frames."""
    return read_clips(
        path,
        cameras,
        image_name=_IMAGE,
        camera_key=lambda fields: (fields["subject"], fields["camera"]),
        split=split_of,
        fps=FPS,
    )


def videopose3d_clips(
    path: Path,
    cameras: Path | None,
    detections: Path | None,
    left_out: Counter[str] | None = None,
) -> list[Clip]:
    """Read clips of all four cameras, with projected or detected keypoints.

    Detections can be some frames longer or shorter than the poses. Such frames are left out, and
    their number is added to `left_out`.

    Raises:
      InputError: no cameras, a wrong layout, or a subject or action that only one file has.
    """
    if cameras is None:
        raise InputError("--videopose3d needs --cameras, the JSON of intrinsics and extrinsics.")
    positions = read_pickled_npz(path, "positions_3d")
    detected = None if detections is None else read_pickled_npz(detections, "positions_2d")
    clips = []
    for subject, actions in positions.items():
        views = read_cameras(cameras, subject)
        for name, world in actions.items():
            world = np.asarray(world, np.float64) * 1000.0
            if world.shape[1] == 32:
                world = world[:, OF_32]
            for index, view in enumerate(views):
                joints = world_to_camera(view, world)
                keypoints = project(view, world)
                if detected is not None:
                    keypoints = _detected(detected, subject, name, index, detections)
                    beyond = len(joints) - len(keypoints)
                    if left_out is not None and beyond:
                        reason = (
                            "pose without a detection" if beyond > 0 else "detection without a pose"
                        )
                        left_out[reason] += abs(beyond)
                    keypoints = keypoints[: len(joints)]
                clips.append(
                    Clip(
                        joints_mm=joints[: len(keypoints)],
                        keypoints=keypoints,
                        split=split_of(subject),
                        subject=subject,
                        action=re.sub(r" \d$", "", name),
                        camera=CAMERAS[index],
                        name=name,
                        fps=FPS,
                        image_wh=(WIDTH, HEIGHTS[index]),
                        view=view,
                    )
                )
    return clips


def read_cameras(path: Path, subject: str) -> list[Camera]:
    """Read the four cameras of a subject, in order.

    Raises:
      InputError: the JSON lacks one of them.
    """
    try:
        content = parse_json(read_text(path, SETTINGS))
        lenses, places = content["intrinsics"], content["extrinsics"]
        return [
            pinhole(
                lenses[name]["calibration_matrix"],
                places[subject][name]["R"],
                places[subject][name]["t"],
                lenses[name]["distortion"],
            )
            for name in CAMERAS
        ]
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: lacks a camera of {subject}: {error}") from error


def _detected(detected: dict, subject: str, name: str, index: int, path: Path | None) -> np.ndarray:
    try:
        return np.asarray(detected[subject][name][index])[..., :2]
    except (KeyError, IndexError) as error:
        hint = nearest(name, detected.get(subject, ()))
        raise InputError(f"{path}: has no camera {index} of {subject}, {name!r}.{hint}") from error
