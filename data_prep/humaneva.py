"""Preparation of HumanEva-I with ground-truth 2D as a motion dataset (`jaxpose.data.motion`).

    jaxpose prepare humaneva --source humaneva15_flat_nopickle.npz --out data/humaneva.npz

The source contains, for each sequence i, `p3d_i [T, 15, 3]` in metres in the laboratory's frame and
`p2d_i [3, T, 15, 2]` in pixels of the cameras C1 to C3, and their `names`, such as
`Validate/S1|Walking 1 chunk2`: split, subject, action, trial, and the run of frames between two
failures of the motion capture. Every sequence becomes three clips, one per camera.

The positions of the cameras are from the dataset's calibration: the numbers below are the
orientations (unit quaternions w, x, y, z, camera to laboratory) and positions (mm) in VideoPose3D's
repository. The source does not contain the lenses. Focal lengths, principal points and two terms of
radial distortion are fitted, by least squares over all frames of a subject, so that the projected
joints are nearest to the given pixels. The summary reports the remaining error in pixels.

The published protocol trains on split `train` of S1, S2, S3 and tests on their `validate`.
"""

import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from jaxpose.convert.npz import read_npz
from jaxpose.data.motion import Clip, MotionSummary, motion_of, write_motion
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, pinhole, project, world_to_camera
from jaxpose.skeletons import HUMANEVA15

IMAGE_WH = (640, 480)
FPS = 60.0
_ROUNDS = 8
_FIRST_AND_THIRD = (
    ((0.424207, -0.4983646, -0.5802981, 0.4847012), (4062.227, 663.2477, 1528.397)),
    ((0.6503354, -0.7481602, -0.0919284, 0.0941766), (844.8131, -3805.2092, 1504.9929)),
    ((0.0664734, -0.0690535, 0.7416416, -0.6639132), (-797.67377, 3916.3174, 1433.6602)),
)
_SECOND = (
    ((0.4214752, -0.4961493, -0.5838273, 0.4851187), (4112.9121, 626.4929, 1545.2988)),
    ((0.6501393, -0.7476588, -0.0954617, 0.0959808), (923.5740, -3877.9243, 1504.5518)),
    ((0.0699353, -0.0712403, 0.7421637, -0.662742), (-781.4915, 3838.8853, 1444.9929)),
)
PLACES = {"S1": _FIRST_AND_THIRD, "S2": _SECOND, "S3": _FIRST_AND_THIRD}
_NAME = re.compile(r"(?P<split>\w+)/(?P<subject>S\d+)\|(?P<action>\w+) (?P<rest>\d+ chunk\d+)")


def prepare(
    source: Annotated[Path, typer.Option(help="The .npz file with p3d_i, p2d_i and names.")],
    out: Annotated[Path, typer.Option(help="Motion dataset to write (.npz).")],
) -> MotionSummary:
    """Prepare HumanEva-I with 15 joints and three cameras."""
    sequences = read_sequences(source)
    views: dict[tuple[str, int], Camera] = {}
    notes = []
    for subject in sorted({s["subject"] for s in sequences}):
        own = [s for s in sequences if s["subject"] == subject]
        joints = np.concatenate([s["joints"] for s in own])
        for index in range(3):
            pixels = np.concatenate([s["pixels"][index] for s in own])
            views[subject, index], error = fit_lens(*PLACES[subject][index], joints, pixels)
            notes.append(f"{subject} C{index + 1}: projected joints are {error:.2f} px RMS away")
    clips = [
        Clip(
            joints_mm=world_to_camera(views[s["subject"], index], s["joints"]),
            keypoints=s["pixels"][index],
            split=s["split"].lower(),
            subject=s["subject"],
            action=s["action"],
            camera=f"C{index + 1}",
            name=f"{s['action']} {s['rest']}",
            fps=FPS,
            image_wh=IMAGE_WH,
            view=views[s["subject"], index],
        )
        for s in sequences
        for index in range(3)
    ]
    motion = motion_of(HUMANEVA15, clips)
    write_motion(out, motion)
    return MotionSummary.of(motion, notes)


def read_sequences(source: Path) -> list[dict]:
    """Read all sequences, each as a dictionary.

    The keys are split, subject, action, rest (of the name), `joints [T, 15, 3]` in mm and `pixels
    [3, T, 15, 2]`.

    Raises:
      InputError: the file does not have this layout.
    """
    try:
        file = read_npz(source)
        names = [str(name) for name in file["names"].reshape(-1)]
    except (ValueError, KeyError) as error:
        raise InputError(f"{source}: not a flat HumanEva-I file: {error}") from error
    sequences = []
    for i, name in enumerate(names):
        parts = _NAME.fullmatch(name)
        if not parts or parts["subject"] not in PLACES:
            raise InputError(
                f"{source}: sequence {i} has the name {name!r}; names must be like 'Train/S1|Box 1 "
                "chunk3', with the subjects S1, S2 and S3."
            )
        keys = f"p3d_{i:03d}", f"p2d_{i:03d}"
        if missing := [key for key in keys if key not in file]:
            raise InputError(f"{source}: {name!r} lacks {missing[0]}.")
        joints, pixels = (file[key] for key in keys)
        if joints.shape[1:] != (15, 3) or pixels.shape != (3, len(joints), 15, 2):
            raise InputError(
                f"{source}: {name!r} has joints {list(joints.shape)} and pixels "
                f"{list(pixels.shape)}; they have to be [T, 15, 3] and [3, T, 15, 2]."
            )
        sequences.append({**parts.groupdict(), "joints": joints * 1000.0, "pixels": pixels})
    return sequences


def fit_lens(
    quaternion: tuple[float, ...], place: tuple[float, ...], joints: np.ndarray, pixels: np.ndarray
) -> tuple[Camera, float]:
    """Fit the lens of a camera at a known position; return the camera and the error in pixels RMS.

    Args:
      quaternion: orientation (w, x, y, z), camera to world.
      place: position of the optical centre in mm.
      joints: `[N, K, 3]` in mm in the world's frame.
      pixels: `[N, K, 2]`.
    """
    R = _rotation(np.asarray(quaternion)).T
    t = -R @ np.asarray(place)
    points = joints.reshape(-1, 3).astype(np.float64) @ R.T + t
    image, target = points[:, :2] / points[:, 2:], pixels.reshape(-1, 2).astype(np.float64)
    lens = _fit_radial(image, target)
    K = np.array([[lens[0], 0, lens[2]], [0, lens[1], lens[3]], [0, 0, 1]])
    camera = pinhole(K, R, t, lens[4:])
    error = project(camera, joints.reshape(-1, 3).astype(np.float64)) - target
    return camera, float(np.sqrt((error**2).sum(axis=-1).mean()))


def _fit_radial(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Fit fx, fy, cx, cy, k1, k2 by Gauss-Newton, from image points to pixels, both `[N, 2]`."""
    square = (image**2).sum(axis=-1)
    zero, one = np.zeros(len(image)), np.ones(len(image))
    lens = np.array([*target.std(axis=0) / image.std(axis=0), *target.mean(axis=0), 0.0, 0.0])
    for _ in range(_ROUNDS):
        radial = 1 + lens[4] * square + lens[5] * square**2
        bent = image * radial[:, None]
        slope_x = np.stack([bent[:, 0], zero, one, zero], axis=1)
        slope_y = np.stack([zero, bent[:, 1], zero, one], axis=1)
        curves = np.stack([square, square**2], axis=1)
        design = [
            np.concatenate([slope, lens[axis] * image[:, axis, None] * curves], axis=1)
            for axis, slope in enumerate((slope_x, slope_y))
        ]
        off = target - bent * lens[:2] - lens[2:4]
        step, *_ = np.linalg.lstsq(np.concatenate(design), off.T.reshape(-1), rcond=None)
        lens = lens + step
    return lens


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    """Rotation matrix `[3, 3]` of a quaternion (w, x, y, z)."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    v = np.array([x, y, z])
    crossed = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return (w * w - v @ v) * np.eye(3) + 2 * np.outer(v, v) + 2 * w * crossed
