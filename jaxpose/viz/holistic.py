"""Bodies with hands and faces, each drawn by its own skeleton and in its own width."""

from collections.abc import Sequence

import numpy as np

from jaxpose.skeletons import BLAZEPOSE33, HAND21, Skeleton
from jaxpose.skeletons.facemesh468 import CONTOURS, FACEMESH468
from jaxpose.skeletons.holistic543 import PARTS
from jaxpose.viz.people import draw_people

# Points of the body in whose place a hand or a face is drawn.
_OF_HANDS = tuple(
    f"{side}_{finger}" for side in ("left", "right") for finger in ("pinky", "index", "thumb")
)
_OF_FACES = BLAZEPOSE33.keypoints[:11]
# Widths of lines by the sizes of the parts, relative to that of a body.
_HAND, _FACE = 2.5, 0.35
_CONTOUR = [FACEMESH468.index(name) for name in CONTOURS.keypoints]


def draw_holistic(
    image: np.ndarray,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    *,
    scores: np.ndarray,
    boxes_xywh: np.ndarray | None = None,
    labels: Sequence[str] | None = None,
    min_score: float = 0.3,
    colors: np.ndarray | None = None,
    line_width: float | None = None,
) -> np.ndarray:
    """Copy of an image with bodies, a colour for each finger, and thin contours of faces.

    Args:
      image: uint8 [H, W, 3] RGB.
      keypoints: [P, 543, 2] (x, y) in image pixels.
      skeleton: `skeletons.HOLISTIC543`.
      scores: [P, 543] in [0, 1].
      boxes_xywh, labels, min_score, colors: as for `draw_people`.
      line_width: width of the limbs of bodies in image pixels; None follows their sizes.
    """
    del skeleton
    rows = {name: rows for name, (rows, _) in PARTS.items()}
    found = {name: scores[:, of].max(axis=1) >= min_score for name, of in rows.items()}
    body = scores[:, rows["body"]].copy()
    for name in _OF_HANDS:
        body[found[f"{name.partition('_')[0]}_hand"], BLAZEPOSE33.index(name)] = 0
    for name in _OF_FACES:
        body[found["face"], BLAZEPOSE33.index(name)] = 0
    canvas = draw_people(
        image,
        keypoints[:, rows["body"]],
        BLAZEPOSE33,
        scores=body,
        boxes_xywh=boxes_xywh,
        labels=labels,
        min_score=min_score,
        colors=colors,
        line_width=line_width,
    )
    if not len(keypoints):
        return canvas
    for name, part, width in (
        ("face", CONTOURS, _FACE),
        ("left_hand", HAND21, _HAND),
        ("right_hand", HAND21, _HAND),
    ):
        chosen = _CONTOUR if name == "face" else slice(None)
        points, certainty = keypoints[:, rows[name]][:, chosen], scores[:, rows[name]][:, chosen]
        sizes = width * np.ptp(points, axis=1).max(axis=-1)
        canvas = draw_people(
            canvas, points, part, scores=certainty, min_score=min_score, sizes=sizes, colors=colors
        )
    return canvas
