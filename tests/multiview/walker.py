"""A walking-like skeleton of rigid bones and a ring of cameras, for tests of several views."""

import numpy as np

from jaxpose.geometry import cameras
from jaxpose.geometry.cameras import Camera
from jaxpose.skeletons.h36m17 import H36M17

LENS = (-0.2, 0.25, -0.0014, -0.001, -0.003)
BONES = H36M17.limb_indices


def ring(number: int, radius: float = 5000.0, distortion: tuple[float, ...] = LENS) -> Camera:
    """Cameras on a circle, 1,000 x 1,000 pixels, looking at its middle."""
    made = []
    for index in range(number):
        angle = 2 * np.pi * index / number + 0.3
        height = 1500 + 300 * (index % 3)
        position = np.array([radius * np.cos(angle), radius * np.sin(angle), height])
        R, t = cameras.look_at(position, np.array([0.0, 0, 900]), np.array([0.0, 0, 1]))
        K = [[1145.0 + 10 * index, 0, 512], [0, 1140, 510], [0, 0, 1]]
        made.append(cameras.pinhole(K, R, t, distortion))
    return cameras.stack(made)


def motion(frames: int, fps: float = 25.0, seed: int = 0) -> np.ndarray:
    """`[T, 17, 3]` mm: bones of fixed length that swing slowly about random directions."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(frames)[:, None] / fps
    points = np.zeros((frames, 17, 3))
    points[:, 0] = [0, 0, 900] + 200 * np.sin(seconds * [0.9, 0.7, 2.0]) * [1, 1, 0.1]
    for start, end in BONES:
        phase, pace = rng.uniform(0, 6, 3), rng.uniform(0.3, 0.7, 3) * 2 * np.pi
        direction = rng.normal(size=3) + 0.8 * np.sin(seconds * pace[None] + phase[None])
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        points[:, end] = points[:, start] + rng.uniform(150, 350) * direction
    return points


def seen(cameras_: Camera, points: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Pixels `[V, ..., 2]` of `points [..., 3]` with Gaussian noise of so many pixels."""
    pixels = cameras.project(cameras_, points.reshape(1, -1, 3))
    pixels = pixels.reshape(len(pixels), *points.shape[:-1], 2)
    return pixels + noise * np.random.default_rng(seed).normal(size=pixels.shape)
