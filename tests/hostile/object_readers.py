"""Rows of the table for files of objects: meshes, models, scenes and results of BOP."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.objects.bop import read_models, read_split
from jaxpose.objects.bop_results import read_bop_results
from jaxpose.objects.model import ObjectModel
from jaxpose.objects.ply import PlyMesh, read_ply, write_ply
from tests.hostile.reader import Files, Reader

_VERTICES = np.array([[x, y, z] for x in (0, 60) for y in (0, 50) for z in (0, 40)], float)
_FACES = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1],
                   [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]])  # fmt: skip
_TEXT = (
    "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
    "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
    "0 0 0\n9 0 0\n0 9 1\n3 0 1 2\n"
)


def _binary() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ply"
        write_ply(path, PlyMesh(_VERTICES, _FACES, np.full(_VERTICES.shape, 90, np.uint8)))
        return path.read_bytes()


def _meshes() -> list[Files]:
    return [{"a.ply": _binary()}, {"a.ply": _TEXT.encode()}]


_INFO = (
    '{"1": {"diameter": 87.7, "min_x": 0, "min_y": 0, "min_z": 0, "size_x": 60, "size_y": 50, '
    '"size_z": 40, "name": "block", "symmetries_discrete": '
    "[[-1, 0, 0, 60, 0, -1, 0, 50, 0, 0, 1, 0, 0, 0, 0, 1]], "
    '"symmetries_continuous": [{"axis": [0, 0, 1], "offset": [30, 25, 0]}]}}'
)


def _models() -> list[Files]:
    return [{"models_info.json": _INFO.encode(), "obj_000001.ply": _binary()}]


_CAMERA = '{"cam_K": [500, 0, 32, 0, 500, 24, 0, 0, 1], "depth_scale": 1.0}'
_POSE = '{"cam_R_m2c": [1, 0, 0, 0, 1, 0, 0, 0, 1], "cam_t_m2c": [1, 2, 700], "obj_id": 1}'
_FACT = '{"bbox_obj": [1, 2, 30, 40], "bbox_visib": [1, 2, 30, 40], "visib_fract": 0.9}'


def scene_files() -> list[Files]:
    files = {
        "scene_camera.json": '{"7": ' + _CAMERA + "}",
        "scene_gt.json": '{"7": [' + _POSE + ", " + _POSE + "]}",
        "scene_gt_info.json": '{"7": [' + _FACT + ", " + _FACT + "]}",
    }
    # Each of the three documents is changed in turn.
    names = list(files)
    orders = [[names[i], *(n for n in names if n != names[i])] for i in range(3)]
    return [{name: files[name].encode() for name in order} for order in orders]


def scenes_through(folder: Path, read: Callable[[Path, str, str, float], Any]) -> Any:
    """Result of `read(dataset, split, models, least visible share)` for the files of a scene."""
    with tempfile.TemporaryDirectory() as dataset:
        scene = Path(dataset) / "test/000003"
        (scene / "rgb").mkdir(parents=True)
        (scene / "rgb/000007.png").touch()  # not opened here
        for path in folder.iterdir():
            shutil.copy(path, scene)
        models = Path(dataset) / "models"
        models.mkdir()
        (models / "models_info.json").write_text(_INFO)
        (models / "obj_000001.ply").write_bytes(_binary())
        return read(Path(dataset), "test", "models", 0.1)


_BLOCK = {1: ObjectModel(1, "block", _VERTICES, _FACES, None, 87.7, {})}


def _results() -> list[Files]:
    row = "3,7,1,0.5,1 0 0 0 1 0 0 0 1,1 2 700,-1\n"
    return [{"a.csv": ("scene_id,im_id,obj_id,score,R,t,time\n" + 4 * row).encode()}]


OBJECT_READERS: tuple[Reader, ...] = (
    Reader(
        "PLY", lambda f: read_ply(f / "a.ply"), _meshes, lambda mesh: len(mesh.faces) in (1, 12)
    ),
    Reader("BOP models", read_models, _models, lambda models: models[1].name == "block"),
    Reader(
        "BOP scenes",
        lambda folder: scenes_through(
            folder, lambda dataset, split, *_: read_split(dataset, split, _BLOCK)
        ),
        scene_files,
        lambda found: len(found[0][0].objects) == 2 and not found[1],
    ),
    Reader(
        "BOP results",
        lambda folder: read_bop_results(folder / "a.csv"),
        _results,
        lambda rows: len(rows) == 4 and rows[0].pose.t[2] == 700,
    ),
)
