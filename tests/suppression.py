"""Greedy non-maximum suppression in plain numpy, to compare with."""

import numpy as np


def plain(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, iou: float, limit: int
) -> list[int]:
    """Indices of the boxes `[N, 4]` (x1, y1, x2, y2) that are kept, best first."""
    waiting = [i for i in np.argsort(-scores, kind="stable") if scores[i] >= threshold]
    kept: list[int] = []
    while waiting and len(kept) < limit:
        best, *waiting = waiting
        kept.append(best)
        waiting = [i for i in waiting if overlap(boxes[best], boxes[i]) <= iou]
    return kept


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes (x1, y1, x2, y2); 0 without areas."""
    shared = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0).prod()
    union = sum(np.maximum(box[2:] - box[:2], 0).prod() for box in (a, b)) - shared
    return float(shared / union) if union > 0 else 0.0
