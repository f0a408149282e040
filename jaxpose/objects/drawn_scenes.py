"""Images of the drawn objects with their poses, masks and depths, for training and tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from jaxpose.data.source import Batch, check_indices
from jaxpose.data.synthetic.background import smooth_noise
from jaxpose.data.synthetic.drawing import degrade
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, centred_camera, look_at
from jaxpose.geometry.pnp import project_points
from jaxpose.geometry.rasterize import Raster, draw_triangles, empty_raster
from jaxpose.geometry.rigid import RigidPose, apply_pose
from jaxpose.geometry.symmetries import canonical_pose
from jaxpose.geometry.triangles import vertex_normals
from jaxpose.objects.drawn import drawn_objects
from jaxpose.objects.model import ObjectModel
from jaxpose.skeletons import OBJECT9, Skeleton

RENDERER_VERSION = 1
"""Part of every fingerprint: raised whenever a (seed, index) gives other pixels or labels."""

_FOCAL = 2.4  # in sides of the image: a view of 24 degrees
_ZOOM = 2  # enlargement while drawing; averaging down makes edges smooth

SAMPLED_AT = 0.5 / _ZOOM - 0.5
"""Place in a pixel, from its centre, at which its owner and depth are drawn, in x and y."""


class Scene(NamedTuple):
    """Image of several objects, the first of which is to be found.

    Attributes:
      image: uint8 `[H, W, 3]`.
      depth: `[H, W]` mm along the camera's axis, 0 where only the background is.
      owner: int `[H, W]`, place in `poses` of the object in each pixel, -1 for none.
      objects: models, in the order of the poses.
      poses: `[N]` poses.
      camera: the camera, whose frame is that of the poses.
    """

    image: np.ndarray
    depth: np.ndarray
    owner: np.ndarray
    objects: tuple[ObjectModel, ...]
    poses: RigidPose
    camera: Camera


@dataclass(frozen=True)
class SyntheticObjects:
    """Images of drawn objects whose poses are known: sample i is a pure function of (seed, i).

    Attributes:
      count: number of samples.
      seed: seed of the set; sets of different seeds are unrelated.
      canvas_hw: height and width of the images in pixels.
      objects: numbers of the objects to find, 1 to 5; the others may hide them.
    """

    count: int
    seed: int
    canvas_hw: tuple[int, int] = (160, 160)
    objects: tuple[int, ...] = (1, 2, 3, 4, 5)

    def open(self) -> "SyntheticObjectSource":
        return SyntheticObjectSource(self)


class SyntheticObjectSource:
    """Opened `SyntheticObjects`; see `data.source.Source`.

    A batch also has object_mask uint8 `[B, H, W]` (255 where the object is seen), object_id int32
    `[B]`, R `[B, 3, 3]` and t `[B, 3]` mm of the object in the camera's frame, and K `[B, 3, 3]` of
    the canvas. Keypoints are those of the pose that is `canonical_pose` of the symmetric ones.

    Attributes:
      models: the objects to find, by number.
    """

    def __init__(self, data: SyntheticObjects):
        """Raises InputError for a count below 1, a negative seed, other objects or small images."""
        known = {model.id for model in drawn_objects()}
        if data.count < 1 or data.seed < 0 or min(data.canvas_hw) < 32:
            raise InputError(
                "Drawn objects need count >= 1, seed >= 0 and images of at least 32 pixels; got "
                f"count={data.count}, seed={data.seed}, canvas_hw={data.canvas_hw}."
            )
        if not data.objects or set(data.objects) - known:
            raise InputError(f"Drawn objects have the numbers {sorted(known)}: {data.objects}.")
        self.data = data
        self.models = {model.id: model for model in drawn_objects() if model.id in data.objects}

    @property
    def canvas_hw(self) -> tuple[int, int]:
        return self.data.canvas_hw

    @property
    def skeleton(self) -> Skeleton:
        return OBJECT9

    def __len__(self) -> int:
        return self.data.count

    def fingerprint(self) -> str:
        """Identifies the content: renderer version, seed, number, size and objects."""
        data = self.data
        height, width = data.canvas_hw
        chosen = "".join(map(str, data.objects))
        return f"objects-v{RENDERER_VERSION}-seed{data.seed}-{data.count}-{height}x{width}-{chosen}"

    def samples(self, indices: Sequence[int] | np.ndarray) -> Batch:
        wanted = check_indices(indices, len(self))
        rows = [self._sample(int(index)) for index in wanted]
        batch = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        return {**batch, "index": wanted, "mask": np.ones(len(wanted), bool)}

    def _sample(self, index: int) -> dict[str, np.ndarray]:
        data = self.data
        scene = draw_scene(data.seed, index, data.canvas_hw, data.objects)
        model, pose = scene.objects[0], scene.poses.take(0)
        keypoints = project_points(
            canonical_pose(pose, model.symmetries), model.keypoints, scene.camera
        )
        outline = project_points(pose, model.vertices, scene.camera)
        limit = np.array(data.canvas_hw[::-1]) - 1
        low, high = (np.clip(edge, 0, limit) for edge in (outline.min(axis=0), outline.max(axis=0)))
        seen = scene.owner == 0
        return {
            "image": scene.image,
            "keypoints": keypoints.astype(np.float32),
            "visible": np.full(len(keypoints), 2, np.uint8),
            "box_xywh": np.concatenate([low, high - low]).astype(np.float32),
            "photo_from_canvas": np.eye(2, 3, dtype=np.float32),
            "area": np.float32(np.prod(high - low)),
            "image_id": np.int64(index),
            "annotation_id": np.int64(index),
            "object_mask": 255 * seen.astype(np.uint8),
            "object_id": np.int32(model.id),
            "R": pose.R,
            "t": pose.t,
            "K": scene.camera.K,
        }


def draw_scene(seed: int, index: int, image_hw: tuple[int, int], chosen: tuple[int, ...]) -> Scene:
    """Draws an image of one to three objects; the first is one of `chosen`.

    It is seen from above by 10 to 80 degrees, 0.5 to 0.9 m away, turned by up to 30 degrees about
    the camera's axis, with a light from any side; another one may hide a part of it.
    """
    rng = np.random.default_rng([20, seed, index])
    height, width = image_hw
    camera = centred_camera(_FOCAL * max(image_hw), image_hw)
    models = {model.id: model for model in drawn_objects()}
    first = models[int(rng.choice(chosen))]
    others = [models[int(number)] for number in rng.choice(list(models), rng.integers(0, 3))]
    pose = _pose(rng, (0.0, 0.0), rng.uniform(500, 900))
    poses = [pose]
    for other in others:
        # Beside the first one, behind it or in front of it.
        angle = rng.uniform(0, 2 * np.pi)
        away = 0.5 * rng.uniform(0.75, 1.2) * (first.diameter + other.diameter)
        depth = pose.t[2] + rng.uniform(-120, 150)
        poses.append(_pose(rng, (away * np.cos(angle), away * np.sin(angle)), depth))
    objects = (first, *others)
    light = rng.normal(size=3)
    light[2] = -abs(light[2]) - 0.5
    light /= np.linalg.norm(light)
    raster = empty_raster((height * _ZOOM, width * _ZOOM), 4)
    strength = rng.uniform(0.3, 0.7)
    for number, (model, place) in enumerate(zip(objects, poses, strict=True)):
        _draw(raster, model, place, camera, light, strength, number)
    depth = raster.depth.reshape(height, _ZOOM, width, _ZOOM)
    near = np.isfinite(depth).astype(np.float64)
    values = raster.values.reshape(height, _ZOOM, width, _ZOOM, 4)
    share = near.mean(axis=(1, 3))[..., None]
    backdrop = smooth_noise(rng, image_hw, rng.uniform(0.3, 1.2)).astype(np.float64)
    backdrop *= rng.uniform(0.5, 1.2, 3)
    image = backdrop * (1 - share) + values[..., :3].mean(axis=(1, 3))
    image = degrade(rng, np.clip(np.rint(image), 0, 255).astype(np.uint8))
    centre = np.where(near[:, 0, :, 0] > 0, depth[:, 0, :, 0], 0.0)
    owner = np.where(centre > 0, np.rint(values[:, 0, :, 0, 3]) - 1, -1).astype(int)
    poses_ = RigidPose(np.stack([p.R for p in poses]), np.stack([p.t for p in poses]))
    return Scene(image, centre, owner, objects, poses_, camera)


def _pose(rng: np.random.Generator, beside: tuple[float, float], depth: float) -> RigidPose:
    bearing, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(10, 80))
    direction = np.array(
        [np.cos(bearing) * np.cos(elevation), np.sin(bearing) * np.cos(elevation),
         np.sin(elevation)]
    )  # fmt: skip
    R, _ = look_at(direction, np.zeros(3), np.array([0.0, 0, 1]))
    roll = np.deg2rad(rng.uniform(-30, 30))
    sine, cosine = np.sin(roll), np.cos(roll)
    R = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ R
    shift = rng.uniform(-20, 20, 2) + beside
    return RigidPose(R, np.array([*shift, depth]))


@cache
def _normals(number: int) -> np.ndarray:
    """Unit normals of the vertices of a drawn object."""
    model = drawn_objects()[number - 1]
    return vertex_normals(model.vertices, model.faces)


def _draw(
    raster: Raster,
    model: ObjectModel,
    pose: RigidPose,
    camera: Camera,
    light: np.ndarray,
    strength: float,
    number: int,
) -> None:
    local = apply_pose(pose, model.vertices)
    pixels = (project_points(pose, model.vertices, camera) + 0.5) * _ZOOM - 0.5
    facing = np.clip(-(_normals(model.id) @ pose.R.T) @ -light, 0, 1)
    brightness = (1 - strength) + strength * facing
    colors = np.zeros((1, 3)) if model.colors is None else model.colors
    values = np.concatenate(
        [brightness[:, None] * colors, np.full((len(local), 1), number + 1.0)], axis=1
    )
    # The surfaces are closed, so faces seen from behind are hidden.
    a, b, c = (pixels[model.faces[:, i]] for i in range(3))
    first, second = b - a, c - a
    ahead = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0] < 0
    draw_triangles(raster, pixels, local[:, 2], model.faces[ahead], values)
