"""Datasets in the layout of BOP: models of objects, and images with their poses.

`models/models_info.json` and `models/obj_000001.ply`; in each scene of a split,
`scene_camera.json`, `scene_gt.json`, `scene_gt_info.json`, `rgb/` or `gray/`, `mask_visib/`, and
`depth/` where the depth was measured.
Lengths are millimetres, boxes (x, y, w, h) in pixels whose centres are at integers; see
https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxpose.data.canvas import Skip
from jaxpose.data.coco_json import read_json
from jaxpose.errors import InputError, nearest
from jaxpose.geometry.cameras import Camera, pinhole
from jaxpose.geometry.rigid import RigidPose
from jaxpose.objects.model import ObjectModel, diameter_of, signed_volume
from jaxpose.objects.ply import read_ply

NOT_NUMBERS = "pose, box or number that is damaged"
NO_IMAGE = "image that does not exist"
NO_MODEL = "object without a model"
MIRRORED = "rotation that mirrors or stretches"
TOO_NEAR = "object nearer to the camera than half its size (metres in place of millimetres?)"

# A model whose diameter differs more from that in models_info.json has another unit, or is another.
_DIAMETERS = 1.5
# No object of BOP is smaller; in metres, all are.
_SMALLEST = 5.0
# Share of the volume of the box around a model below which its faces look inwards.
_INSIDE_OUT = -0.01


@dataclass(frozen=True)
class BopObject:
    """One annotated object in an image.

    Attributes:
      row: its place in the annotations of the image, which its masks are named by.
      object_id: number of its model.
      pose: in the camera's frame, mm.
      box_xywh: `[4]` around the whole object, or around what is seen of it where that is unknown.
      visible: share of its pixels that are seen; NaN where unknown.
      mask: path of the mask of what is seen; may not exist.
    """

    row: int
    object_id: int
    pose: RigidPose
    box_xywh: np.ndarray
    visible: float
    mask: Path


@dataclass(frozen=True)
class BopImage:
    """One image of a scene.

    Attributes:
      scene_id, image_id: numbers in the dataset.
      path: the image file.
      camera: in whose frame the poses are.
      objects: annotated objects; none in the test images of a challenge.
      depth: path of its depth image, or None where there is none.
      depth_scale: mm of one unit of the depth image.
    """

    scene_id: int
    image_id: int
    path: Path
    camera: Camera
    objects: tuple[BopObject, ...]
    depth: Path | None = None
    depth_scale: float = 1.0

    @property
    def key(self) -> int:
        """Number that is unique in a split."""
        return 1_000_000 * self.scene_id + self.image_id


def read_models(folder: Path) -> dict[int, ObjectModel]:
    """Reads the models of a folder with `models_info.json`, by number.

    Raises:
      InputError: no folder, no models, a model that is damaged, in metres, mirrored, or not the one
        of `models_info.json`.
    """
    info_file = folder / "models_info.json"
    if not info_file.is_file():
        raise InputError(
            f"{folder} has no models_info.json. A BOP dataset has its models in a folder such as "
            "models or models_eval; download NAME_models.zip and unpack it beside the images."
        )
    content = read_json(info_file)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{info_file} is not an object with an entry for each model.")
    return {
        model.id: model
        for model in (_model(folder, info_file, *entry) for entry in content.items())
    }


def _model(folder: Path, info_file: Path, number: str, info: Any) -> ObjectModel:
    if not number.isdecimal() or not isinstance(info, dict):
        raise InputError(f"{info_file}: {number!r} is not the number of a model with its entry.")
    path = folder / f"obj_{int(number):06d}.ply"
    mesh = read_ply(path)
    measured = diameter_of(mesh.vertices)
    stated = info.get("diameter", measured)
    if not isinstance(stated, int | float) or not 0 < stated < np.inf:
        raise InputError(f"{info_file}: the diameter of model {number} is {stated!r}.")
    if measured <= 0 or not 1 / _DIAMETERS < measured / stated < _DIAMETERS:
        ratio = stated / measured if measured > 0 else 0
        metres = " The model is in metres: multiply it by 1000." if 800 < ratio < 1250 else ""
        raise InputError(
            f"{path} has a diameter of {measured:.4g} mm, and {info_file.name} says {stated:.4g}."
            f"{metres}"
        )
    if measured < _SMALLEST:
        raise InputError(
            f"{path} has a diameter of {measured:.3g} mm: are its lengths in metres? Multiply them "
            "by 1000, in models_info.json too."
        )
    if len(mesh.faces):
        box = float(np.prod(np.ptp(mesh.vertices, axis=0)))
        if signed_volume(mesh.vertices, mesh.faces) < _INSIDE_OUT * box:
            raise InputError(
                f"{path} is mirrored or inside out: its faces are clockwise from outside. Export "
                "it without the mirroring of an axis, or exchange two corners of each face."
            )
    name = str(info.get("name", f"object {int(number)}"))
    try:
        model = ObjectModel(
            int(number), name, mesh.vertices, mesh.faces, mesh.colors, float(stated), info
        )
        _ = model.symmetries  # wrong entries are refused here
    except (InputError, TypeError) as error:
        raise InputError(f"{info_file}: model {number}: {error}.") from error
    return model


def read_split(
    dataset: Path, split: str, models: Mapping[int, ObjectModel]
) -> tuple[list[BopImage], list[Skip]]:
    """Reads the images of a split with their objects, and lists what cannot be used.

    Args:
      dataset: folder of the dataset.
      split: name of the split's folder, such as `test` or `train_pbr`.
      models: see `read_models`; objects without a model are skipped.

    Raises:
      InputError: no such split, a scene without its files, or a negative focal length.
    """
    folder = dataset / split
    if not folder.is_dir():
        there = (
            sorted(path.name for path in dataset.iterdir() if path.is_dir())
            if dataset.is_dir()
            else []
        )
        raise InputError(
            f"{dataset} has no split {split!r}.{nearest(split, there)} Folders: {', '.join(there)}."
        )
    scenes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.isdecimal())
    if not scenes:
        raise InputError(f"{folder} has no scenes, which are folders such as 000001.")
    images: list[BopImage] = []
    skips: list[Skip] = []
    for scene in scenes:
        cameras = _entries(scene / "scene_camera.json")
        truth = _entries(scene / "scene_gt.json") if (scene / "scene_gt.json").exists() else {}
        facts_file = scene / "scene_gt_info.json"
        facts = _entries(facts_file) if facts_file.exists() else {}
        for number, entry in sorted(cameras.items()):
            who = f"image {number} of scene {scene.name}"
            path = _image_path(scene, number)
            if path is None:
                skips.append(Skip(NO_IMAGE, who))
                continue
            camera = _camera(scene, number, entry)
            objects = []
            rows, more = (_list(table.get(number)) for table in (truth, facts))
            for row, annotation in enumerate(rows):
                fact = more[row] if row < len(more) else {}
                try:
                    objects.append(_object(scene, number, row, annotation, fact, models))
                except _Unusable as unusable:
                    skips.append(Skip(str(unusable), f"object {row} of {who}"))
                except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
                    skips.append(Skip(NOT_NUMBERS, f"object {row} of {who}"))
            images.append(
                BopImage(
                    int(scene.name),
                    number,
                    path,
                    camera,
                    tuple(objects),
                    _image_path(scene, number, ("depth",)),
                    _depth_scale(scene, number, entry),
                )
            )
    return images, skips


class _Unusable(Exception):
    """Error with the reason why an object is skipped."""


def _object(
    scene: Path,
    number: int,
    row: int,
    annotation: Any,
    fact: Any,
    models: Mapping[int, ObjectModel],
) -> BopObject:
    object_id = int(annotation["obj_id"])
    if object_id not in models:
        raise _Unusable(NO_MODEL)
    R = np.array(annotation["cam_R_m2c"], np.float64).reshape(3, 3)
    t = np.array(annotation["cam_t_m2c"], np.float64).reshape(3)
    if not (np.isfinite(R).all() and np.isfinite(t).all()):
        raise _Unusable(NOT_NUMBERS)
    if np.abs(R @ R.T - np.eye(3)).max() > 5e-3 or np.linalg.det(R) < 0:
        raise _Unusable(MIRRORED)
    if t[2] < 0.5 * models[object_id].diameter:
        raise _Unusable(TOO_NEAR)
    box = fact.get("bbox_obj", fact.get("bbox_visib"))
    visible = float(fact.get("visib_fract", np.nan))
    if box is None:
        box = (np.nan,) * 4
    mask = scene / "mask_visib" / f"{number:06d}_{row:06d}.png"
    return BopObject(
        row, object_id, RigidPose(R, t), np.array(box, np.float64).reshape(4), visible, mask
    )


def _camera(scene: Path, number: int, entry: Any) -> Camera:
    try:
        K = np.array(entry["cam_K"], np.float64).reshape(3, 3)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{scene / 'scene_camera.json'}: image {number} has no cam_K of nine numbers."
        ) from error
    try:
        return pinhole(K, np.eye(3), np.zeros(3))
    except InputError as error:
        raise InputError(f"{scene / 'scene_camera.json'}: image {number}: {error}.") from error


def _depth_scale(scene: Path, number: int, entry: Any) -> float:
    scale = entry.get("depth_scale", 1.0)
    if not isinstance(scale, int | float) or not 0 < scale < np.inf:
        raise InputError(
            f"{scene / 'scene_camera.json'}: image {number}: depth_scale is {scale!r}, and must be "
            "a positive number of mm."
        )
    return float(scale)


def _image_path(
    scene: Path, number: int, folders: tuple[str, ...] = ("rgb", "gray")
) -> Path | None:
    places = (
        scene / folder / f"{number:06d}.{ending}"
        for folder in folders
        for ending in ("png", "jpg", "tif")
    )
    return next((path for path in places if path.is_file()), None)


def _entries(path: Path) -> dict[int, Any]:
    content = read_json(path)
    if not isinstance(content, dict) or not all(key.isdecimal() for key in content):
        raise InputError(f"{path} is not an object with an entry for each image's number.")
    return {int(key): value for key, value in content.items()}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
