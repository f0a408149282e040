"""Random clothes, hair and skin: the colour of every quad of a body's surface."""

from dataclasses import dataclass

import numpy as np

from jaxpose.data.synthetic.props import sample_prop
from jaxpose.data.synthetic.surface import (
    BAND_RING,
    BANDS,
    FACE_PARTS,
    NUM_FACES,
    NUM_RINGS,
    RINGS,
    SEGMENTS,
    SKULL_LEVEL,
    Outfit,
    hair_levels,
)

# Skin from very light to very dark, RGB; tones between neighbours are mixed.
_SKIN = np.array([[242, 210, 190], [226, 184, 156], [203, 152, 118], [168, 116, 84],
                  [122, 80, 58], [80, 53, 42]], np.float64)  # fmt: skip
_HAIR = np.array([[28, 24, 22], [44, 32, 26], [82, 56, 38], [128, 88, 52], [196, 160, 104],
                  [150, 146, 142], [120, 52, 30]], np.float64)  # fmt: skip
_CLOTH = np.array([[24, 25, 28], [235, 234, 230], [120, 122, 126], [38, 48, 78], [64, 84, 118],
                   [142, 128, 100], [92, 74, 58], [70, 78, 60]], np.float64)  # fmt: skip


@dataclass(frozen=True)
class Appearance:
    """Surface form and colours of one person.

    albedo: `[3, NUM_FACES]` RGB 0..255.   shown: bool `[NUM_FACES]`, True for quads that exist.
    """

    outfit: Outfit
    albedo: np.ndarray
    shown: np.ndarray


def vivid(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draws `[count, 3]` RGB colours of any hue, mostly not fully saturated."""
    hue, saturation, value = rng.random((3, count))
    saturation = 0.25 + 0.75 * saturation
    value = 0.2 + 0.8 * value
    wheel = np.abs((hue[:, None] * 6.0 - np.array([[3.0, 2.0, 4.0]])) % 6.0 - 3.0) - 1.0
    return 255.0 * value[:, None] * (1.0 - saturation[:, None] * np.clip(1.0 - wheel, 0, 1))


def _cloth(rng: np.random.Generator, count: int) -> np.ndarray:
    plain = _CLOTH[rng.integers(len(_CLOTH), size=count)] * (0.85 + 0.3 * rng.random((count, 1)))
    return np.where(rng.random((count, 1)) < 0.5, plain, vivid(rng, count))


def _limb_level(part: str) -> np.ndarray:
    """Position of each band along a limb: 0 at the trunk, 1 elbow or knee, 2 wrist or ankle."""
    count = BANDS[f"left_{part}"].stop - BANDS[f"left_{part}"].start
    joint = 6  # bands above the elbow or the knee
    middle = np.arange(count) + 0.5
    return np.where(middle < joint, middle / joint, 1 + (middle - joint) / (count - joint))


_ARM_LEVEL, _LEG_LEVEL = _limb_level("arm"), _limb_level("leg")


def sample_appearance(rng: np.random.Generator) -> Appearance:
    """Draws random skin, hair, shirt, trousers or skirt, and shoes."""
    u = rng.random(24)
    tone = u[0] ** 1.4 * (len(_SKIN) - 1.001)
    low = int(tone)
    skin = _SKIN[low] + (tone - low) * (_SKIN[low + 1] - _SKIN[low])
    shirt, second, bottom, shoe, sock, hat = _cloth(rng, 6)
    hair = _HAIR[rng.integers(len(_HAIR))] * (0.8 + 0.4 * u[1])

    sleeve = (0.0, 0.45, 0.75, 1.95)[int(np.searchsorted([0.13, 0.48, 0.6], u[2]))]
    skirted = u[3] < 0.15
    trouser = (0.35, 0.8, 1.3, 2.0)[int(np.searchsorted([0.06, 0.32, 0.38], u[4]))]
    if skirted:
        trouser = 2.0 if u[4] < 0.3 else 0.2
        bottom = shirt if u[5] < 0.45 else bottom  # a dress
    hem = (0.55 + 1.3 * u[16] ** 2) if skirted else 0.0
    bare_chest = not skirted and u[6] < 0.03
    suit = u[7] < 0.08 and not skirted
    if suit:
        bottom, sleeve, trouser = shirt, 1.95, 2.0

    albedo = np.empty((len(BAND_RING), SEGMENTS, 3))
    albedo[:] = skin
    torso = albedo[BANDS["torso"]]
    torso[:] = shirt
    torso[:3] = bottom  # crotch to the waist
    torso[11 if u[8] < 0.75 else 10 :] = skin
    if u[8] > 0.93:
        torso[11] = shirt  # a collar
    belt = u[9] < 0.25 and not skirted
    if bare_chest:
        torso[3:] = skin
    elif u[10] < 0.22:  # stripes across the body
        torso[3:11:2] = second
    elif u[10] < 0.34:  # an open jacket
        torso[3:11, :2] = second
        torso[3:11, -1:] = second
    elif u[10] < 0.46:  # a print on the front
        torso[6:8, :2] = second
        torso[6:8, -1:] = second
    elif u[10] < 0.52:  # blocks
        torso[3:11, ::2] = second
    elif u[10] < 0.58:
        torso[6:11] = second
    if belt:
        torso[3] = 0.35 * bottom
    for side in ("left", "right"):
        arm = albedo[BANDS[f"{side}_arm"]]
        if not bare_chest:
            arm[sleeve > _ARM_LEVEL] = second if 0.52 <= u[10] < 0.56 else shirt
            if u[10] < 0.22:
                arm[1::2][(sleeve > _ARM_LEVEL)[1::2]] = second
        leg = albedo[BANDS[f"{side}_leg"]]
        leg[trouser > _LEG_LEVEL] = bottom if not skirted else second * 0.6
        # A thigh that would come through the skirt moves the cloth outwards.
        leg[hem > _LEG_LEVEL] = bottom
        if u[11] < 0.1 and trouser > 1.5:
            leg[:, 3] = second  # a stripe down the seam
        foot = albedo[BANDS[f"{side}_foot"]]
        if u[12] < 0.88:
            foot[:] = shoe
            foot[:, SEGMENTS // 2 - 1 : SEGMENTS // 2 + 2] = 0.35 * shoe + 90  # the sole
            if trouser < 1.6 and u[13] < 0.7:
                leg[-1 - int(u[14] * 3) :] = sock
        if u[15] < 0.06:
            albedo[BANDS[f"{side}_hand"]] = sock  # gloves

    shown = np.ones((len(BAND_RING), SEGMENTS), bool)
    shown[BANDS["skirt"]] = skirted
    albedo[BANDS["skirt"]] = bottom
    if skirted and u[10] < 0.3:
        albedo[BANDS["skirt"]][1::2] = second
    prop = sample_prop(rng)
    shown[BANDS["prop"]] = prop is not None
    albedo[BANDS["prop"]] = hat
    hair_low, volume = _hair(albedo, shown, u, hair, hat)

    features = _features(u, skin, hair)
    grain = 1.0 + 0.08 * (rng.random((NUM_FACES, 1)) - 0.5)
    outfit = Outfit(
        thickness=_thickness(u, sleeve, trouser, bare_chest),
        hair_low=hair_low,
        hair_volume=volume,
        skirt=hem,
        skirt_flare=float(u[17]),
        prop=prop,
    )
    colours = np.concatenate([albedo.reshape(-1, 3), features]) * grain
    visible = np.concatenate([shown.ravel(), np.ones(len(FACE_PARTS), bool)])
    return Appearance(outfit, np.ascontiguousarray(np.clip(colours, 0, 255).T), visible)


def _hair(
    albedo: np.ndarray, shown: np.ndarray, u: np.ndarray, hair: np.ndarray, hat: np.ndarray
) -> tuple[float, float]:
    """Colours and cuts the hair or hat in place; returns its lowest level and its volume."""
    cover = BANDS["hair"]
    count = cover.stop - cover.start
    seg = np.arange(SEGMENTS)
    front = np.minimum(seg, SEGMENTS - seg)  # 0 faces forward
    if u[18] < 0.06:  # bald
        shown[cover] = False
        return 0.5, 1.03
    if u[18] < 0.24:  # a cap or a helmet covers the skull above the brow
        albedo[cover] = hat
        skull = albedo[BANDS["skull"]]
        skull[3:, 3:-2] = hair
        skull[5:] = hat
        return 0.64, 1.10 + 0.08 * u[20]
    albedo[cover] = hair
    low = float(np.where(u[19] < 0.55, 0.34 + 0.12 * u[20], -0.5 + 0.75 * u[20]))
    volume = 1.05 + 0.09 * u[21]
    levels = hair_levels(low, (np.arange(count) + 0.5) / count)
    hairline = 0.70 + 0.10 * u[22]

    def bare(height: np.ndarray) -> np.ndarray:
        face = (height[:, None] < hairline) & (front[None, :] <= 1)
        return face | ((height[:, None] < 0.56) & (front[None, :] <= 2))

    shown[cover] = ~bare(levels)
    # The scalp below has the hair's colour, so that no skin is visible at the border.
    albedo[BANDS["skull"]][~bare(SKULL_LEVEL) & (max(low, 0.3) < SKULL_LEVEL)[:, None]] = hair
    return low, volume


def _features(u: np.ndarray, skin: np.ndarray, hair: np.ndarray) -> np.ndarray:
    """Colours of the face, `[len(FACE_PARTS), 3]`."""
    lips = skin * np.array([0.88, 0.55, 0.55])
    glasses = u[23] < 0.12
    eye = np.array([225.0, 222.0, 218.0]) if not glasses else np.array([22.0, 22.0, 26.0])
    iris = np.array([46.0, 32.0, 24.0]) * (1.0 + u[1])
    iris = iris if not glasses else eye
    ear = skin * np.array([0.95, 0.84, 0.82])
    rows = [eye, eye, iris, iris, 0.6 * hair, 0.6 * hair, lips, skin * 1.04, skin * 1.04,
            skin * 0.72, ear, ear, ear * 0.85, ear * 0.85]  # fmt: skip
    return np.array(rows)


def _thickness(u: np.ndarray, sleeve: float, trouser: float, bare_chest: bool) -> np.ndarray:
    """Factors `[R]` by which cloth widens the body's rings."""
    loose = 1.02 + 0.16 * u[20] * u[21]
    factor = np.ones(NUM_RINGS)
    if not bare_chest:
        factor[RINGS["torso"]][3:11] = loose
    factor[RINGS["torso"]][:3] = 1.02 + 0.05 * u[22]
    wide = 1.03 + 0.30 * u[17] * u[16]
    for side in ("left", "right"):
        arm, leg = factor[RINGS[f"{side}_arm"]], factor[RINGS[f"{side}_leg"]]
        arm[:-1][sleeve > _ARM_LEVEL] *= 1.04 + 1.5 * (loose - 1.0)
        arm[:3] = np.minimum(arm[:3], 1.05)  # cloth hangs from the shoulder and does not widen it
        leg[:-1][trouser > _LEG_LEVEL] *= wide
        if trouser >= 2.0:
            leg[-4:] *= 1.0 + 1.2 * (wide - 1.0)  # trouser legs hide the ankle's taper
    return factor
