"""Charts of the free body: 24 parts with the numbers of DensePose's.

U goes around the tube of a part, V along it. Torso, limbs and head have a chart for the front and
one for the back, hands and feet one in all, cut open at the outer side.
"""

from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from jaxpose.bodies.charts import PARTS, Atlas
from jaxpose.bodies.drawn import drawn_body, drawn_faces, tube_rings
from jaxpose.data.synthetic.surface import SEGMENTS

# Tube, first and last ring of the part, and its charts: back and front, or one.
_CHARTS = (
    ("torso", 0, 14, (1, 2)),
    ("right_hand", 0, 4, (3,)),
    ("left_hand", 0, 4, (4,)),
    ("left_foot", 0, 5, (5,)),
    ("right_foot", 0, 5, (6,)),
    ("right_leg", 0, 6, (7, 9)),
    ("left_leg", 0, 6, (8, 10)),
    ("right_leg", 6, 11, (11, 13)),
    ("left_leg", 6, 11, (12, 14)),
    ("left_arm", 0, 6, (15, 17)),
    ("right_arm", 0, 6, (16, 18)),
    ("left_arm", 6, 10, (19, 21)),
    ("right_arm", 6, 10, (20, 22)),
    ("skull", 0, 8, (23, 24)),
)
_MIRRORED = ((3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16), (17, 18), (19, 20),
             (21, 22))  # fmt: skip
_TOUCHING = (
    ("skull", "torso"),
    *((f"{side}_{end}", other) for side in ("left", "right")
      for end, other in (("arm", "torso"), ("leg", "torso"))),
    *((f"{side}_{end}", f"{side}_{limb}") for side in ("left", "right")
      for end, limb in (("hand", "arm"), ("foot", "leg"))),
)  # fmt: skip
_REACH = 50.0  # mm between tubes that touch
_HALF = SEGMENTS // 2
# Vertex i of a ring is at the angle (i - 1/2) 36 degrees from the front, to the body's left.
_LEFT_SIDE, _RIGHT_SIDE = 3, -2


@lru_cache(maxsize=1)
def drawn_atlas() -> Atlas:
    """Charts of the free body (`drawn_body`), on the triangles of `drawn_faces`."""
    faces = drawn_faces()
    ring, segment = np.divmod(faces, SEGMENTS)
    # First segment of the quad of each triangle, and which corners are on its other side.
    turns = np.array([[np.isin((s + 1) % SEGMENTS, row) & np.isin(s, row) for s in range(SEGMENTS)]
                      for row in segment])  # fmt: skip
    here = turns.argmax(axis=1)
    beyond = (segment != here[:, None]).astype(int)
    part, uv = np.zeros(len(faces), int), np.zeros((len(faces), 3, 2))
    for tube, first, last, charts in _CHARTS:
        start = tube_rings()[tube].start
        low, high = start + first, start + last
        inside = ((ring >= low) & (ring <= high)).all(axis=1)
        for number, chart in enumerate(charts):
            if len(charts) == 1:
                cut, width = (_LEFT_SIDE if tube.startswith("left") else _RIGHT_SIDE), SEGMENTS
            else:
                cut, width = (_LEFT_SIDE if number == 0 else _RIGHT_SIDE), _HALF
            turn = (here - cut) % SEGMENTS
            rows = np.flatnonzero(inside & (turn < width))
            part[rows] = chart
            uv[rows, :, 0] = (turn[rows, None] + beyond[rows]) / width
            uv[rows, :, 1] = (ring[rows] - low) / (high - low)
    mirror = np.arange(PARTS + 1)
    for left, right in _MIRRORED:
        mirror[[left, right]] = right, left
    return Atlas("drawn", faces, part, uv, mirror, _joins())


def _joins() -> np.ndarray:
    """Pairs of vertices `[E, 2]` at which tubes that touch are joined."""
    vertices, rings = np.asarray(drawn_body().template), tube_rings()
    pairs = []
    for tube, other in _TOUCHING:
        own, others = (
            np.arange(r.start * SEGMENTS, r.stop * SEGMENTS) for r in (rings[tube], rings[other])
        )
        away, near = cKDTree(vertices[others]).query(vertices[own])
        close = away <= max(_REACH, away.min())
        pairs.append(np.stack([own[close], others[near[close]]], axis=1))
    return np.concatenate(pairs)
