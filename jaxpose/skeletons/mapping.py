"""Conversion of keypoints between skeletons, by keypoint names.

A detector predicts COCO's keypoints, a lifter needs Human3.6M's joints. Keypoints of equal names
are copied; a joint that the source lacks is a weighted mean of keypoints that it has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons.skeleton import Skeleton

Recipe = Mapping[str, float]

# Alternatives in order of preference; weights add up to 1, above 1 or below 0 they extrapolate.
_ANY: dict[str, tuple[Recipe, ...]] = {
    "root": ({"pelvis": 1.0}, {"left_hip": 0.5, "right_hip": 0.5}),
    "pelvis": ({"root": 1.0}, {"left_hip": 0.5, "right_hip": 0.5}),
    **{f"{side}_foot": ({f"{side}_ankle": 1.0},) for side in ("left", "right")},
    **{f"{side}_ankle": ({f"{side}_foot": 1.0},) for side in ("left", "right")},
    "shoulders": ({"left_shoulder": 0.5, "right_shoulder": 0.5},),
    "ears": ({"left_ear": 0.5, "right_ear": 0.5},),
    "thorax": ({"shoulders": 1.0},),
}
# Datasets define joints in the middle of the body differently. Fractions are medians over
# poses, measured from the middle of the shoulders along the trunk (S1, S5, S9 of Human3.6M; all of
# HumanEva-I); fractions of the face were checked on Human3.6M's images: its "neck_base" is
# near the mouth, its "head" inside the skull above the ears. HumanEva's is the forehead.
_BY_TARGET: dict[str, dict[str, tuple[Recipe, ...]]] = {
    "h36m17": {
        "spine": ({"spine": 1.0}, {"root": 0.47, "shoulders": 0.53}),
        "thorax": ({"thorax": 1.0}, {"root": -0.12, "shoulders": 1.12}),
        "neck_base": (
            {"upper_neck": 1.0},
            {"neck": 0.7, "head_top": 0.3},
            {"nose": 0.5, "ears": 0.25, "thorax": 0.25},
            {"nose": 0.75, "thorax": 0.25},
            {"head": 0.35, "thorax": 0.65},
        ),
        "head": (
            {"upper_neck": 0.4, "head_top": 0.6},
            {"neck": 0.3, "head_top": 0.7},
            {"ears": 1.3, "thorax": -0.3},
            {"left_eye": 0.5, "right_eye": 0.5},
            {"head": 0.73, "thorax": 0.27},
        ),
    },
    "humaneva15": {
        "head": (
            {"head_top": 1.0},
            {"ears": 1.45, "shoulders": -0.45},
            {"left_eye": 0.5, "right_eye": 0.5},
            {"head": 1.37, "thorax": -0.37},
        ),
    },
}


def mapping(source: Skeleton, target: Skeleton) -> np.ndarray:
    """Weights float64 `[K_target, K_source]`: each target keypoint as a mean of source keypoints.

    Rows add up to 1, so the matrix may be applied to pixels or millimetres. If the source lacks
    joints in the middle of the body (root, spine, thorax, neck, head), they are computed from hips,
    shoulders, nose, eyes and ears; feet and ankles replace each other.

    Raises:
      InputError: lists the keypoints that the source cannot give.
    """
    if source.keypoints == target.keypoints:
        return np.eye(target.num_keypoints)
    rows = [_row(name, source, target, ()) for name in target.keypoints]
    lacking = [n for n, row in zip(target.keypoints, rows, strict=True) if row is None]
    if lacking:
        raise InputError(
            f"skeleton {source.name!r} cannot be converted to {target.name!r}: it has no "
            f"keypoints for {', '.join(lacking)}"
        )
    return np.stack([row for row in rows if row is not None])


def mapped(
    keypoints: np.ndarray, scores: np.ndarray | None, source: Skeleton, target: Skeleton
) -> tuple[np.ndarray, np.ndarray]:
    """Converts keypoints `[..., K_source, D]` and scores `[..., K_source]` to another skeleton.

    A computed keypoint has the lowest score of its sources; it is NaN where one of them is. Without
    scores all are 1.

    Raises:
      InputError: as `mapping`; arrays that do not fit the source.
    """
    keypoints = np.asarray(keypoints, np.float64)
    count = source.num_keypoints
    if keypoints.ndim < 2 or keypoints.shape[-2] != count:
        raise InputError(
            f"keypoints of shape {list(keypoints.shape)} for skeleton {source.name!r}, which has "
            f"{count}"
        )
    shape = keypoints.shape[:-1]
    certain = np.ones(shape) if scores is None else np.asarray(scores, np.float64)
    if certain.shape != shape:
        raise InputError(f"scores of shape {list(certain.shape)} for keypoints of {list(shape)}")
    matrix = mapping(source, target)
    made = np.zeros((*shape[:-1], target.num_keypoints, keypoints.shape[-1]))
    lowest = np.ones((*shape[:-1], target.num_keypoints))
    for k, row in enumerate(matrix):
        used = np.flatnonzero(row)
        made[..., k, :] = (row[used, None] * keypoints[..., used, :]).sum(axis=-2)
        lowest[..., k] = certain[..., used].min(axis=-1)
    return made, lowest


def shared_keypoints(source: Skeleton, target: Skeleton) -> np.ndarray:
    """Index in `source` of each target keypoint of the same name, int32 `[K]`, for labels.

    -1 where the source has none. No keypoint is computed from others: a point that is only near the
    right position is good enough as an input, but not as a label.
    """
    own = _BY_TARGET.get(target.name, {})
    places = [
        source.index(name)
        if name in source.keypoints and (name not in own or source.name == target.name)
        else -1
        for name in target.keypoints
    ]
    return np.array(places, np.int32)


def union(name: str, *skeletons: Skeleton) -> Skeleton:
    """Skeleton with the keypoints of all, each name once, in order of first occurrence.

    A keypoint has the sigma of the first skeleton with its name; there are sigmas only if all
    keypoints have one. Equal names must mean the same point: rename those that do not.
    """

    def each(field: str) -> tuple[Any, ...]:
        return tuple(dict.fromkeys(entry for s in skeletons for entry in getattr(s, field)))

    keypoints = each("keypoints")
    sigmas: dict[str, float] = {}
    for skeleton in reversed(skeletons):
        sigmas |= dict(zip(skeleton.keypoints, skeleton.sigmas or (), strict=False))
    upper = each("upper_body")
    return Skeleton(
        name=name,
        keypoints=keypoints,
        pairs=each("pairs"),
        limbs=each("limbs"),
        upper_body=upper,
        lower_body=tuple(k for k in each("lower_body") if k not in upper),
        sigmas=tuple(sigmas[k] for k in keypoints) if sigmas.keys() >= set(keypoints) else None,
        source=" + ".join(skeleton.name for skeleton in skeletons),
    )


def _row(
    name: str, source: Skeleton, target: Skeleton, asked: tuple[str, ...]
) -> np.ndarray | None:
    """Weights `[K_source]` of a keypoint, or None if the source cannot give it."""
    own = _BY_TARGET.get(target.name, {}).get(name)
    # An equal name means the same point, unless the target has its own definition.
    if name in source.keypoints and (asked or own is None or {name: 1.0} in own):
        return np.eye(source.num_keypoints)[source.index(name)]
    if name in asked:
        return None
    for recipe in own or _ANY.get(name, ()):
        parts = {n: _row(n, source, target, (*asked, name)) for n in recipe}
        if all(part is not None for part in parts.values()):
            return np.sum([recipe[n] * part for n, part in parts.items() if part is not None], 0)
    return None
