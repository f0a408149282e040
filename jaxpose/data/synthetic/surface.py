"""Skin and clothes of a body as quads: tubes of elliptic rings carried by rigid frames."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from jaxpose.data.synthetic.body import FRAME, Shape, Skeleton3D, head_height, in_head

SEGMENTS = 10  # quads around a tube; segment 0 faces forward (upward on a foot)

# One ring: frame, centre (x, y, z), half-depth along u, half-width along v; statures. Tubes of the
# trunk and limbs lie along z with u = x (front) and v = y; feet lie along x with u = z.
_TORSO = (
    ("pelvis", 0.000, -0.070, 0.016, 0.022),
    ("pelvis", -0.004, -0.048, 0.054, 0.064),
    ("pelvis", -0.008, -0.015, 0.070, 0.092),
    ("pelvis", -0.005, 0.025, 0.067, 0.092),
    ("lumbar", 0.002, 0.010, 0.062, 0.083),
    ("lumbar", 0.004, 0.052, 0.060, 0.078),
    ("chest", 0.003, 0.010, 0.065, 0.085),
    ("chest", 0.006, 0.055, 0.071, 0.095),
    ("chest", 0.002, 0.098, 0.064, 0.094),
    ("chest", -0.002, 0.124, 0.052, 0.084),
    ("chest", -0.005, 0.142, 0.043, 0.062),
    ("chest", -0.007, 0.156, 0.035, 0.041),
    ("neck", -0.002, 0.016, 0.031, 0.031),
    ("neck", 0.002, 0.034, 0.030, 0.030),
    ("head", 0.012, 0.015, 0.028, 0.028),
)
_ARM = (  # z is a fraction of the segment's length, from its upper end
    ("shoulder_half", 0.13, 0.012, 0.008),
    ("shoulder_half", 0.07, 0.034, 0.025),
    ("arm", -0.06, 0.039, 0.034),
    ("arm", -0.26, 0.035, 0.032),
    ("arm", -0.55, 0.031, 0.029),
    ("arm", -0.82, 0.027, 0.025),
    ("elbow_half", 0.0, 0.025, 0.024),
    ("forearm", -0.20, 0.027, 0.025),
    ("forearm", -0.50, 0.024, 0.021),
    ("forearm", -0.80, 0.017, 0.015),
    ("forearm", -1.0, 0.016, 0.013),
)
_HAND = (
    ("hand", 0.0, 0.0, 0.014, 0.011),
    ("hand", 0.002, -0.022, 0.022, 0.012),
    ("hand", 0.002, -0.050, 0.025, 0.012),
    ("hand", 0.001, -0.075, 0.022, 0.009),
    ("hand", 0.000, -0.098, 0.012, 0.006),
)
_LEG = (
    ("hip_half", 0.20, 0.030, 0.030),
    ("hip_half", 0.06, 0.054, 0.046),
    ("thigh", -0.12, 0.054, 0.049),
    ("thigh", -0.40, 0.048, 0.044),
    ("thigh", -0.70, 0.041, 0.038),
    ("thigh", -0.90, 0.036, 0.034),
    ("knee_half", 0.0, 0.036, 0.033),
    ("shin", -0.12, 0.034, 0.031),
    ("shin", -0.32, 0.037, 0.033),
    ("shin", -0.60, 0.030, 0.027),
    ("shin", -0.86, 0.022, 0.020),
    ("shin", -1.0, 0.021, 0.019),
)
_FOOT = (  # x, z of the centre; half-height, half-width
    ("foot", -0.044, -0.020, 0.010, 0.010),
    ("foot", -0.036, -0.014, 0.024, 0.020),
    ("foot", -0.004, -0.008, 0.032, 0.024),
    ("foot", 0.045, -0.021, 0.021, 0.027),
    ("foot", 0.085, -0.026, 0.014, 0.030),
    ("foot", 0.112, -0.029, 0.009, 0.018),
)
_SKULL = (  # head heights from the chin: x and z of the centre, half-depth, half-width
    (0.22, -0.02, 0.08, 0.08),
    (0.18, 0.03, 0.20, 0.17),
    (0.10, 0.16, 0.31, 0.27),
    (0.03, 0.34, 0.38, 0.31),
    (0.00, 0.52, 0.425, 0.33),
    (-0.01, 0.70, 0.42, 0.325),
    (-0.02, 0.86, 0.34, 0.27),
    (-0.03, 0.97, 0.18, 0.15),
    (-0.03, 1.00, 0.03, 0.03),
)
SKULL_LEVEL = np.array([(a[1] + b[1]) / 2 for a, b in pairwise(_SKULL)])
_HAIR_RINGS = 6
_SKIRT_RINGS = 5
_PROP_RINGS = 5

TUBES = ("torso", "skull", "hair", "left_arm", "right_arm", "left_hand", "right_hand", "left_leg",
         "right_leg", "left_foot", "right_foot", "skirt", "prop")  # fmt: skip
_RINGS = {"torso": len(_TORSO), "skull": len(_SKULL), "hair": _HAIR_RINGS, "arm": len(_ARM),
          "hand": len(_HAND), "leg": len(_LEG), "foot": len(_FOOT), "skirt": _SKIRT_RINGS,
          "prop": _PROP_RINGS}  # fmt: skip
# Does u x v point from a ring to the next one? The sign separates a quad's outside from its inside.
_RISING = {"torso", "skull", "hair"}


def _ring_slices() -> dict[str, slice]:
    slices, start = {}, 0
    for tube in TUBES:
        count = _RINGS[tube.split("_")[-1]]
        slices[tube] = slice(start, start + count)
        start += count
    return slices


RINGS = _ring_slices()
NUM_RINGS = RINGS["prop"].stop
# Band b joins ring b and ring b + 1 of one tube.
BAND_RING = np.concatenate([np.arange(s.start, s.stop - 1) for s in RINGS.values()])
BANDS = {t: slice(s.start - i, s.stop - 1 - i) for i, (t, s) in enumerate(RINGS.items())}
_THETA = (np.arange(SEGMENTS) - 0.5) * (2 * np.pi / SEGMENTS)
_CIRCLE = np.stack([np.cos(_THETA), np.sin(_THETA)], axis=1)  # [S, 2]


def _quads() -> np.ndarray:
    """Vertex numbers of the quads `[4, bands * S]`, counter-clockwise from outside.

    vertex = ring * S + segment.
    """
    ring = BAND_RING[:, None] * SEGMENTS
    here = np.arange(SEGMENTS)[None, :]
    there = (here + 1) % SEGMENTS
    rising = np.zeros((len(BAND_RING), 1), bool)
    for tube in _RISING:
        rising[BANDS[tube]] = True
    below, above = ring, ring + SEGMENTS
    low, high = np.where(rising, below, above), np.where(rising, above, below)
    return np.stack([low + here, low + there, high + there, high + here]).reshape(4, -1)


QUADS = _quads()
FACE_PARTS = ("left_eye", "right_eye", "left_iris", "right_iris", "left_brow", "right_brow",
              "mouth", "nose_left", "nose_right", "nose_base", "left_ear", "right_ear",
              "left_ear_back", "right_ear_back")  # fmt: skip


def _face_quads() -> np.ndarray:
    """Quads of the facial features `[len(FACE_PARTS), 4, 3]`, in head heights from the chin."""

    def plate(x: float, y: float, z: float, width: float, height: float, turn: float) -> np.ndarray:
        """Patch with diamond corners whose outward normal is turned `turn` degrees to the left."""
        c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
        across = np.array([-s, c, 0.0]) * width / 2
        up = np.array([0.0, 0.0, height / 2])
        centre = np.array([x, y, z])
        return np.stack([centre - across - up, centre + across - up,
                         centre + across + up, centre - across + up])  # fmt: skip

    def mirrored(quad: np.ndarray) -> np.ndarray:
        return (quad * np.array([1.0, -1.0, 1.0]))[::-1]

    eye = plate(0.415, 0.140, 0.50, 0.13, 0.060, 22)
    iris = plate(0.420, 0.138, 0.50, 0.060, 0.062, 22)
    brow = plate(0.425, 0.145, 0.575, 0.17, 0.032, 22)
    mouth = plate(0.415, 0.0, 0.19, 0.24, 0.050, 0)
    bridge, tip, base = [0.44, 0.0, 0.49], [0.545, 0.0, 0.335], [0.41, 0.0, 0.285]
    wing = [0.425, 0.075, 0.295]
    nose = np.array([bridge, tip, wing, wing])
    nose_base = np.array([tip, wing, base, [wing[0], -wing[1], wing[2]]])
    ear = np.array([[0.10, 0.325, 0.33], [-0.03, 0.385, 0.36], [-0.06, 0.39, 0.52],
                    [0.08, 0.335, 0.53]])[::-1]  # fmt: skip
    return np.stack([eye, mirrored(eye), iris, mirrored(iris), brow, mirrored(brow), mouth, nose,
                     mirrored(nose), nose_base, ear, mirrored(ear), ear[::-1],
                     mirrored(ear[::-1])])  # fmt: skip


_FACE = _face_quads()
NUM_FACES = QUADS.shape[1] + len(_FACE)


def _faces_of(*tubes: str) -> np.ndarray:
    """Boolean `[NUM_FACES]`: True for faces that belong to these tubes."""
    bands = np.zeros((len(BAND_RING), SEGMENTS), bool)
    for tube in tubes:
        bands[BANDS[tube]] = True
    return np.concatenate([bands.ravel(), np.zeros(len(_FACE), bool)])


OF_HEAD = _faces_of("skull", "hair") | (np.arange(NUM_FACES) >= QUADS.shape[1])
OF_PROP = _faces_of("prop")


def _static() -> tuple[np.ndarray, ...]:
    """Frame `[R]`, centre `[R, 3]`, half-axes u, v `[R, 3]` of every ring, in statures."""
    frame = np.zeros(NUM_RINGS, np.int64)
    centre, u, v = (np.zeros((NUM_RINGS, 3)) for _ in range(3))
    for row, (name, x, z, depth, width) in zip(
        range(RINGS["torso"].start, RINGS["torso"].stop), _TORSO, strict=True
    ):
        frame[row], centre[row], u[row, 0], v[row, 1] = FRAME[name], (x, 0, z), depth, width
    length = {"shoulder_half": 0.186, "arm": 0.186, "elbow_half": 0.186, "forearm": 0.146,
              "hip_half": 0.245, "thigh": 0.245, "knee_half": 0.245, "shin": 0.246}  # fmt: skip
    for side in ("left", "right"):
        sign = 1.0 if side == "left" else -1.0
        for part, table in (("arm", _ARM), ("leg", _LEG)):
            for i, (name, z, depth, width) in enumerate(table):
                row = RINGS[f"{side}_{part}"].start + i
                frame[row], u[row, 0], v[row, 1] = FRAME[f"{side}_{name}"], depth, width
                centre[row, 2] = z * length[name]
                if name in ("shoulder_half", "hip_half"):  # the root leans into the trunk
                    centre[row, 1] = -sign * (0.010 if z < 0.1 else 0.022)
        for i, (name, x, z, depth, width) in enumerate(_HAND):
            row = RINGS[f"{side}_hand"].start + i
            frame[row], centre[row] = FRAME[f"{side}_{name}"], (x, 0, z)
            u[row, 0], v[row, 1] = depth, width
        for i, (name, x, z, depth, width) in enumerate(_FOOT):
            row = RINGS[f"{side}_foot"].start + i
            frame[row], centre[row] = FRAME[f"{side}_{name}"], (x, 0, z)
            u[row, 2], v[row, 1] = depth, width
    for tube in ("skull", "hair"):
        frame[RINGS[tube]] = FRAME["head"]
    return frame, centre, u, v


RING_FRAME, _RING_CENTRE, _RING_U, _RING_V = _static()


@dataclass(frozen=True)
class Prop:
    """Object in a hand or on the back, as five rings.

    Centre, u and v are `[5, 3]`, millimetres in `frame`; each next ring is on the side of v x u.
    """

    frame: str
    centre: np.ndarray
    u: np.ndarray
    v: np.ndarray


@dataclass(frozen=True)
class Outfit:
    """Changes of the surface's form: looseness of cloth, hair, hat, skirt and a carried object.

    thickness: `[R]` factors on the rings' half-axes. hair_low: lowest level of the hair in head
    heights from the chin; hair_volume: factor on the skull. skirt: hem as a fraction of the leg (0
    no skirt, 1 knee, 2 ankle); skirt_flare: widening at the hem.
    """

    thickness: np.ndarray
    hair_low: float
    hair_volume: float
    skirt: float
    skirt_flare: float
    prop: Prop | None


def build(skeleton: Skeleton3D, shape: Shape, outfit: Outfit) -> np.ndarray:
    """Builds the quads of the body `[3, 4, NUM_FACES]` (x y z, corner, face).

    They are in millimetres in the frame of `skeleton`; corners run counter-clockwise as seen from
    outside. The first `QUADS.shape[1]` are the tubes' (band by band, `SEGMENTS` each), then
    `FACE_PARTS`.
    """
    h = shape.stature
    scale_u, scale_v = np.full(NUM_RINGS, shape.girth), np.full(NUM_RINGS, shape.girth)
    centre = _RING_CENTRE * h
    frame = RING_FRAME
    rows = np.arange(len(_TORSO))  # the torso's rings come first
    scale_v[rows[:4]] *= shape.hips
    scale_v[rows[4:6]] *= 0.35 + 0.65 * (shape.hips + shape.shoulders) / 2
    scale_v[rows[6:11]] *= shape.shoulders
    scale_u[rows[3:7]] *= shape.belly
    centre[rows[3:7], 0] += 0.5 * (shape.belly - 1.0) * 0.06 * h
    scale_u[rows[7]] *= 1.0 + 0.12 * shape.bust
    centre[rows[7], 0] += 0.010 * shape.bust * h
    scale_u[rows[12:]] = scale_v[rows[12:]] = 0.5 + 0.5 * shape.girth
    for side in ("left", "right"):
        scale_u[RINGS[f"{side}_hand"]] = scale_v[RINGS[f"{side}_hand"]] = 0.7 + 0.3 * shape.girth
        scale_u[RINGS[f"{side}_foot"]] = 1.0
        scale_v[RINGS[f"{side}_foot"]] = 0.7 + 0.3 * shape.girth
        centre[RINGS[f"{side}_leg"], 2] *= shape.legs
    u = _RING_U * (h * scale_u * outfit.thickness)[:, None]
    v = _RING_V * (h * scale_v * outfit.thickness)[:, None]
    _place_head(centre, u, v, shape, outfit)
    if outfit.prop is not None:
        place = RINGS["prop"]
        frame = frame.copy()
        frame[place] = FRAME[outfit.prop.frame]
        centre[place], u[place], v[place] = outfit.prop.centre, outfit.prop.u, outfit.prop.v

    local = centre[:, None] + _CIRCLE[None, :, :1] * u[:, None] + _CIRCLE[None, :, 1:] * v[:, None]
    points = local @ skeleton.rotation[frame].transpose(0, 2, 1) + skeleton.origin[frame][:, None]
    if outfit.skirt > 0:
        points[RINGS["skirt"]] = _skirt(skeleton, shape, outfit, points)
    head = FRAME["head"]
    face = in_head(_FACE, shape) @ skeleton.rotation[head].T + skeleton.origin[head]
    tubes = points.reshape(-1, 3).T[:, QUADS]
    return np.concatenate([tubes, face.transpose(2, 1, 0)], axis=2)


def hair_levels(low: float, part: np.ndarray) -> np.ndarray:
    """Heights of the hair's rings in head heights from the chin (`part` 0 lowest, 1 crown).

    Rings are denser near the crown, where the outline curves most.
    """
    return low + (1.0 - low) * (1.0 - (1.0 - part) ** 1.6)


def _place_head(
    centre: np.ndarray, u: np.ndarray, v: np.ndarray, shape: Shape, outfit: Outfit
) -> None:
    """Fills the rows of the skull and the hair in place."""
    skull = np.array(_SKULL)
    size = head_height(shape)
    levels = hair_levels(outfit.hair_low, np.linspace(0.0, 1.0, _HAIR_RINGS))
    below = np.clip(levels, 0.36, 1.0)
    hair = np.stack([np.interp(below, skull[:, 1], skull[:, k]) for k in range(4)], axis=1)
    hair[:, 1] = levels + (outfit.hair_volume - 1.0) * 0.5 * np.clip(levels, 0.0, 1.0)
    hair[:, 2:] = hair[:, 2:] * outfit.hair_volume + 0.01
    hair[:, 0] -= 0.03
    for tube, rows in (("skull", skull), ("hair", hair)):
        place = RINGS[tube]
        centre[place] = in_head(np.stack([rows[:, 0], 0 * rows[:, 0], rows[:, 1]], 1), shape)
        u[place] = 0.0
        v[place] = 0.0
        u[place, 0] = rows[:, 2] * size
        v[place, 1] = rows[:, 3] * size


def _skirt(skeleton: Skeleton3D, shape: Shape, outfit: Outfit, points: np.ndarray) -> np.ndarray:
    """Rings `[5, S, 3]` from the waist down to a hem that spans both legs."""
    rings = np.empty((_SKIRT_RINGS, SEGMENTS, 3))
    waist, hips = RINGS["torso"].start + 3, RINGS["torso"].start + 2
    middle = points[[waist, hips]].mean(axis=1, keepdims=True)
    rings[:2] = middle + (points[[waist, hips]] - middle) * 1.07
    pelvis = skeleton.rotation[FRAME["pelvis"]]
    hip, knee, ankle = (
        skeleton.origin[[FRAME[f"left_{part}"], FRAME[f"right_{part}"]]]
        for part in ("thigh", "shin", "foot")
    )
    for i, part in enumerate((0.45, 0.75, 1.0)):
        reach = part * outfit.skirt
        legs = hip + (knee - hip) * min(reach, 1.0) + (ankle - knee) * max(reach - 1.0, 0.0)
        apart = legs[0] - legs[1]
        along = legs.mean(axis=0) - hip.mean(axis=0)
        along /= np.linalg.norm(along) + 1e-9
        gap = float(np.linalg.norm(apart))
        side = pelvis[:, 1] + apart / max(gap, 0.06 * shape.stature)
        side -= along * (side @ along)
        side /= np.linalg.norm(side) + 1e-9
        front = np.cross(along, side)
        radius = shape.stature * shape.girth * (0.060 + 0.030 * outfit.skirt_flare * part)
        wide = abs(float(apart @ side)) / 2 + radius
        deep = abs(float(apart @ front)) / 2 + radius
        rings[2 + i] = (legs.mean(axis=0)[None] + _CIRCLE[:, :1] * front[None] * deep
                        + _CIRCLE[:, 1:] * side[None] * wide)  # fmt: skip
    return rings
