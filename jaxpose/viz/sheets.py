"""Images side by side: contact sheets, training samples with their targets, predictions."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from jaxpose.errors import InputError
from jaxpose.geometry import Udp
from jaxpose.skeletons import Skeleton
from jaxpose.viz.heatmaps import draw_heatmaps
from jaxpose.viz.people import as_rgb, draw_people
from jaxpose.viz.text import caption_strip

_PAPER = 30

# Mean and standard deviation of ImageNet, on a scale of 0 to 255, as in
# `tasks.topdown.augment.normalize`. A test checks that the two are inverse.
_MEAN = np.array([123.675, 116.28, 103.53], dtype=np.float32)
_STD = np.array([58.395, 57.12, 57.375], dtype=np.float32)


def contact_sheet(
    images: Sequence[np.ndarray],
    *,
    columns: int | None = None,
    captions: Sequence[str] | None = None,
    pad: int = 6,
) -> np.ndarray:
    """Joins many images to one, row by row; columns are as wide as their widest image.

    Args:
      images: uint8 images [H, W, 3] RGB or [H, W]; sizes may differ, none is scaled.
      columns: cells in a row; None makes the sheet about square.
      captions: one line under each image, or None.
      pad: pixels between and around the cells.

    Raises:
      InputError: no images, or another number of captions than of images.
    """
    pictures = [as_rgb(image) for image in images]
    if not pictures:
        raise InputError("a contact sheet needs at least one image.")
    if captions is not None and len(captions) != len(pictures):
        raise InputError(f"{len(captions)} captions for {len(pictures)} images.")
    width = max(picture.shape[1] for picture in pictures)
    if columns is None:
        tallest = max(picture.shape[0] for picture in pictures)
        columns = max(1, round(math.sqrt(len(pictures) * tallest / width)))
    columns = min(max(1, columns), len(pictures))
    strip = 0 if captions is None else int(np.clip(width / 18, 18, 60))
    gap = np.full((pad, columns * (width + pad) + pad, 3), _PAPER, dtype=np.uint8)
    bands = [gap]
    for first in range(0, len(pictures), columns):
        row = pictures[first : first + columns]
        height = max(picture.shape[0] for picture in row)
        band = np.full((height + strip, gap.shape[1], 3), _PAPER, dtype=np.uint8)
        for i, picture in enumerate(row):
            h, w = picture.shape[:2]
            x, y = pad + i * (width + pad), (height - h) // 2
            left = x + (width - w) // 2
            band[y : y + h, left : left + w] = picture
            if captions is not None:
                text = captions[first + i]
                band[height:, x : x + width] = caption_strip(text, width, strip, _PAPER)
        bands += [band, gap]
    return np.concatenate(bands)


def sample_sheet(
    images: np.ndarray,
    keypoints: np.ndarray,
    visible: np.ndarray,
    skeleton: Skeleton,
    *,
    heatmaps: np.ndarray | None = None,
    udp: Udp = False,
    captions: Sequence[str] | None = None,
    columns: int | None = None,
    min_side: int = 256,
) -> np.ndarray:
    """Draws training inputs with their targets: image | keypoints [ | heatmaps ].

    Args:
      images: [N, H, W, 3] input crops, uint8 or float as `augment.normalize` returns them.
      keypoints: [N, K, 2] input pixels.
      visible: [N, K] 0 not labelled (not drawn), 1 occluded (hollow), 2 visible.
      skeleton: the skeleton of K keypoints.
      heatmaps: [N, h, w, K] targets for a third panel, or None.
      udp: alignment of heatmap cells with the input, see `draw_heatmaps`.
      captions: N lines, or None.
      columns: samples in a row; None makes the sheet about square.
      min_side: crops with a longer side below this are enlarged by a whole factor before drawing.
    """
    crops = to_uint8(images)
    points = np.asarray(keypoints, dtype=np.float64)
    seen = np.asarray(visible)
    zoom = max(1, math.ceil(min_side / max(crops.shape[1:3])))
    panels = []
    for i, crop in enumerate(crops):
        large, placed = _enlarge(crop, points[i], zoom)
        size = [0.8 * max(large.shape[:2])]  # a crop contains its person and a margin
        people = draw_people(large, placed[None], skeleton, visible=seen[i][None], sizes=size)
        row = [large, people]
        if heatmaps is not None:
            over = draw_heatmaps(crop, heatmaps[i], skeleton=skeleton, udp=udp)
            row.append(_enlarge(over, points[i], zoom)[0])
        panels.append(_side_by_side(row))
    return contact_sheet(panels, columns=columns, captions=captions)


def comparison(
    image: np.ndarray,
    keypoints: np.ndarray,
    truth: np.ndarray,
    skeleton: Skeleton,
    *,
    scores: np.ndarray | None = None,
    visible: np.ndarray | None = None,
    min_score: float = 0.0,
    min_side: int = 360,
) -> np.ndarray:
    """Draws the ground truth beside the prediction: truth | prediction.

    White lines join each predicted point to its label.

    Args:
      image: uint8 [H, W, 3] RGB, an image or a crop.
      keypoints: [P, K, 2] predicted, image pixels.
      truth: [P, K, 2] labelled, image pixels, the same people in the same order.
      skeleton: the skeleton of K keypoints.
      scores: [P, K] of the prediction, or None.
      visible: [P, K] of the labels, or None; unlabelled keypoints are still drawn as predicted.
      min_score: the lowest score that is drawn; all by default, to show every error.
      min_side: an image with a longer side below this is enlarged by a whole factor before drawing.
    """
    picture = as_rgb(image)
    zoom = max(1, math.ceil(min_side / max(picture.shape[:2])))
    large, labelled = _enlarge(picture, np.asarray(truth, dtype=np.float64), zoom)
    _, predicted = _enlarge(picture, np.asarray(keypoints, dtype=np.float64), zoom)
    seen = np.full(labelled.shape[:2], 2) if visible is None else np.asarray(visible)
    known = (seen > 0) & np.isfinite(labelled).all(axis=-1)
    # Both panels use the same line widths, by the size of the labels if there are enough of them.
    extents = [
        np.clip(true[mask] if mask.sum() >= 4 else guess, 0, max(large.shape[:2]))
        for true, guess, mask in zip(labelled, predicted, known, strict=True)
    ]
    sizes = [1.1 * np.ptp(points, axis=0).max() for points in extents]
    left = draw_people(large, labelled, skeleton, visible=seen, sizes=sizes)
    right = draw_people(large, predicted, skeleton, scores=scores, min_score=min_score, sizes=sizes)
    certain = np.full(known.shape, True) if scores is None else np.asarray(scores) >= min_score
    errors = known & certain & np.isfinite(predicted).all(axis=-1)
    _draw_lines(right, predicted[errors], labelled[errors])
    return contact_sheet([left, right], columns=2, captions=["ground truth", "prediction"])


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Converts images [..., 3] from `augment.normalize` back to uint8; uint8 images stay."""
    array = np.asarray(images)
    if array.dtype == np.uint8:
        return array
    if array.shape[-1:] != (3,):
        raise InputError(f"images must be [..., H, W, 3], not {list(array.shape)}.")
    levels = array.astype(np.float32) * _STD + _MEAN
    return np.clip(np.rint(np.nan_to_num(levels)), 0, 255).astype(np.uint8)


def _enlarge(image: np.ndarray, points: np.ndarray, zoom: int) -> tuple[np.ndarray, np.ndarray]:
    """Enlarges an image `zoom` times and moves points on it (pixel centres at integers)."""
    if zoom == 1:
        return image, points
    size = (image.shape[1] * zoom, image.shape[0] * zoom)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), (points + 0.5) * zoom - 0.5


def _draw_lines(image: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
    """Draws thin lines in place, white on black; points [M, 2] in pixels."""
    thickness = max(1, round(max(image.shape[:2]) / 700))
    limit = 4 * max(image.shape[:2])
    for color, width in (((16, 16, 16), thickness + 2), ((255, 255, 255), thickness)):
        for start, end in zip(starts, ends, strict=True):
            a, b = np.rint(np.clip([start, end], -limit, limit) * 16).astype(int).tolist()
            cv2.line(image, a, b, color, width, cv2.LINE_AA, 4)


def _side_by_side(images: Sequence[np.ndarray], gap: int = 2) -> np.ndarray:
    bar = np.full((images[0].shape[0], gap, 3), _PAPER, dtype=np.uint8)
    parts = [part for image in images for part in (image, bar)]
    return np.concatenate(parts[:-1], axis=1)
