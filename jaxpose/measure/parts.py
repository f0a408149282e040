"""Body parts by name, for skeletons that use different keypoint names."""

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton

# Names of one body part in different skeletons, the most exact first. A tuple is a mean.
_ALSO: dict[str, tuple[str | tuple[str, ...], ...]] = {
    **{f"{side}_ankle": (f"{side}_foot",) for side in ("left", "right")},
    **{
        f"{side}_toe": (f"{side}_big_toe", f"{side}_foot_index", f"{side}_ankle", f"{side}_foot")
        for side in ("left", "right")
    },
    **{f"{side}_heel": (f"{side}_ankle", f"{side}_foot") for side in ("left", "right")},
    "hips": (("left_hip", "right_hip"), "pelvis", "root"),
    "shoulders": (("left_shoulder", "right_shoulder"), "thorax"),
}


def columns(name: str, skeleton: Skeleton) -> list[int] | None:
    """Indices of keypoints whose mean is that body part; None if the skeleton lacks it."""
    for choice in (name, *_ALSO.get(name, ())):
        names = (choice,) if isinstance(choice, str) else choice
        if all(one in skeleton.keypoints for one in names):
            return [skeleton.index(one) for one in names]
    return None


def part(points: np.ndarray, skeleton: Skeleton, name: str) -> np.ndarray:
    """Points `[..., D]` of a body part, from `points [..., K, D]`.

    Raises:
      InputError: the skeleton has no such part, or another number of keypoints.
    """
    if points.ndim < 2 or points.shape[-2] != skeleton.num_keypoints or points.shape[-1] > 3:
        raise InputError(
            f"points {list(points.shape)} are not [..., {skeleton.num_keypoints}, 2 or 3], as "
            f"skeleton {skeleton.name!r} needs"
        )
    found = columns(name, skeleton)
    if found is None:
        skeleton.index(name)  # raises, with the names that exist
        raise InputError(f"skeleton {skeleton.name!r} has no {name}")
    return np.asarray(points, np.float64)[..., found, :].mean(axis=-2)


def upwards(dimensions: int, up: str) -> np.ndarray:
    """Unit vector `[D]` of the vertical: `y`, `-y`, `z`, ...; in an image up is `-y`.

    Raises:
      InputError: no such axis.
    """
    axis = "xyz"[:dimensions].find(up.removeprefix("-"))
    if axis < 0 or len(up.removeprefix("-")) != 1:
        raise InputError(f"up is {up!r}; it has to be an axis of the points, such as -y or z")
    return np.eye(dimensions)[axis] * (-1.0 if up.startswith("-") else 1.0)
