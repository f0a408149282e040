"""Campus, Shelf and Panoptic: reprojection within the data's own error."""

import json

import numpy as np
import pytest

from jaxpose.geometry.cameras import project, world_to_camera
from jaxpose.multiview.calibration import Rig, read_panoptic, read_voxelpose
from jaxpose.multiview.triangulate import reprojection_errors, triangulate


def actors(folder) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each annotated person and frame: pixels `[V, 14, 2]` and points `[14, 3]` mm."""
    from scipy.io import loadmat

    content = loadmat(folder / "actorsGT.mat")
    found = []
    for flat, solid in zip(content["actor2D"].flat, content["actor3D"].flat, strict=True):
        for views, points in zip(flat.flat, solid.flat, strict=True):
            points = points.flat[0] if points.dtype == object else points
            if points.shape == (14, 3):
                pixels = np.stack([np.asarray(view, float) for view in views.flat])
                found.append((pixels, 1000.0 * points))
    return found


@pytest.mark.parametrize("name", ["campus", "shelf"])
def test_annotations_of_actors(shared, name):
    folder = shared / "data" / "samples" / name
    rig = read_voxelpose(folder / f"calibration_{name}.json")
    people = actors(folder)
    assert people
    for pixels, points in people:
        found = triangulate(rig.cameras, pixels)
        ours = reprojection_errors(rig.cameras, pixels, found)
        theirs = reprojection_errors(rig.cameras, pixels, points)
        # The published points are a compromise between the annotators of the views, too; a
        # hundredth of a pixel is what the printed calibration is good for.
        assert np.sqrt((ours**2).mean()) <= 1.05 * np.sqrt((theirs**2).mean()) + 0.01
        assert np.linalg.norm(found - points, axis=-1).mean() < 20


def panoptic(shared, scene: str, kind: str) -> tuple[Rig, list[np.ndarray]]:
    """Cameras, and the bodies of the published 3D skeletons, `[N, 3]` mm."""
    folder = shared / "data" / "samples" / "panoptic_body3d" / scene
    rig = read_panoptic(folder / f"calibration_{scene}.json", kind)
    bodies = []
    for path in sorted((folder / "hdPose3d_stage1_coco19").glob("*.json")):
        for body in json.loads(path.read_text())["bodies"]:
            joints = np.reshape(body["joints19"], (19, 4))
            bodies.append(10.0 * joints[joints[:, 3] > 0, :3])
    return rig, bodies


def opencv_pixels(rig: Rig, points: np.ndarray) -> np.ndarray:
    """`[V, N, 2]`: where OpenCV, which Panoptic was calibrated for, projects the points."""
    import cv2

    found = []
    for K, R, t, distortion in zip(*rig.cameras, strict=True):
        turn, _ = cv2.Rodrigues(R)
        found.append(cv2.projectPoints(points, turn, t, K, distortion)[0][:, 0])
    return np.stack(found)


@pytest.mark.parametrize("scene", ["160906_band1", "160906_band2"])
@pytest.mark.parametrize(("kind", "number"), [("hd", 31), ("vga", 479)])
def test_panoptic_views_agree(shared, scene, kind, number):
    """The sample has no 2D labels, so the published skeletons are seen through OpenCV's cameras."""
    rig, bodies = panoptic(shared, scene, kind)
    assert len(rig.names) == number and bodies
    width, height = rig.size_wh[0]
    for points in bodies:
        pixels = opencv_pixels(rig, points)
        inside = ((pixels >= 0) & (pixels <= [width - 1, height - 1])).all(axis=-1)
        inside &= world_to_camera(rig.cameras, points[None])[..., 2] > 0
        assert np.abs(project(rig.cameras, points[None]) - pixels)[inside].max() < 1e-6
        enough = inside.sum(axis=0) >= 2
        exact = triangulate(rig.cameras, pixels, inside.astype(float))
        assert np.abs(exact - points)[enough].max() < 1e-5
        found = triangulate(rig.cameras, np.round(pixels), inside.astype(float))
        errors = reprojection_errors(rig.cameras, np.round(pixels), found)
        # Pixels rounded to integers are 0.41 px off on average.
        assert np.sqrt((errors[inside & enough[None]] ** 2).mean()) < 0.45
        # Two neighbouring views alone leave the depth to those errors.
        assert np.median(np.linalg.norm(found - points, axis=-1)[enough]) < 5
