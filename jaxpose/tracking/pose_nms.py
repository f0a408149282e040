"""Suppression of duplicate people: similarity of poses, and selection of people."""

import numpy as np

from jaxpose import geometry
from jaxpose.metrics.oks import oks
from jaxpose.skeletons import Skeleton

# Share of the box that a person fills, by COCO's segmentations (MMPose uses the same).
_AREA_OF_BOX = 0.53
# For skeletons without published sigmas: about that of COCO's shoulders and wrists.
_SIGMA = 0.07

# From one frame to the next: enough for fast arms and for running at 5 Hz.
REACH = 0.2


def pose_similarity(
    a: np.ndarray,
    b: np.ndarray,
    skeleton: Skeleton,
    scores_a: np.ndarray,
    scores_b: np.ndarray,
    min_score: float = 0.3,
) -> np.ndarray:
    """Object keypoint similarity of all pairs of poses, symmetric in both.

    OKS as in `metrics.oks`, over the keypoints that score `min_score` in both, with the mean of
    both people's areas (0.53 of the box around their keypoints). Skeletons without published sigmas
    use 0.07 for every keypoint.

    Args:
      a: `[P, K, 2]` pixels.
      b: `[Q, K, 2]` pixels of the same image.
      scores_a, scores_b: `[P, K]`, `[Q, K]` in [0, 1].

    Returns:
      `[P, Q]` float64 in [0, 1]; 0 where no keypoint is visible in both.
    """
    seen_a, seen_b = scores_a >= min_score, scores_b >= min_score
    area_a, area_b = (
        _AREA_OF_BOX * np.prod(np.nan_to_num(box_around(x, s, min_score)[:, 2:]), axis=-1)
        for x, s in ((a, scores_a), (b, scores_b))
    )
    sigmas = np.full(skeleton.num_keypoints, _SIGMA)
    return oks(
        a[:, None],
        b[None],
        seen_a[:, None] & seen_b[None],
        np.maximum((area_a[:, None] + area_b[None]) / 2, 1.0),
        sigmas if skeleton.sigmas is None else skeleton.oks_sigmas(),
    )


def parametric_similarity(
    keypoints: np.ndarray,
    scores: np.ndarray,
    boxes_xywh: np.ndarray,
    *,
    certainty: float = 0.3,
    spread: float = 0.1,
    weight: float = 1.0,
) -> np.ndarray:
    """Similarity of all pairs of poses by matches of their keypoints and by distance.

    The parametric pose distance of RMPE (Fang et al. 2017, arXiv:1612.00137, eq. 8 to 10), divided
    by its largest value: keypoints within a tenth of the person's box match by tanh(score /
    certainty) of both, and distances count as exp(-d^2 / spread^2) in sides of the box.

    Args:
      keypoints: `[P, K, 2]` pixels of one image.
      scores: `[P, K]` in [0, 1].
      boxes_xywh: `[P, 4]` of the people.
      certainty: sigma_1 of the paper; a match of keypoints with lower scores counts less.
      spread: square root of the paper's sigma_2, in square roots of the area of the box.
      weight: lambda of the paper, of the second term.

    Returns:
      `[P, P]` float64 in [0, 1]; row i has the similarities of all with person i, in i's box.
    """
    apart = np.abs(keypoints[:, None] - keypoints[None])
    size = np.maximum(boxes_xywh[:, None, None, 2:], 1e-9)
    near = (apart <= size / 20).all(axis=-1)  # half of a tenth to each side
    sure = np.tanh(np.nan_to_num(scores) / certainty)
    matches = np.where(near, sure[:, None] * sure[None], 0.0).mean(axis=-1)
    scale = np.sqrt(np.prod(size, axis=-1))
    distance = np.linalg.norm(apart, axis=-1) / scale
    close = np.exp(-((np.nan_to_num(distance, nan=np.inf) / spread) ** 2)).mean(axis=-1)
    found: np.ndarray = (matches + weight * close) / (np.tanh(1 / certainty) ** 2 + weight)
    return found


def crop_similarity(
    keypoints: np.ndarray,
    boxes_xywh: np.ndarray,
    skeleton: Skeleton,
    padding: float,
    input_hw: tuple[int, int],
) -> np.ndarray:
    """Object keypoint similarity of all pairs of people that were predicted in crops.

    OKS over all keypoints with the mean area of both crops, as published for the suppression of
    duplicates on COCO (SimpleBaseline, HRNet, ViTPose, MMPose). Skeletons without published sigmas
    use 0.07 for every keypoint.

    Args:
      keypoints: `[P, K, 2]` pixels of one image.
      boxes_xywh: `[P, 4]`, the boxes that the crops were made from.
      padding: factor by which boxes are enlarged before they are cropped.
      input_hw: size of the crops, to whose aspect ratio boxes are extended.

    Returns:
      `[P, P]` float64 in [0, 1].
    """
    height, width = input_hw
    _, size = geometry.box_to_center_scale(boxes_xywh.astype(np.float64), padding)
    areas = np.prod(geometry.fix_aspect_ratio(size, width / height), axis=-1)
    count = skeleton.num_keypoints
    return oks(
        keypoints[:, None],
        keypoints[None],
        np.ones(count),
        (areas[:, None] + areas[None]) / 2,
        np.full(count, _SIGMA) if skeleton.sigmas is None else skeleton.oks_sigmas(),
    )


def box_around(
    keypoints: np.ndarray,
    scores: np.ndarray,
    min_score: float = 0.3,
    enlarge: float = 1.0,
    within: np.ndarray | None = None,
) -> np.ndarray:
    """Boxes `[P, 4]` (x, y, w, h) around the keypoints `[P, K, 2]` that score `min_score`.

    Args:
      keypoints: pixels.
      scores: `[P, K]`.
      min_score: keypoints with a lower score are ignored; NaN if fewer than two are left.
      enlarge: multiplies the size about the centre.
      within: `[P, 4]` boxes used for prediction. Parts that exceed them by more than `REACH` of
        their size are cut off, so that one keypoint far away has no effect.
    """
    seen = (scores >= min_score) & np.isfinite(keypoints).all(axis=-1)
    some = seen.sum(axis=1) >= 2
    low = np.where(seen[..., None], keypoints, np.inf).min(axis=1, initial=np.inf)
    high = np.where(seen[..., None], keypoints, -np.inf).max(axis=1, initial=-np.inf)
    low, high = (np.where(some[:, None], corner, np.nan) for corner in (low, high))
    size = (high - low) * enlarge
    low = (low + high - size) / 2
    high = low + size
    if within is not None:
        low = np.maximum(low, within[:, :2] - REACH * within[:, 2:])
        high = np.minimum(high, within[:, :2] + (1 + REACH) * within[:, 2:])
    return np.concatenate([low, high - low], axis=1)


def box_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union `[P, Q]` of boxes (x, y, w, h); 0 where one is not finite."""
    a, b = geometry.box_xywh_to_xyxy(a)[:, None], geometry.box_xywh_to_xyxy(b)[None]
    size = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.maximum(size, 0), axis=-1)
    whole = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1)
    return np.nan_to_num(shared / np.maximum(whole - shared, 1e-9))


def pose_nms(similarity: np.ndarray, scores: np.ndarray, threshold: float = 0.9) -> np.ndarray:
    """Selects people, best first, and drops those more similar than `threshold` to a better one.

    Args:
      similarity: `[P, P]`, for instance `pose_similarity`.
      scores: `[P]` of the people.

    Returns:
      int64 indices of the selected people, best first.

    Papandreou et al. 2017, arXiv:1701.01779, section 3.4 (OKS-NMS).
    """
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if not kept or (similarity[index, kept] <= threshold).all():
            kept.append(int(index))
    return np.array(kept, np.int64)


def soft_pose_nms(
    similarity: np.ndarray,
    scores: np.ndarray,
    sigma: float = 0.9,
    min_score: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowers scores instead of removing people: times exp(-similarity² / sigma) per better one.

    Args:
      similarity: `[P, P]`.
      scores: `[P]`.
      sigma: smaller values lower scores more.
      min_score: people whose lowered score is below it are removed.

    Returns:
      int64 indices of the remaining people, best first, and their lowered scores.

    Bodla et al. 2017, arXiv:1704.04503, equation 3.
    """
    lowered = np.array(scores, np.float64)
    left, order = list(range(len(lowered))), []
    while left:
        best = max(left, key=lambda i: lowered[i])
        left.remove(best)
        if lowered[best] < min_score:
            break
        order.append(best)
        lowered[left] *= np.exp(-(similarity[best, left] ** 2) / sigma)
    kept = np.array(order, np.int64)
    return kept, lowered[kept]
