"""Made-up motion in front of a camera, for tests of lifters."""

import numpy as np

from jaxpose.data.motion import Clip
from jaxpose.geometry.cameras import pinhole, project
from jaxpose.skeletons import HUMANEVA15

K, DEPTH = HUMANEVA15.num_keypoints, 4000.0
VIEW = pinhole([[800.0, 0, 320], [0, 800, 240], [0, 0, 1]], np.eye(3), np.zeros(3))


def clip(frames, seed, flat=False, **fields):
    """Joints around a place in front of a camera, swinging; `flat`: all at one depth."""
    rng = np.random.default_rng(seed)
    swing = np.sin(np.arange(frames)[:, None, None] / 5 + rng.uniform(0, 6, (1, K, 3)))
    joints = rng.normal(scale=300, size=(1, K, 3)) + 100 * swing + np.array([0, 0, DEPTH])
    if flat:
        joints[..., 2] = DEPTH
    known = {"split": "train", "subject": "S1", "action": "Walking", "image_wh": (640, 480)}
    fields = {"view": VIEW, "name": f"clip {seed}", **known, **fields}
    return Clip(joints_mm=joints, keypoints=project(VIEW, joints), fps=50.0, **fields)
