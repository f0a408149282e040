"""Articulated body: proportions, the kinematic tree, and the positions of COCO's joints.

Body frame: x forward, y left, z up, millimetres. Segment lengths are fractions of stature after
Drillis & Contini (1966) as tabulated in Winter, Biomechanics and Motor Control of Human Movement.
"""

from dataclasses import dataclass

import numpy as np

from jaxpose.data.synthetic.poses import Pose

# Rigid frames that carry the surface. A "half" frame turns by half of its joint's angle, so that a
# bent knee or elbow keeps its thickness.
_LIMB_FRAMES = tuple(
    f"{side}_{part}"
    for side in ("left", "right")
    for part in ("shoulder_half", "arm", "elbow_half", "forearm", "hand", "hip_half", "thigh",
                 "knee_half", "shin", "foot")
)  # fmt: skip
FRAMES = ("pelvis", "lumbar", "chest", "neck", "head", *_LIMB_FRAMES)
FRAME = {name: i for i, name in enumerate(FRAMES)}

_MIRROR = np.array([1.0, -1.0, 1.0])
_MIRROR_MATRIX = np.outer(_MIRROR, _MIRROR)


@dataclass(frozen=True)
class Shape:
    """Body proportions: stature in millimetres, the rest factors about an average adult (1.0)."""

    stature: float
    girth: float  # thickness of trunk and limbs
    shoulders: float  # width of the shoulders
    hips: float  # width of the pelvis
    legs: float  # leg length
    head: float  # head size
    belly: float  # extra depth of the waist, in addition to girth
    bust: float  # forward swell of the chest


def sample_shape(rng: np.random.Generator) -> Shape:
    """Draws a random person: an adult of either sex's build, or a child in one of eight cases."""
    masculine = rng.random()  # 0 and 1 are the typical builds of the sexes; people are between
    noise = np.clip(rng.standard_normal(7), -2.2, 2.2)
    child = rng.random() < 0.12
    stature = 1000.0 + 520.0 * rng.random() if child else 1630.0 + 130.0 * masculine
    girth = np.exp(0.05 + 0.03 * (masculine - 0.5) + 0.13 * noise[1] + 0.04 * abs(noise[1]))
    heavy = max(float(girth) - 1.05, 0.0)
    return Shape(
        stature=float(stature * (1.0 + 0.038 * noise[0])),
        girth=float(girth * (1.1 if child else 1.0)),
        shoulders=float((0.93 if child else 0.93 + 0.13 * masculine) * (1.0 + 0.03 * noise[2])),
        hips=float((0.95 if child else 1.06 - 0.10 * masculine) * (1.0 + 0.03 * noise[3])),
        legs=float((0.93 if child else 1.0) * (1.0 + 0.02 * noise[4])),
        head=float((1.36 - 0.00025 * (stature - 1000.0) if child else 1.05) + 0.03 * noise[5]),
        belly=float(1.0 + 0.9 * heavy * rng.random()),
        bust=float(0.0 if child else max(0.0, 1.0 - 1.6 * masculine)),
    )


def _rotations(degrees: np.ndarray) -> np.ndarray:
    """Rotation matrices Rz Ry Rx `[N, 3, 3]` of `[N, 3]` angles (x, y, z) in degrees."""
    angles = np.deg2rad(degrees)
    (sx, sy, sz), (cx, cy, cz) = np.sin(angles).T, np.cos(angles).T
    rows = (cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx,
            sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx,
            -sy, cy * sx, cy * cx)  # fmt: skip
    return np.stack(rows, axis=-1).reshape(-1, 3, 3)


@dataclass(frozen=True)
class Skeleton3D:
    """Posed frames: `rotation [25, 3, 3]` and `origin [25, 3]`, x_world = rotation x + origin."""

    rotation: np.ndarray
    origin: np.ndarray


def forward_kinematics(pose: Pose, shape: Shape, yaw: float = 0.0) -> Skeleton3D:
    """Computes the frames of the body with the pelvis at the origin, turned by `yaw` degrees."""
    zero = np.zeros(2)
    az, elevation, axial = pose.arm.T
    flexion, pronation = pose.elbow.T
    # A planted foot stays flat under a leg that is spread: the ankle turns in.
    roll = -np.clip(pose.leg[:, 1], -25.0, 30.0) if pose.support == "feet" else zero
    hip, abduction, hip_axial = pose.leg.T
    limb_rows = (
        (zero, -0.5 * elevation, az), (zero, zero, 0.5 * axial - az),
        (zero, -elevation, az), (zero, zero, axial - az),
        (zero, -0.5 * flexion, zero), (zero, -flexion, zero),
        (pose.wrist[:, 1], -pose.wrist[:, 0], -pronation),
        (0.5 * abduction, -0.5 * hip, zero), (zero, zero, 0.5 * hip_axial),
        (abduction, -hip, zero), (zero, zero, hip_axial),
        (zero, 0.5 * pose.knee, zero), (zero, pose.knee, zero), (roll, -pose.ankle, zero),
    )  # fmt: skip
    trunk = pose.trunk.copy()
    trunk[0, 2] += yaw
    limbs = np.array(limb_rows).transpose(0, 2, 1).reshape(-1, 3)
    turns = _rotations(np.concatenate([trunk, limbs]))
    limb = turns[5:].reshape(-1, 2, 3, 3)
    limb[:, 1] *= _MIRROR_MATRIX

    h = shape.stature
    offset = _offsets(shape, elevation, az)
    rotation = np.empty((len(FRAMES), 3, 3))
    origin = np.zeros((len(FRAMES), 3))
    rotation[0] = turns[0]
    for i in range(1, 5):
        rotation[i] = rotation[i - 1] @ turns[i]
        origin[i] = origin[i - 1] + rotation[i - 1] @ offset["trunk"][i]

    by_side = rotation[5:].reshape(2, 10, 3, 3)
    places = origin[5:].reshape(2, 10, 3)
    chest, pelvis = rotation[2], rotation[0]
    by_side[:, 0] = chest @ limb[0] @ limb[1]
    arm = by_side[:, 1] = chest @ limb[2] @ limb[3]
    by_side[:, 2] = arm @ limb[4]
    forearm = by_side[:, 3] = arm @ limb[5]
    by_side[:, 4] = forearm @ limb[6]
    by_side[:, 5] = pelvis @ limb[7] @ limb[8]
    thigh = by_side[:, 6] = pelvis @ limb[9] @ limb[10]
    by_side[:, 7] = thigh @ limb[11]
    shin = by_side[:, 8] = thigh @ limb[12]
    by_side[:, 9] = shin @ limb[13]

    places[:, :2] = (origin[2] + offset["shoulder"] @ chest.T)[:, None]
    places[:, 2:4] = (places[:, 1] - arm[:, :, 2] * (0.186 * h))[:, None]
    places[:, 4] = places[:, 3] - forearm[:, :, 2] * (0.146 * h)
    places[:, 5:7] = (offset["hip"] @ pelvis.T)[:, None]
    places[:, 7:9] = (places[:, 6] - thigh[:, :, 2] * (0.245 * h * shape.legs))[:, None]
    places[:, 9] = places[:, 8] - shin[:, :, 2] * (0.246 * h * shape.legs)
    return Skeleton3D(rotation, origin)


def _offsets(shape: Shape, elevation: np.ndarray, plane: np.ndarray) -> dict[str, np.ndarray]:
    """Origins of child frames in their parents, millimetres."""
    h = shape.stature
    trunk = np.array([[0, 0, 0], [0, 0, 0.06], [-0.004, 0, 0.095], [-0.006, 0, 0.150],
                      [0.008, 0, 0.052]])  # fmt: skip
    # The shoulder girdle lifts the joint and carries it inwards as the arm goes up, and forwards
    # with a forward reach (scapulohumeral rhythm, about one degree in three).
    rise = np.clip((elevation - 40.0) / 130.0, 0.0, 1.0)
    reach = np.sin(np.deg2rad(np.clip(elevation, 0, 90))) * np.cos(np.deg2rad(plane))
    side = np.array([1.0, -1.0])
    shoulder = np.stack([-0.004 + 0.022 * reach, side * (0.105 * shape.shoulders - 0.018 * rise),
                         0.129 + 0.036 * rise], axis=1)  # fmt: skip
    hip = np.array([[0.0, 0.054 * shape.hips, -0.004], [0.0, -0.054 * shape.hips, -0.004]])
    return {"trunk": trunk * h, "shoulder": shoulder * h, "hip": hip * h}


# Places of the face in head heights from the chin: x forward, y left, z up.
EYE = np.array([0.425, 0.140, 0.50])
NOSE = np.array([0.545, 0.0, 0.34])
EAR = np.array([0.04, 0.335, 0.42])
_CHIN = np.array([0.10, 0.0, -0.115])  # chin level on the head's axis, in the head frame
_FACE = np.stack([NOSE, EYE, EYE * _MIRROR, EAR, EAR * _MIRROR]) + _CHIN
_LIMB_JOINTS = tuple(
    FRAME[f"{side}_{part}"]
    for part in ("arm", "forearm", "hand", "thigh", "shin", "foot")
    for side in ("left", "right")
)
# Largest depth of the body's own flesh in front of a joint, in statures; anything nearer to the
# camera than this hides the joint.
JOINT_DEPTH = np.array([0.012] + [0.012] * 2 + [0.024] * 2 + [0.060] * 2 + [0.046] * 2
                       + [0.034] * 2 + [0.105] * 2 + [0.062] * 2 + [0.042] * 2)  # fmt: skip


def head_height(shape: Shape) -> float:
    """Height from chin to crown, millimetres."""
    return 0.13 * shape.stature * shape.head


def in_head(points: np.ndarray, shape: Shape) -> np.ndarray:
    """Converts points `[..., 3]` from head heights above the chin to mm in the head frame."""
    return (points + _CHIN) * head_height(shape)


def coco_joints(skeleton: Skeleton3D, shape: Shape) -> np.ndarray:
    """COCO keypoints `[17, 3]`, millimetres, in the frame of `skeleton`."""
    head = FRAME["head"]
    face = _FACE * head_height(shape) @ skeleton.rotation[head].T + skeleton.origin[head]
    return np.concatenate([face, skeleton.origin[list(_LIMB_JOINTS)]])
