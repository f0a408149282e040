"""Free body model of our own, made from the renderer's articulated body.

It has 17 joints, eight shape numbers (stature, girth, shoulders, hips, legs, head, belly, bust; in
standard deviations of the drawn people) and a surface of tubes. It needs no licence.
"""

from dataclasses import fields, replace
from functools import lru_cache

import numpy as np

from jaxpose.bodies.model import Body
from jaxpose.data.synthetic.body import (
    FRAME,
    FRAMES,
    Shape,
    Skeleton3D,
    coco_joints,
    forward_kinematics,
)
from jaxpose.data.synthetic.poses import Pose
from jaxpose.data.synthetic.surface import (
    BAND_RING,
    NUM_RINGS,
    QUADS,
    RING_FRAME,
    RINGS,
    SEGMENTS,
    Outfit,
    build,
)
from jaxpose.skeletons import COCO17, H36M17, Skeleton

_LIMBS = {"hip": "thigh", "knee": "shin", "ankle": "foot", "shoulder": "arm", "elbow": "forearm",
          "wrist": "hand"}  # fmt: skip
JOINTS = (
    *("pelvis", "spine", "chest", "neck", "head"),
    *(f"{side}_{part}" for side in ("left", "right") for part in _LIMBS),
)
_ABOVE = {"spine": "pelvis", "chest": "spine", "neck": "chest", "head": "neck", "hip": "pelvis",
          "knee": "hip", "ankle": "knee", "shoulder": "chest", "elbow": "shoulder",
          "wrist": "elbow"}  # fmt: skip
# Standard deviations of the drawn people about an average adult, one for each shape number.
_DEVIATIONS = {"stature": 90.0, "girth": 0.13, "shoulders": 0.05, "hips": 0.045, "legs": 0.02,
               "head": 0.03, "belly": 0.15, "bust": 0.3}  # fmt: skip
_PAIR, _ZERO2, _ZERO3 = np.zeros(2), np.zeros((2, 2)), np.zeros((2, 3))
# Standing with the arms sideways: a surface that is bent both ways from there folds least.
REST = Pose(np.zeros((5, 3)), np.array([[90.0, 90.0, 90.0]] * 2), _ZERO2, _ZERO2, _ZERO3, _PAIR,
            _PAIR)  # fmt: skip
FACING = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0)
"""Rotation of a root that stands and faces the camera, as six numbers (`MeshHead.facing`)."""
Y_UP = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
"""Rotation of the body's frame to that of SMPL: x left, y up, z forward."""
AVERAGE = Shape(1700.0, 1.05, 1.0, 1.0, 1.0, 1.05, 1.1, 0.3)
_TUBES = ("torso", "skull", "left_arm", "right_arm", "left_hand", "right_hand", "left_leg",
          "right_leg", "left_foot", "right_foot")  # fmt: skip
_CLOSE = 60  # vertices from which a joint's position is computed


@lru_cache(maxsize=1)
def drawn_body() -> Body:
    """Body model of the drawn people; in the rest pose the arms point sideways.

    Frame: x forward, y left, z up, mm, the pelvis near the origin.
    """
    template, _ = _surface(AVERAGE)
    shapes = np.stack([_surface(shape)[0] - template for shape in _variants()], axis=-1)
    joints = [_joints(_surface(shape)[1]) for shape in (AVERAGE, *_variants())]
    return Body(
        name="drawn",
        joints=JOINTS,
        parents=_parents(),
        template=template.astype(np.float32),
        shapes=shapes.astype(np.float32),
        pose_shapes=np.zeros((9 * (len(JOINTS) - 1), len(template), 3), np.float32),
        regressor=_regressor(template, shapes, np.stack(joints)).astype(np.float32),
        weights=_weights().astype(np.float32),
    )


def drawn_faces() -> np.ndarray:
    """Triangles of the surface, vertex numbers `[F, 3]`, counter-clockwise from outside."""
    kept = _kept_rings()
    number = np.full(NUM_RINGS * SEGMENTS, -1)
    vertices = (kept[:, None] * SEGMENTS + np.arange(SEGMENTS)).ravel()
    number[vertices] = np.arange(len(vertices))
    bands = np.isin(BAND_RING, kept) & np.isin(BAND_RING + 1, kept)
    quads = number[QUADS.reshape(4, len(BAND_RING), SEGMENTS)[:, bands].reshape(4, -1)]
    return np.concatenate([quads[[0, 1, 2]].T, quads[[0, 2, 3]].T])


def tube_rings() -> dict[str, range]:
    """Numbers of the rings of each tube of the body; ring r has the vertices from 10 r on."""
    rings, start = {}, 0
    for tube in _TUBES:
        count = RINGS[tube].stop - RINGS[tube].start
        rings[tube] = range(start, start + count)
        start += count
    return rings


@lru_cache(maxsize=2)
def drawn_keypoints(skeleton: Skeleton) -> np.ndarray:
    """Regressor `[K, V]` of keypoints from the vertices of the drawn body, float32.

    Raises:
      KeyError: a skeleton other than COCO-17 and H36M-17.
    """
    points = {COCO17.name: _coco, H36M17.name: _h36m}[skeleton.name]
    template = _surface(AVERAGE)[0]
    shapes = np.stack([_surface(shape)[0] - template for shape in _variants()], axis=-1)
    targets = np.stack([points(shape) for shape in (AVERAGE, *_variants())])
    return _regressor(template, shapes, targets).astype(np.float32)


def shape_numbers(values: np.ndarray) -> np.ndarray:
    """Shape numbers `[..., 8]` of the body from values of the renderer's `Shape`, in its order."""
    names = [field.name for field in fields(Shape)]
    mean = np.array([getattr(AVERAGE, name) for name in names])
    return (values - mean) / np.array([_DEVIATIONS[name] for name in names])


def _variants() -> list[Shape]:
    names = [field.name for field in fields(Shape)]
    return [
        replace(AVERAGE, **{name: getattr(AVERAGE, name) + _DEVIATIONS[name]}) for name in names
    ]


def _surface(shape: Shape) -> tuple[np.ndarray, Skeleton3D]:
    """Vertices `[V, 3]` of the kept rings in the rest pose, and the frames."""
    frames = forward_kinematics(REST, shape)
    outfit = Outfit(np.ones(NUM_RINGS), 0.9, 1.0, 0.0, 0.0, None)
    faces = build(frames, shape, outfit)[:, :, : QUADS.shape[1]]
    points = np.full((NUM_RINGS * SEGMENTS, 3), np.nan)
    points[QUADS.ravel()] = faces.transpose(1, 2, 0).reshape(-1, 3)
    return points.reshape(NUM_RINGS, SEGMENTS, 3)[_kept_rings()].reshape(-1, 3), frames


def _kept_rings() -> np.ndarray:
    return np.concatenate([np.arange(RINGS[t].start, RINGS[t].stop) for t in _TUBES])


def frames_of(joints: tuple[str, ...]) -> list[int]:
    """Numbers of the renderer's frames that turn with these joints."""
    return [FRAME[_frame_of(joint)] for joint in joints]


def _frame_of(joint: str) -> str:
    side, _, part = joint.partition("_")
    return f"{side}_{_LIMBS[part]}" if part else {"spine": "lumbar"}.get(joint, joint)


def _joints(frames: Skeleton3D) -> np.ndarray:
    return frames.origin[frames_of(JOINTS)]


def _parents() -> tuple[int, ...]:
    def parent(joint: str) -> int:
        side, _, part = joint.partition("_")
        if not part:
            return JOINTS.index(_ABOVE[joint]) if joint in _ABOVE else -1
        above = _ABOVE[part]
        return JOINTS.index(above if above in JOINTS else f"{side}_{above}")

    return tuple(parent(joint) for joint in JOINTS)


def _weights() -> np.ndarray:
    """Share of each joint `[V, J]`; the rings of a half frame move by halves with two joints."""
    own = {_frame_of(joint): j for j, joint in enumerate(JOINTS)}
    parents = _parents()
    of_frame = np.zeros((len(FRAMES), len(JOINTS)))
    for number, frame in enumerate(FRAMES):
        if frame.endswith("_half"):
            joint = JOINTS.index(frame.removesuffix("_half"))
            of_frame[number, [joint, parents[joint]]] = 0.5
        else:
            of_frame[number, own[frame]] = 1.0
    return np.repeat(of_frame[RING_FRAME[_kept_rings()]], SEGMENTS, axis=0)


def _regressor(template: np.ndarray, shapes: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Smallest weights `[K, V]`, of sum 1, that give the targets of all shapes.

    Args:
      template: `[V, 3]`.   shapes: `[V, 3, S]`.
      targets: `[1 + S, K, 3]`: of the template, then of one more standard deviation of each shape
        number.
    """
    surfaces = np.concatenate([template[None], template + np.moveaxis(shapes, -1, 0)])
    weights = np.zeros((targets.shape[1], len(template)))
    for number, target in enumerate(np.moveaxis(targets, 1, 0)):
        away = np.linalg.norm(template - target[0], axis=-1)
        near = np.argsort(away)[:_CLOSE]
        rows = surfaces[:, near].transpose(0, 2, 1).reshape(-1, _CLOSE)
        # One more row, heavier than a millimetre: the weights have the sum 1.
        rows = np.concatenate([rows, np.full((1, _CLOSE), 1e4)])
        values = np.append(target.ravel(), 1e4)
        even = np.full(_CLOSE, 1 / _CLOSE)
        weights[number, near] = even + np.linalg.lstsq(rows, values - rows @ even, rcond=1e-9)[0]
    return weights


def _coco(shape: Shape) -> np.ndarray:
    return coco_joints(forward_kinematics(REST, shape), shape)


# Human3.6M's joints that are not the body's: frame and place in it (x, y, z), statures.
_H36M_PLACES = {
    "right_hip": ("pelvis", (0.0, -0.076, -0.004)),
    "left_hip": ("pelvis", (0.0, 0.076, -0.004)),
    "spine": ("lumbar", (0.0, 0.0, 0.075)),
    "thorax": ("chest", (-0.004, 0.0, 0.130)),
    "neck_base": ("neck", (0.004, 0.0, 0.054)),
    "head": ("head", (0.010, 0.0, 0.068)),
    "right_shoulder": ("right_arm", (0.0, 0.0, -0.018)),
    "left_shoulder": ("left_arm", (0.0, 0.0, -0.018)),
}


def _h36m(shape: Shape) -> np.ndarray:
    """H36M-17 `[17, 3]`: its skeleton has wider hips, and shoulders below the body's joints."""
    frames = forward_kinematics(REST, shape)
    names = {"root": "pelvis", "foot": "foot", "knee": "shin", "elbow": "forearm", "wrist": "hand"}
    points = []
    for keypoint in H36M17.keypoints:
        side, _, part = keypoint.rpartition("_")
        own = f"{side}_{names[part]}" if side and part in names else names.get(keypoint, keypoint)
        frame, place = _H36M_PLACES.get(keypoint, (own, (0.0, 0.0, 0.0)))
        number = FRAME[frame]
        offset = np.array(place) * shape.stature
        points.append(frames.origin[number] + frames.rotation[number] @ offset)
    return np.stack(points)
