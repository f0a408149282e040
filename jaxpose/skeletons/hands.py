"""Hands among the keypoints of a skeleton: those of one hand, or of the left and the right one."""

import numpy as np

from jaxpose.skeletons.hand21 import FINGERS, HAND21
from jaxpose.skeletons.skeleton import Skeleton

_FEWEST = 8  # keypoints of a hand; bodies with a thumb and a few fingers have no hand


def hand_rows(skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Numbers `[21]` of the keypoints of each hand in the order of Hand-21, -1 for missing ones.

    Keys are "left" and "right"; "" for a skeleton of one hand, which does not say which one it is.
    A skeleton without hands gives an empty map.
    """
    found = {}
    for side in ("left", "right", ""):
        prefix = f"{side}_" if side else ""
        rows = np.array([_row(skeleton, prefix, name) for name in HAND21.keypoints])
        if (rows >= 0).sum() >= _FEWEST:
            found[side] = rows
    return found


def _row(skeleton: Skeleton, prefix: str, name: str) -> int:
    """Number of a hand's keypoint by the names that skeletons give it; -1 if it has none."""
    names = [f"{prefix}{name}"]
    if name == HAND21.keypoints[0]:
        # A hand's own root stands before the wrist, which is the body's.
        names = [f"{prefix}hand_root", f"{prefix}hand_wrist", f"{prefix}wrist"]
    elif name[:-1] in FINGERS and name.endswith("1"):
        names.append(f"{prefix}{name[:-1]}_third_joint")
    for candidate in names:
        if candidate in skeleton.keypoints:
            return skeleton.keypoints.index(candidate)
    return -1
