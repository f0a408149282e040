"""Keypoint errors: EPE (pixels), NME (relative to a length of the face or person), AUC of PCK.

An NME is comparable only with the same normaliser; functions here compute the published ones.
"""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.metrics.pck import normalised_distances, pck
from jaxpose.skeletons import AFLW19, Skeleton

EYE_CORNERS: dict[str, tuple[int, int]] = {
    "300w": (36, 45),
    "coco_wholebody_face": (36, 45),
    "wflw": (60, 72),
    "cofw": (8, 9),
    "lapa": (66, 79),
}
"""Indices of the outer corners of both eyes, in the order of each dataset's keypoints."""


def epe(predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray) -> float:
    """End-point error: the mean distance over all labelled keypoints, in the unit of `truth`.

    Arguments and errors are those of `jaxpose.metrics.pck.normalised_distances`. Returns -1 without
    a labelled keypoint.
    """
    return nme(predicted, truth, visible, np.ones(len(np.asarray(truth))))


def nme(
    predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray, normaliser: np.ndarray
) -> float:
    """Normalised mean error: the mean over all labelled keypoints of distance / normaliser.

    The value is a share; papers on faces print per cent. Arguments and errors are those of
    `jaxpose.metrics.pck.normalised_distances`. People without a normaliser are left out. Returns
    -1 if no keypoint is left.
    """
    distances = normalised_distances(predicted, truth, visible, normaliser)
    measured = distances[~np.isnan(distances)]
    return float(measured.mean()) if measured.size else -1.0


def auc(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    normaliser: np.ndarray | float = 30.0,
    steps: int = 20,
) -> float:
    """Area under the curve of PCK over its threshold, up to `normaliser`.

    It is the mean of PCK (averaged over keypoints) at the thresholds i / `steps` for i = 0, 1, ...
    `steps` - 1. This is MMPose's definition for hands, where 30 px is usual. A distance equal to
    the threshold counts as correct. The value is in [0, 1], -1 without a labelled keypoint.

    Args:
      predicted: `[N, K, D]`, truth: `[N, K, D]`, visible: `[N, K]`, in one frame.
      normaliser: one length for all people, or `[N]`.
      steps: the number of thresholds.
    """
    lengths = np.broadcast_to(np.asarray(normaliser, np.float64), len(np.asarray(truth)))
    rates = [pck(predicted, truth, visible, lengths, i / steps).mean for i in range(steps)]
    return float(np.mean(rates))


def interocular(truth: np.ndarray, visible: np.ndarray, corners: tuple[int, int]) -> np.ndarray:
    """Distance between the outer corners of the eyes, the normaliser of 300W, COFW and WFLW.

    Args:
      truth: `[N, K, 2]`; visible: `[N, K]`.
      corners: indices of the corners, from `EYE_CORNERS` or `eye_corners`.

    Returns:
      `[N]` float64, NaN where a corner is not labelled.

    Raises:
      InputError: an index is not below the number of keypoints.
    """
    points, labelled = np.asarray(truth, np.float64), np.asarray(visible) > 0
    if max(corners) >= points.shape[1]:
        raise InputError(
            f"the eye corners {corners} are not among {points.shape[1]} keypoints; these are "
            "annotations of another dataset"
        )
    first, second = corners
    distance = np.linalg.norm(points[:, first] - points[:, second], axis=-1)
    return np.where(labelled[:, first] & labelled[:, second], distance, np.nan)


def eye_corners(skeleton: Skeleton) -> tuple[int, int] | None:
    """Indices of the outer corners of the eyes, found by name; None if the skeleton has none."""
    names = ("right_eye_outer_corner", "left_eye_outer_corner")
    if any(name not in skeleton.keypoints for name in names):
        return None
    return skeleton.index(names[0]), skeleton.index(names[1])


def published_corners(skeleton: Skeleton) -> tuple[int, int] | None:
    """As `eye_corners`, but None for AFLW, which has the corners and is measured in boxes."""
    return None if skeleton.keypoints == AFLW19.keypoints else eye_corners(skeleton)


def box_lengths(box_xywh: np.ndarray) -> np.ndarray:
    """Side `[N]` float64 of the square with the area of each box `[N, 4]`, as AFLW has it."""
    box = np.asarray(box_xywh, np.float64)
    return np.sqrt(box[:, 2] * box[:, 3])


@dataclass(frozen=True)
class EPE(Metric):
    """`epe` as an object for a config: the mean error in pixels of the image."""

    @property
    def figures(self) -> dict[str, Direction]:
        return {"EPE": "lower"}

    def __call__(self, estimates: Estimates) -> Scored:
        value = epe(estimates.keypoints, estimates.truth, estimates.labelled)
        return Scored({"EPE": value}, {"EPE": "px of the image"})


@dataclass(frozen=True)
class AUC(Metric):
    """`auc` as an object for a config: the area under PCK up to `up_to` pixels of the image."""

    up_to: float = 30.0
    steps: int = 20

    @property
    def figures(self) -> dict[str, Direction]:
        return {"AUC": "higher"}

    def __call__(self, estimates: Estimates) -> Scored:
        value = auc(
            estimates.keypoints, estimates.truth, estimates.labelled, self.up_to, self.steps
        )
        return Scored({"AUC": value}, {"AUC": f"of PCK, 0 to {self.up_to:g} px of the image"})


@dataclass(frozen=True)
class NME(Metric):
    """`nme` as an object for a config.

    The normaliser is the distance between the outer eye corners or, for AFLW and for a skeleton
    without them, the square root of the box's area.
    """

    @property
    def figures(self) -> dict[str, Direction]:
        return {"NME": "lower"}

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return ("box_xywh",) if published_corners(skeleton) is None else ()

    def __call__(self, estimates: Estimates) -> Scored:
        corners = published_corners(estimates.skeleton)
        if corners is None:
            lengths = box_lengths(estimates.column("box_xywh"))
            words = "sqrt(width x height) of the box"
        else:
            lengths = interocular(estimates.truth, estimates.visible, corners)
            words = "the distance between the outer eye corners"
        value = nme(estimates.keypoints, estimates.truth, estimates.labelled, lengths)
        return Scored({"NME": value}, {"NME": f"in units of {words}"})
