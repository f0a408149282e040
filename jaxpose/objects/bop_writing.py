"""Drawn objects as a BOP dataset: for tests, and to try out other tools."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.geometry.cameras import Camera
from jaxpose.geometry.pnp import project_points
from jaxpose.geometry.rasterize import render_depth
from jaxpose.geometry.rigid import RigidPose
from jaxpose.objects.depth_files import write_depth
from jaxpose.objects.drawn import drawn_objects
from jaxpose.objects.drawn_scenes import SAMPLED_AT, SyntheticObjects, draw_scene
from jaxpose.objects.model import ObjectModel
from jaxpose.objects.ply import PlyMesh, write_ply
from jaxpose.viz.files import save_image

_DEPTH_SCALE = 0.1  # mm of one unit


def write_drawn_bop(folder: Path, data: SyntheticObjects, split: str = "test") -> None:
    """Writes drawn images, poses, masks, depths and models in the layout of BOP, with one scene."""
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    info: dict[str, Any] = {}
    for model in drawn_objects():
        write_ply(
            models / f"obj_{model.id:06d}.ply", PlyMesh(model.vertices, model.faces, model.colors)
        )
        low, high = model.vertices.min(axis=0), model.vertices.max(axis=0)
        box = dict(zip(("min_x", "min_y", "min_z", "size_x", "size_y", "size_z"),
                       [*low, *(high - low)], strict=True))  # fmt: skip
        info[str(model.id)] = {"name": model.name, "diameter": model.diameter, **box, **model.info}
    (models / "models_info.json").write_text(json.dumps(info))
    scene = folder / split / "000001"
    for name in ("rgb", "mask_visib", "depth"):
        (scene / name).mkdir(parents=True, exist_ok=True)
    cameras: dict[str, Any] = {}
    truth: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for number in range(data.count):
        drawn = draw_scene(data.seed, number, data.canvas_hw, data.objects)
        save_image(scene / "rgb" / f"{number:06d}.png", drawn.image)
        write_depth(scene / "depth" / f"{number:06d}.png", drawn.depth, _DEPTH_SCALE)
        cameras[str(number)] = {
            "cam_K": drawn.camera.K.ravel().tolist(),
            "depth_scale": _DEPTH_SCALE,
        }
        truth[str(number)] = []
        facts[str(number)] = []
        for row, model in enumerate(drawn.objects):
            pose, seen = drawn.poses.take(row), drawn.owner == row
            mask = np.repeat(255 * seen[..., None].astype(np.uint8), 3, axis=-1)
            save_image(scene / "mask_visib" / f"{number:06d}_{row:06d}.png", mask)
            entry = {"obj_id": model.id, "cam_R_m2c": pose.R.ravel().tolist()}
            truth[str(number)].append(entry | {"cam_t_m2c": pose.t.tolist()})
            y, x = np.nonzero(seen) if seen.any() else (np.zeros(1, int), np.zeros(1, int))
            seen_box = [x.min(), y.min(), x.max() - x.min() + 1, y.max() - y.min() + 1]
            outline = project_points(pose, model.vertices, drawn.camera)
            corner, end = outline.min(axis=0), outline.max(axis=0)
            facts[str(number)].append(
                {
                    "bbox_obj": np.rint([*corner, *(end - corner)]).astype(int).tolist(),
                    "bbox_visib": [int(v) for v in seen_box],
                    **_pixel_counts(model, pose, drawn.camera, drawn.depth, seen),
                }
            )
    for name, content in (("camera", cameras), ("gt", truth), ("gt_info", facts)):
        (scene / f"scene_{name}.json").write_text(json.dumps(content))


def _pixel_counts(
    model: ObjectModel, pose: RigidPose, camera: Camera, depth: np.ndarray, seen: np.ndarray
) -> dict[str, Any]:
    """Pixels of an object as the BOP toolkit counts them.

    `px_count_all` are those of the whole silhouette, also outside the image and behind other
    objects; `px_count_valid` those inside the image that have a depth; `px_count_visib` those that
    are seen, and `visib_fract` is their share of all.
    """
    outline = project_points(pose, model.vertices, camera)
    low = np.floor(outline.min(axis=0)).astype(int) - 1
    width, height = np.ceil(outline.max(axis=0)).astype(int) + 2 - low
    # The silhouette is sampled where `draw_scene` samples the owners of pixels.
    shift = np.array([[1, 0, -SAMPLED_AT - low[0]], [0, 1, -SAMPLED_AT - low[1]], [0, 0, 1]])
    moved = camera._replace(K=shift @ camera.K, R=pose.R, t=pose.t)
    silhouette = render_depth(model.vertices, model.faces, moved, (int(height), int(width))) > 0
    y, x = np.nonzero(silhouette) + low[::-1, None]
    inside = (x >= 0) & (x < depth.shape[1]) & (y >= 0) & (y < depth.shape[0])
    every, visible = int(silhouette.sum()), int(seen.sum())
    return {
        "px_count_all": every,
        "px_count_valid": int((depth[y[inside], x[inside]] > 0).sum()),
        "px_count_visib": visible,
        "visib_fract": visible / every if every else 0.0,
    }
