"""Skeletons, boxes and labels drawn on an image, in proportion to each person."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.skeletons import Skeleton
from jaxpose.viz.text import draw_label

# Near-black edges and white rims keep every colour readable on any background.
_INK = (16, 16, 16)
_WHITE = (255, 255, 255)
_EDGE_OPACITY = 0.6
_FAINTEST = 0.35
_LINE_PER_SIZE = 0.014
_LINES_PER_PHOTO = 1400.0
_BAND = 512  # rows blended at a time: as floats, a whole image takes ten times its bytes
# Okabe and Ito's colours and three more, bright enough for thin lines on dark images.
_PEOPLE = np.array(
    [
        *((86, 180, 233), (230, 159, 0), (0, 190, 140), (240, 228, 66), (220, 130, 185)),
        *((235, 100, 30), (80, 130, 255), (175, 125, 235), (150, 220, 80), (255, 150, 150)),
    ],
    np.uint8,
)
_SHIFT = 6  # OpenCV takes fixed-point coordinates: 1/64 pixel


def draw_people(
    image: np.ndarray,
    keypoints: np.ndarray,
    skeleton: Skeleton,
    *,
    scores: np.ndarray | None = None,
    visible: np.ndarray | None = None,
    boxes_xywh: np.ndarray | None = None,
    labels: Sequence[str] | None = None,
    min_score: float = 0.3,
    sizes: Sequence[float] | np.ndarray | None = None,
    colors: np.ndarray | None = None,
    line_width: float | None = None,
) -> np.ndarray:
    """Copy of an image with people drawn on it.

    Limbs and points are coloured by side, by the skeleton's colours, or by person. Widths depend
    on each person's size. A point is not drawn if its score is below `min_score`, if it is not
    labelled (`visible` 0) or not finite; it fades as its score approaches `min_score`; it is hollow
    if it is occluded (`visible` 1).

    Args:
      image: uint8 [H, W, 3] RGB.
      keypoints: [P, K, 2] (x, y) in image pixels, pixel centres at integers.
      skeleton: the skeleton of K keypoints.
      scores: [P, K] in [0, 1], or None: all certain.
      visible: [P, K] 0, 1 or 2, or None: all visible.
      boxes_xywh: [P, 4] image pixels, drawn as thin frames, or None.
      labels: P texts to draw above the people, or None.
      min_score: the lowest score that is drawn.
      sizes: [P] apparent sizes of people in image pixels, for line widths; None takes the longer
        side of the box, or of the points where there is no box.
      colors: uint8 [P, 3] RGB, one colour for all limbs, points and the frame of each person
        (`person_colors`); None takes the skeleton's colours.
      line_width: width of limbs in image pixels for all people; None follows `sizes`.

    Raises:
      InputError: an array's shape does not fit the skeleton and the keypoints, or a line width that
        is not above 0.
    """
    canvas = as_rgb(image).copy()
    points = np.asarray(keypoints, dtype=np.float64)
    shape = (len(points), skeleton.num_keypoints)
    _expect("keypoints", points, (*shape, 2), skeleton)
    certainty = np.ones(shape) if scores is None else np.asarray(scores, dtype=np.float64)
    _expect("scores", certainty, shape, skeleton)
    seen = np.full(shape, 2) if visible is None else np.asarray(visible)
    _expect("visible", seen, shape, skeleton)
    boxes = None if boxes_xywh is None else np.asarray(boxes_xywh, dtype=np.float64)
    if boxes is not None:
        _expect("boxes_xywh", boxes, (len(points), 4), skeleton)
    if labels is not None and len(labels) != len(points):
        raise InputError(f"{len(labels)} labels for {len(points)} people.")

    if colors is not None:
        colors = np.asarray(colors)
        _expect("colors", colors, (len(points), 3), skeleton)
    if line_width is not None and not 0 < line_width < np.inf:
        raise InputError(f"line_width must be above 0 pixels, not {line_width}.")

    shown = np.isfinite(points).all(axis=-1) & (certainty >= min_score) & (seen > 0)
    fade = (certainty - min_score) / max(0.4 * (1.0 - min_score), 1e-6)
    opacity = np.where(shown, _FAINTEST + (1 - _FAINTEST) * np.clip(fade, 0, 1), 0)
    if sizes is None:
        limit = np.array(canvas.shape[1::-1])
        inside = [np.clip(points[p][shown[p]], 0, limit) for p in range(shape[0])]
        sizes = [_size(inside[p], None if boxes is None else boxes[p]) for p in range(shape[0])]
    extents = np.asarray(sizes, dtype=np.float64)
    _expect("sizes", extents, shape[:1], skeleton)
    diagonal = np.hypot(*canvas.shape[:2])
    extents = np.clip(np.nan_to_num(extents), 0, diagonal)
    finest = max(1.3, diagonal / _LINES_PER_PHOTO)
    lines = [line_width or max(finest, _LINE_PER_SIZE * size) for size in extents]
    if boxes is not None:
        for p, (box, line) in enumerate(zip(boxes, lines, strict=True)):
            color = _WHITE if colors is None else tuple(map(int, colors[p]))
            _draw_box(canvas, box, max(1, round(line / (4 if colors is None else 2.5))), color)
    # Larger people are nearer to the camera, so they are drawn over the others.
    for p in np.argsort(extents, kind="stable"):
        palette = _palette(skeleton, None if colors is None else colors[p])
        _draw_person(canvas, points[p], skeleton, palette, opacity[p], seen[p] == 1, lines[p])
    if labels is not None:
        for p, label in enumerate(labels):
            corner = _label_corner(points[p][shown[p]], None if boxes is None else boxes[p])
            if corner is not None and label:
                tall = canvas.shape[0]
                height = max(9.0, tall / 100, min(2.2 * lines[p], tall / 30))
                draw_label(canvas, label, corner, height)
    return canvas


def person_colors(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """Colours uint8 [P, 3] RGB of people by their numbers: ten that differ, then again."""
    return _PEOPLE[np.asarray(ids, np.int64) % len(_PEOPLE)]


def _palette(skeleton: Skeleton, color: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Colours of the limbs and of the keypoints; all are `color` if it is given."""
    limbs, keypoints = skeleton.limb_palette, skeleton.keypoint_palette
    if color is None:
        return limbs, keypoints
    return np.broadcast_to(color, limbs.shape), np.broadcast_to(color, keypoints.shape)


def as_rgb(image: np.ndarray) -> np.ndarray:
    """Converts a uint8 image [H, W], [H, W, 1] or [H, W, 3] to [H, W, 3]; InputError otherwise."""
    array = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 2 and array.dtype == np.uint8:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8 or array.size == 0:
        raise InputError(
            f"an image to draw on must be uint8 [H, W, 3] RGB, not {array.dtype} {array.shape}."
        )
    return np.ascontiguousarray(array)


def _expect(name: str, array: np.ndarray, shape: tuple[int, ...], skeleton: Skeleton) -> None:
    if array.shape != shape:
        raise InputError(
            f"`{name}` has shape {list(array.shape)};"
            f" {list(shape)} is needed with skeleton {skeleton.name!r}."
        )


def _size(points: np.ndarray, box: np.ndarray | None) -> float:
    """Apparent size of a person in pixels: the longer side of the box or of the points."""
    if box is not None and np.isfinite(box).all():
        return float(max(box[2], box[3]))
    return float(1.1 * np.ptp(points, axis=0).max()) if len(points) else 0.0


def _draw_person(
    canvas: np.ndarray,
    points: np.ndarray,
    skeleton: Skeleton,
    palette: tuple[np.ndarray, np.ndarray],
    opacity: np.ndarray,
    hollow: np.ndarray,
    line: float,
) -> None:
    """Draws one person in place, on a layer with its own opacity that is blended once.

    `palette`: colours of the limbs and of the keypoints.
    """
    limb_colors, keypoint_colors = palette
    height, width = canvas.shape[:2]
    # More than one image size outside, coordinates would overflow OpenCV's fixed point.
    inside = (np.abs(points) < 4 * np.array([width, height])[None, :]).all(axis=-1)
    drawn = (opacity > 0) & inside
    if not drawn.any():
        return
    limbs = [
        (i, j, color)
        for (i, j), color in zip(skeleton.limb_indices, limb_colors, strict=True)
        if drawn[i] and drawn[j]
    ]
    weight = _weights(points, limbs, drawn, line)
    margin = 2 * line + 3
    low = np.floor(points[drawn].min(axis=0) - margin).astype(int).clip(0)
    high = np.ceil(points[drawn].max(axis=0) + margin).astype(int) + 1
    high = np.minimum(high, [width, height])
    if (high <= low).any():
        return
    # Thin lines are drawn enlarged and averaged down to be smooth; thick ones do not need it.
    zoom = 4 if line < 4 else 2 if line < 10 else 1
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    layer: np.ndarray = np.full((size[1] * zoom, size[0] * zoom, 3), _INK, dtype=np.uint8)
    cover: np.ndarray = np.zeros(layer.shape[:2], dtype=np.uint8)
    place = (points - low[None, :] + 0.5) * zoom - 0.5
    edge = np.maximum(0.3, max(0.5, 0.2 * line) * weight)

    order = sorted(limbs, key=lambda limb: min(opacity[limb[0]], opacity[limb[1]]))
    for outline in (True, False):
        for i, j, color in order:
            thickness, rim = line * min(weight[i], weight[j]), min(edge[i], edge[j])
            alpha = min(opacity[i], opacity[j]) * (_EDGE_OPACITY if outline else 1)
            shape = capsule(place[i], place[j], zoom * (thickness / 2 + rim * outline))
            cv2.fillConvexPoly(cover, shape, 255 * alpha, cv2.LINE_AA, _SHIFT)
            if not outline:
                cv2.fillConvexPoly(layer, shape, color.tolist(), cv2.LINE_AA, _SHIFT)
    for k in np.flatnonzero(drawn)[np.argsort(opacity[drawn], kind="stable")]:
        color = keypoint_colors[k].tolist()
        radius = 1.15 * line * weight[k]
        ring, heart = (color, _INK) if hollow[k] else (_WHITE, color)
        inner = radius * (0.55 if hollow[k] else 0.72)
        for r, paint, alpha in (
            (radius + edge[k], _INK, _EDGE_OPACITY),
            (radius, ring, 1),
            (inner, heart, _EDGE_OPACITY if hollow[k] else 1),
        ):
            centre, reach = _fixed(place[k]), int(zoom * r * 2**_SHIFT)
            cv2.circle(cover, centre, reach, 255 * alpha * opacity[k], -1, cv2.LINE_AA, _SHIFT)
            cv2.circle(layer, centre, reach, paint, -1, cv2.LINE_AA, _SHIFT)
    if zoom > 1:
        layer = cv2.resize(layer, size, interpolation=cv2.INTER_AREA)
        cover = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    for top in range(0, len(part), _BAND):
        rows = slice(top, top + _BAND)
        share = cover[rows].astype(np.float32) / 255
        blended = cv2.blendLinear(np.ascontiguousarray(part[rows]), layer[rows], 1 - share, share)
        part[rows] = blended


def _weights(
    points: np.ndarray, limbs: list[tuple[int, int, np.ndarray]], drawn: np.ndarray, line: float
) -> np.ndarray:
    """Line weights [K] in [0.3, 1]: thinner where keypoints are close, as in faces and hands."""
    total, count = np.zeros(len(points)), np.zeros(len(points))
    for i, j, _ in limbs:
        length = np.linalg.norm(points[i] - points[j])
        for k in (i, j):
            total[k] += length
            count[k] += 1
    spacing = np.where(count > 0, total / np.maximum(count, 1), np.inf)
    if not limbs and drawn.sum() > 1:
        gaps = np.linalg.norm(points[:, None] - points[None, drawn], axis=-1)
        spacing = np.sort(np.nan_to_num(gaps, nan=np.inf), axis=1)[:, 1]
    return np.clip(spacing / (6 * line), 0.3, 1.0)


def capsule(start: np.ndarray, end: np.ndarray, radius: float) -> np.ndarray:
    """Line with round ends as a convex polygon in OpenCV's fixed point, int32 [M, 1, 2]."""
    along = np.arctan2(*(end - start)[::-1])
    turn = np.linspace(np.pi / 2, 3 * np.pi / 2, 13)
    arc = np.stack([np.cos(along + turn), np.sin(along + turn)], axis=-1) * radius
    polygon = np.concatenate([start[None, :] + arc, end[None, :] - arc])
    return np.rint(polygon * 2**_SHIFT).astype(np.int32)[:, None, :]


def _fixed(point: np.ndarray) -> tuple[int, int]:
    x, y = np.rint(point * 2**_SHIFT).astype(int).tolist()
    return x, y


def _draw_box(
    canvas: np.ndarray, box_xywh: np.ndarray, thickness: int, color: tuple[int, ...]
) -> None:
    if not np.isfinite(box_xywh).all():
        return
    height, width = canvas.shape[:2]
    x0, y0 = np.clip(np.rint(box_xywh[:2]), -8, [width + 8, height + 8]).astype(int).tolist()
    corner = np.rint(box_xywh[:2] + box_xywh[2:] - 1)
    x1, y1 = np.clip(corner, -8, [width + 8, height + 8]).astype(int).tolist()
    cv2.rectangle(canvas, (x0, y0), (x1, y1), _INK, thickness + 2, cv2.LINE_8)
    cv2.rectangle(canvas, (x0, y0), (x1, y1), color, thickness, cv2.LINE_8)


def _label_corner(points: np.ndarray, box: np.ndarray | None) -> tuple[float, float] | None:
    if box is not None and np.isfinite(box).all():
        return float(box[0]), float(box[1])
    if not len(points):
        return None
    return float(points[:, 0].min()), float(points[:, 1].min())
