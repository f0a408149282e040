"""Objects that people carry: bats, rackets, balls, bags, telephones, rucksacks."""

import numpy as np

from jaxpose.data.synthetic.surface import Prop

# Rings of (position along the axis, two half-axes), millimetres. Axis "x" runs through the fist,
# "z" along the fingers; offsets shift the whole object in its frame.
_KINDS: dict[str, tuple[str, tuple[float, float, float], tuple[tuple[float, ...], ...]]] = {
    "bat": ("x", (0, 0, -60), ((-90, 4, 4), (-85, 16, 16), (250, 15, 15), (620, 33, 33),
                               (760, 20, 20))),
    "racket": ("x", (0, 0, -60), ((-90, 13, 13), (290, 12, 12), (380, 92, 7), (510, 128, 7),
                                  (640, 60, 6))),
    "ball": ("z", (0, -40, -70), ((-95, 5, 5), (-60, 78, 78), (0, 100, 100), (60, 78, 78),
                                  (95, 5, 5))),
    "bag": ("z", (0, 0, 0), ((75, 12, 6), (190, 30, 8), (200, 150, 55), (430, 165, 65),
                             (440, 10, 10))),
    "telephone": ("z", (15, -16, 0), ((20, 5, 1), (21, 36, 6), (90, 36, 6), (160, 36, 6),
                                      (161, 5, 1))),
    "cup": ("x", (30, -35, -70), ((-50, 2, 2), (-48, 32, 32), (0, 35, 35), (60, 40, 40),
                                  (61, 5, 5))),
    "rucksack": ("z", (-150, 0, 40), ((-190, 30, 60), (-170, 75, 130), (0, 100, 150),
                                      (190, 90, 150), (215, 20, 60))),
}  # fmt: skip
_NAMES = tuple(_KINDS)


def sample_prop(rng: np.random.Generator) -> Prop | None:
    """Draws an object to carry for about one person in five; None for the others."""
    u = rng.random(4)
    if u[0] > 0.2:
        return None
    name = _NAMES[int(u[1] * len(_NAMES))]
    axis, offset, rows = _KINDS[name]
    along, first, second = np.array(rows, np.float64).T * (0.75 + 0.5 * u[2])
    side = "left" if u[3] < 0.5 else "right"
    mirror = np.array([1.0, 1.0 if side == "left" else -1.0, 1.0])
    centre, one, other = (np.zeros((5, 3)) for _ in range(3))
    other[:, 1] = second
    if axis == "x":
        centre[:, 0], one[:, 2] = along, first
    else:
        centre[:, 2], one[:, 0] = -along, first
    frame = "chest" if name == "rucksack" else f"{side}_hand"
    return Prop(frame, centre + np.array(offset, np.float64) * mirror, one, other)
