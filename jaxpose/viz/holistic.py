"""Bodies with hands and faces, each drawn by its own skeleton and in its own width."""

import numpy as np

from jaxpose.skeletons import BLAZEPOSE33, HAND21, Skeleton
from jaxpose.skeletons.facemesh468 import CONTOURS, FACEMESH468
from jaxpose.skeletons.holistic543 import PARTS
from jaxpose.viz.people import draw_people

# Points of the body that hands and faces show better.
_OF_HANDS = tuple(
    f"{side}_{finger}" for side in ("left", "right") for finger in ("pinky", "index", "thumb")
)
_OF_FACES = BLAZEPOSE33.keypoints[:11]
# Widths of lines by the sizes of the parts, relative to that of a body.
_HAND, _FACE = 2.5, 0.35


def draw_holistic(
    image: np.ndarray,
    keypoints: np.ndarray,
    *,
    scores: np.ndarray,
    boxes_xywh: np.ndarray | None = None,
    labels: list[str] | None = None,
    min_score: float = 0.3,
) -> np.ndarray:
    """Copy of an image with bodies, fingers in a colour each, and contours of faces.

    Args:
      image: uint8 [H, W, 3] RGB.
      keypoints: [P, 543, 2] (x, y) in image pixels, in the order of `skeletons.HOLISTIC543`.
      scores: [P, 543] in [0, 1].
      boxes_xywh: [P, 4] image pixels, drawn as thin frames, or None.
      labels: P texts to draw above the people, or None.
      min_score: the lowest score that is drawn.
    """
    found = {name: scores[:, rows].max(axis=1) >= min_score for name, (rows, _) in PARTS.items()}
    body = scores[:, PARTS["body"][0]].copy()
    hands = found["left_hand"], found["right_hand"]
    for name in _OF_HANDS:
        hidden = hands[0] if name.startswith("left") else hands[1]
        body[hidden, BLAZEPOSE33.index(name)] = 0
    for name in _OF_FACES:
        body[found["face"], BLAZEPOSE33.index(name)] = 0
    canvas = draw_people(
        image,
        keypoints[:, PARTS["body"][0]],
        BLAZEPOSE33,
        scores=body,
        boxes_xywh=boxes_xywh,
        labels=labels,
        min_score=min_score,
    )
    rows = PARTS["face"][0]
    contour = [FACEMESH468.index(name) for name in CONTOURS.keypoints]
    canvas = _draw_part(
        canvas,
        keypoints[:, rows][:, contour],
        scores[:, rows][:, contour],
        CONTOURS,
        _FACE,
        min_score,
    )
    for side in ("left_hand", "right_hand"):
        rows = PARTS[side][0]
        canvas = _draw_part(canvas, keypoints[:, rows], scores[:, rows], HAND21, _HAND, min_score)
    return canvas


def _draw_part(
    canvas: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    skeleton: Skeleton,
    width: float,
    min_score: float,
) -> np.ndarray:
    if not len(keypoints):
        return canvas
    sizes = width * np.ptp(keypoints, axis=1).max(axis=-1)
    return draw_people(canvas, keypoints, skeleton, scores=scores, min_score=min_score, sizes=sizes)
