"""Motion of synthetic people in front of synthetic cameras, to try lifters without a dataset.

Walkers move by the harmonics of recorded gait; others move from one plausible pose to the next.
Models trained on it say nothing about real people; real motion comes from `jaxpose prepare`.
"""

from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxpose.data.motion import Clip, Motion, motion_of
from jaxpose.data.synthetic import poses
from jaxpose.data.synthetic.body import (
    FRAME,
    Shape,
    Skeleton3D,
    forward_kinematics,
    head_height,
    sample_shape,
)
from jaxpose.data.synthetic.poses import Pose
from jaxpose.errors import InputError
from jaxpose.geometry.cameras import Camera, project, random_cameras, world_to_camera
from jaxpose.skeletons import H36M17

FPS = 25.0
IMAGE_WH = (1000, 1000)
_REACH = 1200.0  # largest distance from the middle of a path, mm
# Actions, as the families of poses that people pass through.
_ACTIONS: dict[str, tuple[str, ...]] = {
    "Walk": (),
    "Run": (),
    "Wave": ("standing", "arms_raised"),
    "Reach": ("standing", "reaching", "bending"),
    "Squat": ("standing", "squatting"),
}
# Origins of the body's frames that are joints of Human3.6M as they are.
_PARTS = {"hip": "thigh", "knee": "shin", "foot": "foot"}
_PARTS |= {"shoulder": "arm", "elbow": "forearm", "wrist": "hand"}


def synthetic_motion(
    seed: int = 0,
    *,
    clips: int = 100,
    frames: int = 60,
    split: str = "train",
    noise: float = 0.0,
) -> Motion:
    """People who walk, run, wave, reach and squat, one camera each, as Human3.6M's joints.

    A pure function of its arguments; clip i of a seed does not depend on the number of clips.

    Args:
      seed: seed of all random numbers.
      clips: number of clips; each has another person and another camera.
      frames: frames of each clip, at 25 per second.
      split: name of the split; splits of one seed have different clips.
      noise: standard deviation of the noise added to the keypoints, pixels.

    Raises:
      InputError: no clip or no frame.
    """
    if clips < 1 or frames < 1:
        raise InputError(f"{clips} clips of {frames} frames: both must be at least 1.")
    actions = list(_ACTIONS)
    draws = [np.random.default_rng([seed, i, *split.encode()]) for i in range(clips)]
    worlds = [_in_the_world(r, actions[i % len(actions)], frames) for i, r in enumerate(draws)]
    seeds = np.array([r.integers(2**31) for r in draws], np.uint32)
    middles = np.stack([world[:, 0].mean(axis=0) for world in worlds])
    views = _cameras(jnp.asarray(seeds), jnp.asarray(middles, jnp.float32))
    cameras = Camera(*(np.asarray(field, np.float64) for field in views))
    made = []
    for i, (rng, world) in enumerate(zip(draws, worlds, strict=True)):
        camera, points = cameras.take(i), world.reshape(-1, 3)
        keypoints = project(camera, points).reshape(frames, -1, 2)
        action = actions[i % len(actions)]
        made.append(
            Clip(
                joints_mm=world_to_camera(camera, points).reshape(world.shape),
                keypoints=keypoints + noise * rng.normal(size=keypoints.shape),
                split=split,
                subject="drawn",
                action=action,
                name=f"{action} {i}",
                fps=FPS,
                image_wh=IMAGE_WH,
                view=camera,
            )
        )
    return motion_of(H36M17, made)


@jax.jit
@jax.vmap
def _cameras(seed: jax.Array, subject: jax.Array) -> Camera:
    return random_cameras(jax.random.key(seed), subject, image_wh=IMAGE_WH)


def h36m_joints(skeleton: Skeleton3D, shape: Shape) -> np.ndarray:
    """Joints of Human3.6M `[17, 3]`, millimetres, in the frame of `skeleton`."""
    origin, rotation = skeleton.origin, skeleton.rotation
    found = {
        f"{side}_{joint}": origin[FRAME[f"{side}_{part}"]]
        for side in ("left", "right")
        for joint, part in _PARTS.items()
    }
    tall, head = head_height(shape), FRAME["head"]
    found["root"] = (found["left_hip"] + found["right_hip"]) / 2
    found["spine"] = origin[FRAME["chest"]]
    found["thorax"] = origin[FRAME["neck"]]
    # Near the mouth, and inside the skull above the ears.
    found["neck_base"] = origin[head] + rotation[head] @ np.array([0.25 * tall, 0, 0.1 * tall])
    found["head"] = origin[head] + rotation[head] @ np.array([0.05 * tall, 0, 0.55 * tall])
    return np.stack([found[name] for name in H36M17.keypoints])


def _in_the_world(rng: np.random.Generator, action: str, frames: int) -> np.ndarray:
    """Joints `[T, 17, 3]` in mm, z up, with the lowest joint of each frame on the floor."""
    shape, seconds = sample_shape(rng), np.arange(frames) / FPS
    heading = rng.uniform(0, 360) + rng.uniform(-25, 25) * seconds
    place = np.zeros((frames, 3))
    if _ACTIONS[action]:
        film = _between(rng, _ACTIONS[action], seconds)
        heading += 15 * np.sin(2 * np.pi * (seconds / rng.uniform(2, 5) + rng.random()))
    else:
        speed = rng.uniform(0.0, 0.3) if action == "Walk" else rng.uniform(0.5, 1.0)
        pace = (0.9 + 0.7 * speed) * (1 + 0.06 * rng.normal())  # strides a second
        film = _strides(rng, speed, 2 * np.pi * (pace * seconds + rng.random()))
        stride = shape.stature * shape.legs * (0.75 + 0.6 * speed)
        ahead = np.deg2rad(heading)
        steps = pace * stride / FPS * np.stack([np.cos(ahead), np.sin(ahead), 0 * ahead], axis=-1)
        place = np.cumsum(steps, axis=0)
        place -= place.mean(axis=0)
        # Fast people run partly on the spot, because the camera is only 3 to 6 m away.
        place *= min(1.0, _REACH / max(float(np.abs(place).max()), 1.0))
    joints = np.stack(
        [
            h36m_joints(forward_kinematics(pose, shape, yaw), shape)
            for pose, yaw in zip(film, heading, strict=True)
        ]
    )
    joints[..., 2] -= joints[..., 2].min(axis=1, keepdims=True)
    return joints + place[:, None]


def _strides(rng: np.random.Generator, speed: float, phase: np.ndarray) -> list[Pose]:
    """Poses of a walk (`speed` 0) or a run (1) at `phase [T]` radians, without noise."""
    swing = 22 + 22 * speed + 4 * rng.normal()
    arms = (20 + 26 * speed) * (1 + 0.15 * rng.normal())
    lean, bend = 3 + 11 * speed + 2 * rng.normal(), 16 + 66 * speed + 6 * rng.normal()
    wide, turned = 2 + 1.5 * rng.normal(), 6 + 4 * rng.normal()
    film = []
    for now in phase:
        both = now + np.array([0, np.pi])
        hip = 6 + 14 * speed + swing * np.cos(both)
        lift = np.maximum(np.cos(both + 1.25), 0)
        knee = 8 + 10 * speed + (52 + 48 * speed) * lift**1.5
        arm = arms * np.cos(both + np.pi)
        twist = -0.14 * (arm[0] - arm[1])
        trunk = np.zeros((5, 3))
        trunk[:3] = [0, 0.6 * lean, 0], [0, 0.23 * lean, 0.3 * twist], [0, 0.17 * lean, 0.7 * twist]
        trunk[3:] = [0, 12 - 0.3 * lean, -0.3 * twist], [0, -8 - 0.25 * lean, -0.3 * twist]
        film.append(
            Pose(
                trunk=trunk,
                arm=np.stack([np.full(2, 12.0), arm + 4, np.full(2, -18.0)], axis=-1),
                elbow=np.stack([bend + 0.3 * arm, np.zeros(2)], axis=-1),
                wrist=np.zeros((2, 2)),
                leg=np.stack([hip, np.full(2, wide), np.full(2, turned)], axis=-1),
                knee=knee,
                ankle=0.35 * knee - 0.25 * np.maximum(-hip, 0) - 14 * lift,
            )
        )
    return film


def _between(
    rng: np.random.Generator, families: tuple[str, ...], seconds: np.ndarray
) -> list[Pose]:
    """Poses that go from one of these families to the next, 0.5 to 1.2 s each.

    Speed rises and falls smoothly at both ends.
    """
    times = [-rng.uniform(0, 0.5)]
    while times[-1] <= seconds[-1]:
        times.append(times[-1] + rng.uniform(0.5, 1.2))
    keys = [poses.sample(rng, families[i % len(families)]) for i in range(len(times))]
    angles = [f.name for f in fields(Pose) if f.name not in ("lift", "support")]
    film = []
    for now in seconds:
        i = int(np.searchsorted(times, now, side="right")) - 1
        share = (now - times[i]) / (times[i + 1] - times[i])
        soft = share * share * (3 - 2 * share)
        start, end = keys[i], keys[i + 1]
        mixed = {n: (1 - soft) * getattr(start, n) + soft * getattr(end, n) for n in angles}
        film.append(replace(start, **mixed))
    return film
