"""People without a place, put before real cameras."""

import jax
import numpy as np

from jaxpose.data.motion import Clip, Motion, motion_of
from jaxpose.geometry.cameras import Camera, project, world_to_camera
from jaxpose.geometry.namespace import ArrayT, namespace


def upright(joints: np.ndarray, up: str) -> np.ndarray:
    """`[..., 3]` of a world whose y or z points up, in one whose z does."""
    if up == "z":
        return joints
    return np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], axis=-1)


def placed(joints: ArrayT, bearing: ArrayT, place: ArrayT) -> ArrayT:
    """Poses turned about the vertical and moved, their lowest joint on the floor.

    Args:
      joints: `[B, T, K, 3]` mm, z up.
      bearing: `[B]` radians.
      place: `[B, 2]` mm along x and y.
    """
    xp = namespace(joints, bearing, place)
    cos, sin = (f(bearing)[:, None, None] for f in (xp.cos, xp.sin))
    x, y, z = (joints[..., i] for i in range(3))
    floor = z.min(axis=(1, 2), keepdims=True)
    east, north = (place[:, None, None, i] for i in range(2))
    return xp.stack([cos * x - sin * y + east, sin * x + cos * y + north, z - floor], axis=-1)


def seen(cameras: Camera, joints: ArrayT) -> tuple[ArrayT, ArrayT]:
    """World joints `[B, T, K, 3]` in the frames of `cameras [B]`, mm, and as pixels."""
    points = joints.reshape(joints.shape[0], -1, 3)
    local, pixels = world_to_camera(cameras, points), project(cameras, points)
    return local.reshape(joints.shape), pixels.reshape(*joints.shape[:-1], 2)


def before_random_cameras(
    key: jax.Array, joints: jax.Array, cameras: Camera, area_mm: float
) -> tuple[jax.Array, jax.Array, Camera]:
    """Each window somewhere within `area_mm` of the origin, facing anywhere, before any camera.

    Args:
      key: a JAX key.
      joints: `[B, T, K, 3]` mm, z up.
      cameras: `[V]`, to draw from.
      area_mm: how far people stand from the origin along x and y.

    Returns:
      Joints in the cameras' frames and pixels, as `seen`, and the cameras `[B]`.
    """
    batch, keys = joints.shape[0], jax.random.split(key, 3)
    bearing = jax.random.uniform(keys[0], (batch,), maxval=2 * np.pi)
    place = jax.random.uniform(keys[1], (batch, 2), minval=-area_mm, maxval=area_mm)
    drawn = cameras.take(jax.random.randint(keys[2], (batch,), 0, len(cameras.t)))
    return *seen(drawn, placed(joints, bearing, place)), drawn


def before_each_camera(
    motion: Motion, cameras: dict[str, Camera], image_wh: tuple[int, int], area_mm: float
) -> Motion:
    """Every clip, at one random place and bearing each, before all cameras of its subject.

    A pure function of its arguments: clip i is placed by seed i. Clips of subjects that have no
    cameras in `cameras` are seen by those of the others.
    """
    clips = []
    ends = np.cumsum(motion.length)
    for i, (start, end) in enumerate(zip(ends - motion.length, ends, strict=True)):
        rng = np.random.default_rng(i)
        joints = upright(motion.joints_mm[start:end], motion.up)[None]
        bearing = rng.uniform(0, 2 * np.pi, 1)
        world = placed(joints, bearing, rng.uniform(-area_mm, area_mm, (1, 2)))
        subject = str(motion.subject[i])
        rigs = [cameras[subject]] if subject in cameras else list(cameras.values())
        views = [rig.take(j) for rig in rigs for j in range(len(rig.t))]
        for v, view in enumerate(views):
            local, pixels = seen(Camera(*(field[None] for field in view)), world)
            clips.append(
                Clip(
                    joints_mm=local[0],
                    keypoints=pixels[0],
                    labelled=motion.labelled[start:end],
                    split=str(motion.split[i]),
                    subject=subject,
                    action=str(motion.action[i]),
                    camera=str(v),
                    name=str(motion.name[i]),
                    fps=float(motion.fps[i]),
                    image_wh=image_wh,
                    view=view,
                )
            )
    return motion_of(motion.skeleton, clips)
