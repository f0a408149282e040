"""Objects of a BOP dataset as samples for training and evaluation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from jaxpose import geometry
from jaxpose.data.canvas import Skip
from jaxpose.data.source import Batch, check_indices
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera
from jaxpose.geometry.pnp import project_points
from jaxpose.geometry.symmetries import canonical_pose
from jaxpose.media.image import read_image
from jaxpose.objects.bop import BopImage, BopObject, read_models, read_split
from jaxpose.objects.model import ObjectModel
from jaxpose.paths import as_path
from jaxpose.skeletons import OBJECT9, Skeleton

# Factor from an object's box to its canvas; the most that augmentation uses.
_MARGIN = 1.875


@dataclass(frozen=True)
class BopObjects:
    """Objects of one split of a BOP dataset, one per sample.

    Attributes:
      path: folder of the dataset, which holds the models and the splits.
      split: folder of the split, such as `train_pbr`.
      models: folder of the models: `models`, or `models_eval` for the figures of the challenge.
      objects: numbers of the objects that are used; empty for all.
      min_visible: least share of an object that is seen; fewer are left out.
      canvas_hw: size to which the surroundings of each object are cut.
    """

    path: str
    split: str
    models: str = "models"
    objects: tuple[int, ...] = ()
    min_visible: float = 0.1
    canvas_hw: tuple[int, int] = (256, 256)

    def open(self) -> "BopObjectSource":
        """Open the split; raises as `objects.bop.read_models` and `read_split`."""
        return BopObjectSource(self)


class BopObjectSource:
    """Opened `BopObjects`; batches as of `objects.drawn_scenes.SyntheticObjectSource`.

    Attributes:
      models: by number.
      skips: what was left out, by reason.
    """

    def __init__(self, data: BopObjects):
        """Raises InputError if the split has no usable object."""
        folder = as_path(data.path)
        self.data = data
        known = read_models(folder / data.models)
        missing = sorted(set(data.objects) - set(known))
        if missing:
            raise InputError(f"{folder / data.models} has no model {missing[0]}: {sorted(known)}.")
        self.models: dict[int, ObjectModel] = {
            number: model
            for number, model in known.items()
            if not data.objects or number in data.objects
        }
        images, self.skips = read_split(folder, data.split, known)
        self.rows: list[tuple[BopImage, BopObject]] = []
        for image in images:
            for each in image.objects:
                if each.object_id not in self.models:
                    continue
                if each.visible < data.min_visible:
                    who = f"object {each.row} of image {image.image_id} of scene {image.scene_id}"
                    self.skips.append(Skip("seen too little", who, fault=False))
                    continue
                self.rows.append((image, each))
        if not self.rows:
            raise InputError(f"{folder / data.split} has no object that is seen.")

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self.data.canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return OBJECT9

    def __len__(self) -> int:
        return len(self.rows)

    def fingerprint(self) -> str:
        """Identifies the content: the settings, and all poses."""
        digest = hashlib.sha256(repr(self.data).encode())
        for image, each in self.rows:
            digest.update(f"{image.key} {each.row} {each.object_id}".encode())
            digest.update(np.concatenate([each.pose.R.ravel(), each.pose.t]).tobytes())
        return f"bop-{digest.hexdigest()[:16]}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        wanted = check_indices(indices, len(self))
        rows = [self._sample(int(index)) for index in wanted]
        batch = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        return {**batch, "index": wanted, "mask": np.ones(len(wanted), bool)}

    def _sample(self, index: int) -> dict[str, np.ndarray]:
        image, each = self.rows[index]
        model = self.models[each.object_id]
        pixels = read_image(image.path)
        box = object_box(each, model, image.camera)
        size = self.data.canvas_hw
        matrix = geometry.box_crop_matrix(box[None], size, padding=_MARGIN, udp=False)[0]
        K = np.concatenate([matrix, [[0, 0, 1]]]) @ image.camera.K
        camera = Camera(K, image.camera.R, image.camera.t, image.camera.distortion)
        keypoints = project_points(
            canonical_pose(each.pose, model.symmetries), model.keypoints, camera
        )
        corners = geometry.apply_affine(matrix, np.array([box[:2], box[:2] + box[2:]]))
        return {
            "image": geometry.crop_image(pixels, matrix, size),
            "keypoints": keypoints.astype(np.float32),
            "visible": np.full(len(keypoints), 2, np.uint8),
            "box_xywh": np.concatenate([corners[0], corners[1] - corners[0]]).astype(np.float32),
            "photo_from_canvas": geometry.invert_affine(matrix).astype(np.float32),
            "area": np.float32(box[2] * box[3]),
            "image_id": np.int64(image.key),
            "annotation_id": np.int64(index),
            "object_mask": self._mask(each, pixels.shape[:2], matrix),
            "object_id": np.int32(each.object_id),
            "R": each.pose.R,
            "t": each.pose.t,
            "K": K,
        }

    def _mask(self, each: BopObject, image_hw: tuple[int, int], matrix: np.ndarray) -> np.ndarray:
        height, width = self.data.canvas_hw
        if not each.mask.is_file():
            raise InputError(
                f"{each.mask} does not exist; a BOP dataset has the masks of what is seen of each "
                "object in mask_visib."
            )
        mask = read_image(each.mask)[..., 0]
        if mask.shape != tuple(image_hw):
            raise InputError(f"{each.mask} is {mask.shape}, and its image {tuple(image_hw)}.")
        return cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST)


def object_box(each: BopObject, model: ObjectModel, camera: Camera) -> np.ndarray:
    """Box `[4]` (x, y, w, h) around a whole object, also where the dataset has none."""
    if np.isfinite(each.box_xywh).all() and (each.box_xywh[2:] > 0).all():
        return each.box_xywh
    outline = project_points(each.pose, model.points, camera)
    low, high = outline.min(axis=0), outline.max(axis=0)
    return np.concatenate([low, np.maximum(high - low, 1.0)])
