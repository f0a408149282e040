"""Plausible body poses: families of joint angles with anatomical limits.

Angles are degrees in the body frame x forward, y left, z up; arms and legs hang straight down at
zero. Limb angles follow the left side; the right side is the mirror image of the same numbers, so
one table serves both.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError, nearest

PELVIS, LUMBAR, CHEST, NECK, HEAD = range(5)


@dataclass(frozen=True)
class Pose:
    """Joint angles of one body, degrees; rows of `[2, ...]` arrays are (left, right).

    trunk: `[5, 3]` side bend, forward bend, twist of pelvis (in the world), lumbar spine, chest,
        neck and head (each in its parent).
    arm: `[2, 3]` plane of elevation (0 forward, 90 sideways), elevation (0 hanging, 180 overhead)
        and axial rotation (positive outwards), as in the ISB recommendation (Wu et al. 2005).
    elbow: `[2, 2]` flexion, pronation.   wrist: `[2, 2]` flexion, deviation.
    leg: `[2, 3]` hip flexion, abduction, axial rotation.   knee: `[2]` flexion.
    ankle: `[2]` dorsiflexion.
    lift: height of the lowest point above the ground, millimetres.
    support: what carries the body: "feet", "seat" (a box under the pelvis), "ground" or "air".
    """

    trunk: np.ndarray
    arm: np.ndarray
    elbow: np.ndarray
    wrist: np.ndarray
    leg: np.ndarray
    knee: np.ndarray
    ankle: np.ndarray
    lift: float = 0.0
    support: str = "feet"


# Active ranges of motion of healthy adults, degrees, rounded (Kapandji, The Physiology of the
# Joints; AAOS Joint Motion). Arrays broadcast over the leading axes of the matching Pose field.
LIMITS: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "trunk": (
        -np.array([[180.0, 180, 180], [22, 20, 15], [18, 12, 30], [22, 30, 40], [20, 30, 40]]),
        np.array([[180.0, 180, 180], [22, 50, 15], [18, 30, 30], [22, 30, 40], [20, 25, 40]]),
    ),
    "arm": (np.array([-40.0, 0.0, -90.0]), np.array([150.0, 178.0, 85.0])),
    "elbow": (np.array([0.0, -80.0]), np.array([148.0, 80.0])),
    "wrist": (np.array([-60.0, -25.0]), np.array([70.0, 30.0])),
    "leg": (np.array([-28.0, -22.0, -38.0]), np.array([128.0, 60.0, 45.0])),
    "knee": (np.array(0.0), np.array(150.0)),
    "ankle": (np.array(-45.0), np.array(28.0)),
}

# Positions of an arm: mean and spread of (plane, elevation, axial, elbow flexion).
_ARM_STYLES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "hang": ((60, 11, -12, 14), (35, 6, 15, 11)),
    "loose": ((30, 18, -22, 40), (35, 10, 18, 20)),
    "hip": ((104, 46, -62, 102), (8, 7, 8, 10)),
    "pocket": ((125, 24, -38, 42), (12, 6, 10, 12)),
    "crossed": ((12, 28, -66, 98), (8, 8, 8, 10)),
    "front": ((20, 26, -30, 84), (15, 12, 14, 18)),
    "phone": ((52, 48, -12, 138), (15, 12, 12, 6)),
    "face": ((16, 48, -34, 124), (14, 12, 12, 10)),
    "point": ((22, 84, -15, 18), (28, 18, 20, 16)),
    "sideways": ((84, 84, 0, 20), (14, 18, 30, 18)),
    "wave": ((78, 104, 48, 62), (16, 18, 16, 28)),
    "up": ((55, 160, 5, 18), (30, 13, 20, 16)),
    "head": ((70, 128, 15, 125), (14, 10, 12, 12)),
    "thigh": ((22, 30, -18, 52), (12, 8, 12, 12)),
    "table": ((26, 34, -22, 78), (14, 10, 14, 14)),
    "back": ((150, 30, -55, 62), (5, 8, 12, 20)),
    "swing": ((10, 62, -30, 40), (22, 24, 20, 22)),
}
_STANDING_ARMS = {"hang": 30, "loose": 14, "hip": 9, "pocket": 8, "crossed": 5, "front": 11,
                  "phone": 4, "face": 5, "point": 4, "sideways": 3, "wave": 4, "back": 2,
                  "head": 1}  # fmt: skip
_SITTING_ARMS = {"thigh": 36, "table": 24, "front": 14, "face": 10, "crossed": 4, "phone": 4,
                 "loose": 5, "hang": 2, "wave": 1}  # fmt: skip
_SPORT_ARMS = {"swing": 30, "sideways": 16, "front": 16, "up": 10, "loose": 14, "wave": 10,
               "point": 4}  # fmt: skip


def clip(pose: Pose) -> Pose:
    """Clips every angle of `pose` to `LIMITS`."""
    inside = {name: np.clip(getattr(pose, name), *bounds) for name, bounds in LIMITS.items()}
    return Pose(**inside, lift=pose.lift, support=pose.support)


def _spread(rng: np.random.Generator, shape: int | tuple[int, ...]) -> np.ndarray:
    """Draws normal noise cut at two standard deviations."""
    return np.clip(rng.standard_normal(shape), -2.0, 2.0)


def _arms(rng: np.random.Generator, styles: dict[str, int], together: float = 0.5) -> np.ndarray:
    """Draws arm angles `[2, 4]`: both arms alike with probability `together`, else independent."""
    names = list(styles)
    weights = np.array(list(styles.values()), np.float64)
    first, second = rng.choice(len(names), size=2, p=weights / weights.sum())
    if rng.random() < together:
        second = first
    means, spreads = (np.array([_ARM_STYLES[names[i]][k] for i in (first, second)], np.float64)
                      for k in (0, 1))  # fmt: skip
    shared, own = _spread(rng, 4), _spread(rng, (2, 4))
    return means + spreads * (0.6 * shared[None, :] + 0.8 * own)


def _assemble(
    rng: np.random.Generator,
    *,
    arms: np.ndarray,
    hip: np.ndarray,
    knee: np.ndarray,
    ankle: np.ndarray,
    lean: float,
    pitch: float,
    spread: tuple[float, float] = (4.0, 4.0),
    roll: float = 0.0,
    twist: float = 0.0,
    lift: float = 0.0,
    support: str = "feet",
    gaze: float = 12.0,
) -> Pose:
    """Builds a pose from its sagittal angles.

    lean: forward inclination of the trunk in the world; pitch: that of the pelvis. The spine bends
    by the difference within its limits; the neck undoes part of the lean. spread: mean and spread
    of hip abduction. gaze: spread of the head's rotation.
    """
    bend = lean - pitch
    trunk = np.zeros((5, 3))
    trunk[PELVIS] = roll, pitch, 0.0
    trunk[LUMBAR] = -0.6 * roll, 0.58 * bend, 0.3 * twist
    trunk[CHEST] = -0.3 * roll, 0.42 * bend, 0.7 * twist
    trunk[NECK] = 0.0, 12.0 - 0.3 * lean, -0.3 * twist
    trunk[HEAD] = 0.0, -8.0 - 0.25 * lean, -0.3 * twist
    trunk[1:3] += _spread(rng, (2, 3)) * np.array([[3.0, 3.0, 4.0]])
    trunk[3:] += _spread(rng, (2, 3)) * np.array([[5.0, 9.0, 1.0]])
    turn = _spread(rng, 1)[0] * gaze
    trunk[3:, 2] += turn * np.array([0.8, 1.0])
    leg = np.empty((2, 3))
    leg[:, 0] = hip
    leg[:, 1] = spread[0] + spread[1] * _spread(rng, 2)
    leg[:, 2] = 6.0 + 0.4 * leg[:, 1] + 7.0 * _spread(rng, 2)
    elbow = np.stack([arms[:, 3], 25.0 * _spread(rng, 2)], axis=1)
    wrist = _spread(rng, (2, 2)) * np.array([[18.0, 8.0]])
    return Pose(trunk, arms[:, :3], elbow, wrist, leg, np.asarray(knee, np.float64),
                np.asarray(ankle, np.float64), lift, support)  # fmt: skip


def _standing(rng: np.random.Generator, arms: np.ndarray | None = None) -> Pose:
    """Upright pose with the weight on both feet or on one."""
    arms = _arms(rng, _STANDING_ARMS, 0.55) if arms is None else arms
    knee = np.abs(_spread(rng, 2)) * 4.0
    relaxed = rng.random() < 0.35
    roll = 0.0
    if relaxed:  # the free knee bends and the pelvis drops on that side
        side = int(rng.integers(2))
        knee[side] += rng.uniform(10, 28)
        roll = (3.0 if side == 0 else -3.0) * rng.random()
    lean = 2.0 + 4.0 * _spread(rng, 1)[0]
    return _assemble(rng, arms=arms, hip=0.55 * knee + 2.0 * _spread(rng, 2), knee=knee,
                     ankle=0.45 * knee, lean=lean, pitch=0.4 * lean, roll=roll,
                     spread=(5.0, 5.0), gaze=18.0)  # fmt: skip


def _arms_raised(rng: np.random.Generator) -> Pose:
    return _standing(rng, _arms(rng, {"up": 50, "wave": 30, "head": 12, "sideways": 20}, 0.7))


def _reaching(rng: np.random.Generator) -> Pose:
    """Pose with one arm stretched out; the trunk turns and leans in its direction."""
    arms = _arms(rng, {"loose": 5, "hang": 3, "front": 2}, 0.0)
    side = int(rng.integers(2))
    arms[side] = (rng.uniform(-10, 95), rng.uniform(60, 150), 15 * _spread(rng, 1)[0],
                  abs(_spread(rng, 1)[0]) * 16)  # fmt: skip
    lean = rng.uniform(-2, 38)
    knee = np.abs(_spread(rng, 2)) * 16.0
    pitch = 0.55 * lean
    return _assemble(rng, arms=arms, hip=pitch + 0.6 * knee, knee=knee, ankle=0.4 * knee,
                     lean=lean, pitch=pitch, twist=(-1) ** (side + 1) * rng.uniform(0, 28),
                     spread=(9.0, 7.0), roll=5.0 * _spread(rng, 1)[0])  # fmt: skip


def _gait(rng: np.random.Generator, speed: float) -> Pose:
    """One moment of a stride at a random phase; `speed` 0 walks slowly and 1 sprints.

    Hip and knee follow the first harmonics of recorded gait (Winter, Biomechanics and Motor Control
    of Human Movement): the knee bends most while the thigh swings forward.
    """
    phase = rng.uniform(0, 2 * np.pi) + np.array([0.0, np.pi])
    swing = 22.0 + 22.0 * speed + 4.0 * _spread(rng, 1)[0]
    hip = 6.0 + 14.0 * speed + swing * np.cos(phase)
    lift = np.maximum(np.cos(phase + 1.25), 0.0)
    knee = 8.0 + 10.0 * speed + (52.0 + 48.0 * speed) * lift**1.5
    arm_swing = (20.0 + 26.0 * speed) * np.cos(phase + np.pi)
    arms = np.empty((2, 4))
    forward = arm_swing > 0
    arms[:, 0] = np.where(forward, 12.0, 148.0) + 10.0 * _spread(rng, 2)
    arms[:, 1] = np.abs(arm_swing) + 7.0
    arms[:, 2] = np.where(forward, -22.0, -8.0) + 8.0 * _spread(rng, 2)
    arms[:, 3] = 16.0 + 66.0 * speed + 0.3 * arm_swing + 10.0 * _spread(rng, 2)
    if speed < 0.3 and rng.random() < 0.3:
        side = int(rng.integers(2))
        arms[side] = _arms(rng, _STANDING_ARMS)[side]
    lean = 3.0 + 11.0 * speed + 3.0 * _spread(rng, 1)[0]
    ankle = 0.35 * knee - 0.25 * np.maximum(-hip, 0.0) - 14.0 * lift
    airborne = speed > 0.4 and rng.random() < 0.45
    return _assemble(rng, arms=arms, hip=hip, knee=knee, ankle=ankle, lean=lean, pitch=0.6 * lean,
                     spread=(1.0, 2.5), twist=float(arm_swing[0] - arm_swing[1]) * -0.14,
                     lift=rng.uniform(20, 120) if airborne else 0.0,
                     support="air" if airborne else "feet")  # fmt: skip


def _walking(rng: np.random.Generator) -> Pose:
    return _gait(rng, rng.uniform(0.0, 0.25))


def _running(rng: np.random.Generator) -> Pose:
    return _gait(rng, rng.uniform(0.5, 1.0))


def _sitting(rng: np.random.Generator) -> Pose:
    """Pose on a seat, upright or leaning, with feet under the seat or stretched out."""
    pitch = rng.uniform(-24, 6)
    lean = pitch + rng.uniform(0, 42)
    hip = 84.0 + pitch + 8.0 * _spread(rng, 2)
    shin = rng.choice([-12.0, 5.0, 32.0], p=[0.3, 0.5, 0.2]) + 7.0 * _spread(rng, 2)
    knee = np.clip(hip - pitch - shin, 20, 125)
    return _assemble(rng, arms=_arms(rng, _SITTING_ARMS, 0.6), hip=hip, knee=knee,
                     ankle=knee - hip + pitch, lean=lean, pitch=pitch, spread=(11.0, 8.0),
                     support="seat", gaze=18.0)  # fmt: skip


def _ground_sitting(rng: np.random.Generator) -> Pose:
    """Sitting pose on the floor: legs stretched out, drawn up, or crossed."""
    style = rng.integers(3)
    pitch = rng.uniform(-28, -4)
    arms = _arms(rng, {"thigh": 4, "front": 3, "back": 3, "loose": 2, "face": 1}, 0.6)
    if style == 0:
        hip, knee = 82.0 + pitch + 6 * _spread(rng, 2), np.abs(_spread(rng, 2)) * 14
    elif style == 1:
        hip = 122.0 + pitch + 7 * _spread(rng, 2)
        knee = 98.0 + 14 * _spread(rng, 2)
    else:
        hip, knee = 88.0 + pitch + 6 * _spread(rng, 2), 118.0 + 10 * _spread(rng, 2)
    pose = _assemble(rng, arms=arms, hip=hip, knee=knee, ankle=np.array([-12.0, -12.0]),
                     lean=pitch + rng.uniform(5, 40), pitch=pitch, spread=(8.0, 5.0),
                     support="ground", gaze=18.0)  # fmt: skip
    if style == 2:
        pose.leg[:, 1:] = np.array([[44.0, 38.0]]) + 5.0 * _spread(rng, (2, 2))
    return pose


def _squatting(rng: np.random.Generator) -> Pose:
    """Squat on flat feet; the depth varies from a crouch to the heels."""
    depth = rng.uniform(0.45, 1.0)
    knee = 130.0 * depth + 6.0 * _spread(rng, 2)
    shin = 14.0 + 16.0 * depth
    thigh = knee.mean() - shin  # forward inclination of the thigh from hanging
    lean = rng.uniform(14, 48)
    pitch = 0.55 * lean
    arms = _arms(rng, {"front": 4, "thigh": 4, "point": 3, "loose": 2, "face": 1}, 0.75)
    return _assemble(rng, arms=arms, hip=thigh + pitch + 3.0 * _spread(rng, 2), knee=knee,
                     ankle=np.full(2, shin), lean=lean, pitch=pitch,
                     spread=(17.0, 8.0))  # fmt: skip


def _kneeling(rng: np.random.Generator) -> Pose:
    """Pose on both knees, or on one with the other foot forward."""
    lean = rng.uniform(0, 30)
    pitch = 0.5 * lean
    back = rng.uniform(-5, 18)  # the kneeling thigh leans back over the heels
    hip = np.array([pitch + back, pitch + back])
    knee = np.array([90.0 + back, 90.0 + back])
    ankle = np.array([-35.0, -35.0])
    if rng.random() < 0.6:
        side = int(rng.integers(2))
        hip[side], knee[side], ankle[side] = 86 + pitch, 86 + rng.uniform(-8, 16), 4.0
    return _assemble(rng, arms=_arms(rng, {"front": 4, "thigh": 4, "loose": 3, "point": 2}),
                     hip=hip, knee=knee, ankle=ankle, lean=lean, pitch=pitch, spread=(6.0, 5.0),
                     support="ground")  # fmt: skip


def _bending(rng: np.random.Generator) -> Pose:
    """Pose bent at the hips, with the hands near the knees or the floor."""
    lean = rng.uniform(40, 105)
    knee = np.abs(_spread(rng, 2)) * 12 + rng.uniform(0, 30)
    shin = 0.3 * knee.mean()
    pitch = 0.68 * lean
    arms = np.empty((2, 4))
    arms[:, 0] = 20.0 + 12.0 * _spread(rng, 2)
    arms[:, 1] = np.clip(lean * rng.uniform(0.55, 1.1), 25, 120) + 8.0 * _spread(rng, 2)
    arms[:, 2] = -14.0 + 10.0 * _spread(rng, 2)
    arms[:, 3] = np.abs(_spread(rng, 2)) * 26.0
    return _assemble(rng, arms=arms, hip=pitch + knee - shin, knee=knee, ankle=np.full(2, shin),
                     lean=lean, pitch=pitch, spread=(7.0, 5.0),
                     twist=10.0 * _spread(rng, 1)[0])  # fmt: skip


def _jumping(rng: np.random.Generator) -> Pose:
    """Pose off the ground: tucked, stretched or with the legs apart."""
    style = rng.integers(3)
    if style == 0:
        hip, knee = rng.uniform(55, 105, 2), rng.uniform(70, 125, 2)
    elif style == 1:
        hip, knee = rng.uniform(-18, 25, 2), rng.uniform(5, 75, 2)
    else:
        hip, knee = np.array([rng.uniform(40, 85), rng.uniform(-25, 5)]), rng.uniform(0, 60, 2)
    lean = rng.uniform(-10, 25)
    return _assemble(rng, arms=_arms(rng, {"up": 5, "sideways": 4, "wave": 4, "swing": 3}, 0.6),
                     hip=hip, knee=knee, ankle=rng.uniform(-40, 0, 2), lean=lean,
                     pitch=0.6 * lean, spread=(12.0, 9.0), twist=8.0 * _spread(rng, 1)[0],
                     roll=7.0 * _spread(rng, 1)[0], lift=rng.uniform(120, 600),
                     support="air")  # fmt: skip


def _athletic(rng: np.random.Generator) -> Pose:
    """Sports pose: knees bent, feet apart, trunk forward, arms in use (ski, bat, racket)."""
    knee = rng.uniform(22, 75) + 12.0 * _spread(rng, 2)
    shin = np.clip(0.36 * knee, 5, 27)
    lean = rng.uniform(8, 48)
    pitch = 0.6 * lean
    stagger = rng.uniform(-16, 16) * np.array([1.0, -1.0])
    return _assemble(rng, arms=_arms(rng, _SPORT_ARMS, 0.6), hip=pitch + knee - shin + stagger,
                     knee=knee, ankle=shin + 0.4 * stagger, lean=lean, pitch=pitch,
                     spread=(17.0, 9.0), twist=15.0 * _spread(rng, 1)[0],
                     roll=5.0 * _spread(rng, 1)[0])  # fmt: skip


def _lying(rng: np.random.Generator) -> Pose:
    """Pose on the back, the front or a side."""
    pose = _assemble(
        rng,
        arms=_arms(rng, {"hang": 4, "head": 3, "sideways": 3, "up": 2, "front": 3}, 0.4),
        hip=np.abs(_spread(rng, 2)) * 22.0,
        knee=np.abs(_spread(rng, 2)) * 34.0,
        ankle=np.full(2, -22.0),
        lean=0.0,
        pitch=0.0,
        spread=(8.0, 6.0),
        twist=8.0 * _spread(rng, 1)[0],
        support="ground",
    )
    face_down = rng.random() < 0.3
    pitch = 90.0 if face_down else -90.0
    pose.trunk[PELVIS] = _spread(rng, 1)[0] * 8.0, pitch + 6.0 * _spread(rng, 1)[0], 0.0
    if rng.random() < 0.35:
        pose.trunk[PELVIS, 0] += rng.choice([-1.0, 1.0]) * rng.uniform(40, 90)
    if face_down:
        pose.leg[:, 0] *= 0.3
    return pose


# Share of each family; people in images mostly stand, walk and sit, and sports are frequent.
FAMILIES: dict[str, tuple[Callable[[np.random.Generator], Pose], float]] = {
    "standing": (_standing, 0.27),
    "walking": (_walking, 0.13),
    "running": (_running, 0.07),
    "sitting": (_sitting, 0.14),
    "ground_sitting": (_ground_sitting, 0.03),
    "squatting": (_squatting, 0.05),
    "kneeling": (_kneeling, 0.03),
    "reaching": (_reaching, 0.06),
    "arms_raised": (_arms_raised, 0.06),
    "bending": (_bending, 0.04),
    "jumping": (_jumping, 0.04),
    "athletic": (_athletic, 0.06),
    "lying": (_lying, 0.02),
}
_NAMES = tuple(FAMILIES)
_SHARES = np.cumsum([share for _, share in FAMILIES.values()])


def sample(rng: np.random.Generator, family: str | None = None) -> Pose:
    """Draws a random pose inside the joint limits, of `family` or of one drawn by its share.

    Left and right are exchanged with probability one half, so that no family favours a side.

    Raises:
        InputError: there is no such family.
    """
    if family is not None and family not in FAMILIES:
        raise InputError(f"No family of poses is called {family!r}.{nearest(family, FAMILIES)}")
    if family is None:
        family = _NAMES[int(np.searchsorted(_SHARES, rng.random() * _SHARES[-1]))]
    pose = clip(FAMILIES[family][0](rng))
    if rng.random() < 0.5:
        pose.trunk[:, ::2] *= -1.0
        pose = Pose(pose.trunk, pose.arm[::-1], pose.elbow[::-1], pose.wrist[::-1],
                    pose.leg[::-1], pose.knee[::-1], pose.ankle[::-1], pose.lift,
                    pose.support)  # fmt: skip
    return pose
