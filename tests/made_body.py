"""A body of our own in the layout of SMPL's files: 24 joints, 144 vertices, exactly symmetric.

As in SMPL, x is left, y up and z forward in the rest pose, whose arms point sideways.
"""

from pathlib import Path

import numpy as np

from jaxpose.bodies.joints import NAMES

_JOINTS = NAMES[24][1]
_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
# Metres; the right side is the mirror image of the left one.
_PLACES = {
    "pelvis": (0, 0, 0), "left_hip": (0.07, -0.08, 0), "spine1": (0, 0.11, -0.02),
    "left_knee": (0.1, -0.46, 0), "spine2": (0, 0.25, 0), "left_ankle": (0.09, -0.86, -0.03),
    "spine3": (0, 0.3, 0), "left_foot": (0.11, -0.92, 0.1), "neck": (0, 0.51, -0.02),
    "left_collar": (0.08, 0.42, 0), "head": (0, 0.6, 0.03), "left_shoulder": (0.17, 0.45, 0),
    "left_elbow": (0.43, 0.45, 0), "left_wrist": (0.68, 0.45, 0), "left_hand": (0.76, 0.44, 0),
}  # fmt: skip
_RADIUS = 0.05


def _mirror_of(joint: str) -> str:
    side, _, part = joint.partition("_")
    return {"left": f"right_{part}", "right": f"left_{part}"}.get(side, joint)


def mirror_vertices() -> np.ndarray:
    """Number `[144]` of the mirror image of each vertex."""
    joints = np.array([_JOINTS.index(_mirror_of(joint)) for joint in _JOINTS])
    return (6 * joints[:, None] + [1, 0, 2, 3, 4, 5]).ravel()


def made_body(seed: int = 0) -> dict[str, np.ndarray]:
    """Arrays of the file, in metres: six vertices about each joint."""
    places = []
    for joint in _JOINTS:
        here = joint in _PLACES
        places.append(np.array(_PLACES[joint if here else _mirror_of(joint)], float))
        places[-1][0] *= 1 if here else -1
    around = _RADIUS * np.concatenate([[sign * row for sign in (1, -1)] for row in np.eye(3)])
    template = (np.array(places)[:, None] + around).reshape(-1, 3)
    weights = np.zeros((24, 24))
    for joint, parent in enumerate(_PARENTS):
        weights[joint, joint] += 0.8
        weights[joint, max(parent, 0)] += 0.2
    shapes = 0.01 * np.random.default_rng(seed).standard_normal((len(template), 3, 10))
    shapes[:, :, 0] = 0.05 * template
    other = shapes[mirror_vertices()] * np.array([-1.0, 1, 1])[:, None]
    corners = [(y, x, z) if (x + y + z) % 2 else (x, y, z) for x in (0, 1) for y in (2, 3)
               for z in (4, 5)]  # fmt: skip
    faces = 6 * np.arange(24)[:, None, None] + np.array(corners)
    return {
        "v_template": template,
        "shapedirs": (shapes + other) / 2,
        "posedirs": np.zeros((len(template), 3, 207)),
        "J_regressor": np.repeat(np.eye(24), 6, axis=1) / 6,
        "weights": np.repeat(weights, 6, axis=0),
        "kintree_table": np.stack([[2**32 - 1, *_PARENTS[1:]], np.arange(24)]).astype(np.uint32),
        "f": faces.reshape(-1, 3).astype(np.uint32),
    }


def save_body(path: Path, seed: int = 0) -> Path:
    """Writes the file; another seed makes another body."""
    np.savez(path, **made_body(seed))
    return path
