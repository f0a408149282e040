"""Conversion of joint positions to a rig: rest bones of fixed length and joint rotations."""

import numpy as np
from scipy.spatial.transform import Rotation

from jaxpose.errors import InputError
from jaxpose.geometry.axes import y_up
from jaxpose.geometry.bones import check_millimetres
from jaxpose.geometry.procrustes import procrustes
from jaxpose.motion.bones import consistency
from jaxpose.motion.bvh import Bvh
from jaxpose.skeletons import Skeleton

_POSITION = ("Xposition", "Yposition", "Zposition")
_ROTATION = ("Zrotation", "Xrotation", "Yrotation")
_MM_PER_UNIT = 10.0  # BVH is written in centimetres, the unit that most of its readers assume.


def parents_of(skeleton: Skeleton) -> np.ndarray:
    """Parent of each keypoint along the limbs, int `[K]`; -1 for the root.

    Raises:
      InputError: the limbs are not a tree over all keypoints.
    """
    parents = np.full(skeleton.num_keypoints, -1)
    for start, end in skeleton.limb_indices:
        if parents[end] >= 0:
            raise _no_tree(skeleton, f"{skeleton.keypoints[end]!r} has two parents")
        parents[end] = start
    roots = np.flatnonzero(parents < 0)
    if len(roots) != 1:
        raise _no_tree(skeleton, f"it has {len(roots)} roots")
    if len(_order(parents)) < len(parents):
        raise _no_tree(skeleton, "its limbs form a cycle")
    return parents


def _no_tree(skeleton: Skeleton, why: str) -> InputError:
    return InputError(
        f"skeleton {skeleton.name!r} is not a tree: {why}; use one whose limbs start at one root, "
        "such as h36m17"
    )


def _order(parents: np.ndarray) -> list[int]:
    """Joints in depth-first order from the root."""
    found, waiting = [], [int(np.flatnonzero(parents < 0)[0])]
    while waiting:
        joint = waiting.pop()
        found.append(joint)
        waiting += [int(child) for child in np.flatnonzero(parents == joint)[::-1]]
    return found


def rigid(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Moves `points [T, K, 3]` (mm) so that bones keep their median length over the clip.

    The root stays, and every bone keeps its direction except those within the pelvis and the chest,
    which rotate as one piece. `bvh_from_points` writes these points. Applying it twice changes
    nothing more.

    Raises:
      InputError: as `bvh_from_points`.
    """
    points = np.asarray(points, np.float64)
    parents = _checked_parents(points, skeleton)
    offsets, turns = _posed(points, parents, skeleton.keypoints)
    placed = np.empty_like(points)
    for joint in _order(parents):
        above = parents[joint]
        if above < 0:
            placed[:, joint] = points[:, joint]
        else:
            placed[:, joint] = placed[:, above] + turns[:, above] @ offsets[joint]
    return placed


def bvh_from_points(points: np.ndarray, skeleton: Skeleton, fps: float, up: str = "z") -> Bvh:
    """Converts `points [T, K, 3]` (mm) to motion of a rigid T-pose skeleton, in centimetres, y up.

    Bones get their median length over the clip. A joint with several children is rotated as one
    rigid piece, the others by the smallest rotation that gives the bone its direction: positions do
    not determine the twist of a limb.

    Raises:
      InputError: a skeleton that is not a tree, a missing joint, a unit other than mm.
    """
    points = y_up(points, up)
    parents = _checked_parents(points, skeleton)
    offsets, turns = _posed(points, parents, skeleton.keypoints)
    above = np.where(parents < 0, np.arange(len(parents)), parents)
    local = turns[:, above].swapaxes(-1, -2) @ turns
    root = int(np.flatnonzero(parents < 0)[0])
    local[:, root] = turns[:, root]
    # A bone needs an end to be drawn: a fifth of its parent bone, in the same direction.
    return bvh_from_rotations(
        skeleton.keypoints, parents, offsets, 0.2 * offsets, local, points[:, root], fps
    )


def bvh_from_rotations(
    names: tuple[str, ...],
    parents: np.ndarray,
    offsets: np.ndarray,
    ends: np.ndarray,
    rotations: np.ndarray,
    root: np.ndarray,
    fps: float,
) -> Bvh:
    """Motion of a rig in centimetres; the root has positions, every joint angles ZXY in degrees.

    Args:
      names: of the J joints.
      parents: int `[J]`, -1 for the root, a tree.
      offsets: `[J, 3]` of the joints from their parents in the rest pose, mm, y up.
      ends: `[J, 3]` of the end sites of joints without children, mm; others are not used.
      rotations: `[T, J, 3, 3]` in the frames of the parents.
      root: `[T, 3]` positions of the root, mm, y up.
      fps: frames per second.
    """
    found: list[str] = []
    columns: list[np.ndarray] = []
    new_parents: list[int] = []
    rest: list[np.ndarray] = []
    channels: list[tuple[str, ...]] = []
    place = {-1: -1}
    for joint in _order(parents):
        above = int(parents[joint])
        place[joint] = len(found)
        found.append(names[joint])
        new_parents.append(place[above])
        rest.append(offsets[joint])
        if above < 0:
            columns.append(root / _MM_PER_UNIT)
        channels.append(_POSITION + _ROTATION if above < 0 else _ROTATION)
        turn = Rotation.from_matrix(rotations[:, joint])
        columns.append(turn.as_euler("ZXY", degrees=True))
        if not (parents == joint).any():
            found.append(f"{names[joint]}_end")
            new_parents.append(place[joint])
            rest.append(ends[joint])
            channels.append(())
    return Bvh(
        names=tuple(found),
        parents=tuple(new_parents),
        offsets=np.stack(rest) / _MM_PER_UNIT,
        channels=tuple(channels),
        motion=np.concatenate(columns, axis=-1),
        frame_time=1.0 / fps,
    )


def _checked_parents(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Parents of a skeleton that matches `points`; raises InputError if it does not."""
    if points.ndim != 3 or points.shape[1:] != (skeleton.num_keypoints, 3):
        raise InputError(f"points of shape {points.shape} for {skeleton.num_keypoints} keypoints")
    if not np.isfinite(points).all():
        raise InputError("a rig needs every joint in every frame; fill the gaps (motion.fill)")
    parents = parents_of(skeleton)
    check_millimetres(points, skeleton.limb_indices)
    return parents


def _posed(
    points: np.ndarray, parents: np.ndarray, names: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Rest offsets `[K, 3]` and each joint's rotation in the world `[T, K, 3, 3]`."""
    bones = [(int(p), k) for k, p in enumerate(parents) if p >= 0]
    lengths = dict(zip([k for _, k in bones], consistency(points, bones).median, strict=True))
    offsets = np.zeros((len(names), 3))
    for joint, length in lengths.items():
        offsets[joint] = length * _t_pose(names[joint])
    turns = np.tile(np.eye(3), (len(points), len(names), 1, 1))
    for joint in _order(parents):
        children = np.flatnonzero(parents == joint)
        above = turns[:, parents[joint]] if parents[joint] >= 0 else turns[:, joint]
        seen = points[:, children] - points[:, joint : joint + 1]
        if len(children) > 1:
            straight = np.einsum("tij,tcj->tci", _fit(offsets[children], seen).mT, seen).mean(0)
            size = np.linalg.norm(offsets[children], axis=-1) / np.linalg.norm(straight, axis=-1)
            offsets[children] = straight * size[:, None]
            turns[:, joint] = _fit(offsets[children], seen)
        elif len(children):
            turns[:, joint] = _smallest_turn(above @ offsets[children[0]], seen[:, 0]) @ above
        else:
            turns[:, joint] = above
    return offsets, turns


def _t_pose(name: str) -> np.ndarray:
    """Direction of the bone that ends at a joint: y up, the person's left along +x."""
    side = 1.0 if name.startswith("left") else -1.0
    if any(word in name for word in ("knee", "ankle", "foot", "toe", "heel")):
        return np.array([0.0, -1.0, 0.0])
    if name.startswith(("left", "right")):
        return np.array([side, 0.0, 0.0])
    return np.array([0.0, 1.0, 0.0])


def _fit(rest: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Rotations `[T, 3, 3]` about the joint that best map `rest [C, 3]` to `seen [T, C, 3]`."""
    # Adding the mirror image through the joint centres a set of points on the joint.
    source = np.broadcast_to(np.concatenate([rest, -rest]), (len(seen), 2 * len(rest), 3))
    return procrustes(source, np.concatenate([seen, -seen], axis=1), scale=False).R


def _smallest_turn(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Smallest rotations `[T, 3, 3]` from the direction `start [T, 3]` to `end [T, 3]`."""
    axis = np.cross(start, end)
    size = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(size[:, 0], (start * end).sum(axis=-1))
    # For a half turn, any perpendicular axis works.
    across = np.cross(start, np.eye(3)[np.abs(start).argmin(axis=-1)])
    axis = np.where(size > 1e-9, axis, across)
    axis = axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-12)
    return Rotation.from_rotvec(axis * angle[:, None]).as_matrix()
