"""Errors of head pose on rendered heads: faces of photographs, turned and found again.

    jaxpose convert face_landmark.tflite face-mesh
    jaxpose convert face_detection_short_range.tflite blazeface
    python -m tests.benchmarks.rendered_heads FOLDER --face face-mesh --detector blazeface

The mesh of a face (468 points with depth) is found in its photograph, whose pixels become the
surface. It is turned upright and frontal by the definition of the angles, then about known angles,
projected by a pinhole camera, and drawn on grey. In that image both networks look for the face
again, and `measure.head_pose` has to return the angles.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import Delaunay

from jaxpose.geometry import rotations
from jaxpose.geometry.rasterize import draw_triangles, empty_raster
from jaxpose.hub.load import load_detector, load_pose
from jaxpose.measure import head_pose
from jaxpose.media.image import read_image
from jaxpose.skeletons import FACEMESH468
from jaxpose.tasks.topdown.landmarks import FoundLandmarks, LandmarkPredictor
from jaxpose.viz import save_image

HW, FOCAL, DISTANCE = (480, 640), 640.0, 450.0  # pixels, pixels, millimetres
BETWEEN_EYES = 90.0  # millimetres between the outer corners
GREY = 128
RIGHT_EYE, LEFT_EYE, MOUTH = 33, 263, (61, 291)
YAWS, PITCHES, ROLLS = (-45, -30, -15, 0, 15, 30, 45), (-20, 0, 20), (0, 20)
TURNS = [(yaw, pitch, roll) for yaw in YAWS for pitch in PITCHES for roll in ROLLS]


def frontal(found: FoundLandmarks) -> np.ndarray:
    """Mesh `[468, 3]` in millimetres from the middle between the eyes, upright and frontal.

    The line of the eyes is the x axis, and that from the eyes to the mouth is in the plane of x and
    y, as all angles 0 are defined.
    """
    mesh = np.concatenate([found.keypoints[0], found.depth[0][:, None]], axis=1).astype(float)
    middle = mesh[[RIGHT_EYE, LEFT_EYE]].mean(axis=0)
    x = mesh[LEFT_EYE] - mesh[RIGHT_EYE]
    width = np.linalg.norm(x)
    x /= width
    y = mesh[list(MOUTH)].mean(axis=0) - middle
    y -= x * (x @ y)
    y /= np.linalg.norm(y)
    return (mesh - middle) @ np.stack([x, y, np.cross(x, y)], axis=1) * (BETWEEN_EYES / width)


def rendered(
    image: np.ndarray, texture: np.ndarray, mesh: np.ndarray, turn: tuple[int, int, int]
) -> np.ndarray:
    """Image uint8 `[H, W, 3]` of a mesh whose points have the pixels `texture` of `image`."""
    faces = Delaunay(mesh[:, :2]).simplices
    yaw, pitch, roll = turn
    rotation = rotations.matrix_from_euler(np.radians([-yaw, -pitch, roll]), "YXZ")
    points = mesh @ rotation.T + [0.0, 0.0, DISTANCE]
    centre = (np.array(HW[::-1]) - 1) / 2
    raster = empty_raster(HW, 2)
    depth = points[:, 2]
    draw_triangles(raster, FOCAL * points[:, :2] / depth[:, None] + centre, depth, faces, texture)
    drawn = cv2.remap(image, raster.values, None, cv2.INTER_LINEAR)
    return np.where(np.isfinite(raster.depth)[..., None], drawn, np.uint8(GREY))


def found_in(
    folder: Path, find: Callable[[np.ndarray], FoundLandmarks | None], out: Path | None
) -> np.ndarray:
    """Errors `[faces, turns, 3]` of yaw, pitch and roll in degrees, NaN where no face is found."""
    errors, tiles = [], []
    for path in sorted(folder.iterdir()):
        image = read_image(path)
        first = find(image)
        if first is None:
            print(f"{path.name}: no face")
            continue
        mesh, row = frontal(first), np.full((len(TURNS), 3), np.nan)
        for number, turn in enumerate(TURNS):
            view = rendered(image, first.keypoints[0], mesh, turn)
            if (again := find(view)) is not None:
                pose = head_pose(again.keypoints[0], FACEMESH468, HW, FOCAL)
                row[number] = np.array([pose.yaw, pose.pitch, pose.roll]) - turn
            if turn[1:] == (0, 0):
                tiles.append(cv2.resize(view, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
        errors.append(row)
    if out is not None:
        rows = np.reshape(tiles, (len(errors), -1, *tiles[0].shape))
        save_image(out, np.concatenate(np.concatenate(rows, axis=1), axis=1))
    return np.stack(errors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="photographs with one face each")
    parser.add_argument("--face", default="face-mesh")
    parser.add_argument("--detector", default="blazeface-short")
    parser.add_argument("--out", type=Path, help="sheet of the heads that were drawn")
    options = parser.parse_args()
    detector, trained = load_detector(options.detector), load_pose(options.face)
    predictor = LandmarkPredictor(
        trained.model, trained.variables, trained.codec, FACEMESH468.num_keypoints
    )

    def find(image: np.ndarray) -> FoundLandmarks | None:
        regions = detector([image])[0].regions
        return predictor(image, regions[:1]) if regions else None

    errors = found_in(options.folder, find, options.out)
    turns = np.array(TURNS)
    print(f"{len(errors)} faces, {errors.shape[1]} turns each; mean errors of yaw, pitch and roll")
    for yaw in sorted(set(abs(turns[:, 0]))):
        part = errors[:, abs(turns[:, 0]) == yaw].reshape(-1, 3)
        known = part[np.isfinite(part).all(axis=1)]
        print(f"yaw {yaw:2}: {np.abs(known).mean(axis=0).round(1)}, {len(known)} of {len(part)}")
    known = errors[np.isfinite(errors).all(axis=-1)]
    print(f"all: {np.abs(known).mean(axis=0).round(1)}, means {known.mean(axis=0).round(1)}")


if __name__ == "__main__":
    main()
