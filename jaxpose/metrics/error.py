"""Errors of keypoints: in pixels (EPE), in a length of the face or person (NME), and AUC of PCK.

NME means nothing without its normaliser, so the functions below make the published ones.
"""

from dataclasses import dataclass

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.metrics.pck import normalised_distances, pck
from jaxpose.skeletons import Skeleton

EYE_CORNERS: dict[str, tuple[int, int]] = {
    "300w": (36, 45),
    "coco_wholebody_face": (36, 45),
    "wflw": (60, 72),
    "cofw": (8, 9),
    "lapa": (66, 79),
}
"""Indices of the outer corners of both eyes, in the order of each data set's keypoints."""


def epe(predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray) -> float:
    """End-point error: the mean distance over all labelled keypoints, in the unit of `truth`.

    Arguments and errors as in `jaxpose.metrics.pck.normalised_distances`; -1 without any.
    """
    return nme(predicted, truth, visible, np.ones(len(np.asarray(truth))))


def nme(
    predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray, normaliser: np.ndarray
) -> float:
    """Normalised mean error: the mean over all labelled keypoints of distance / normaliser.

    As a share, where papers on faces print per cent. Arguments and errors as in
    `jaxpose.metrics.pck.normalised_distances`; people without a normaliser are left out; -1
    without any.
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

    The mean of PCK (averaged over keypoints) at 0, 1, ... `steps` - 1 of `steps` parts: MMPose's
    definition for hands, where 30 px is usual; bounds count as correct. In [0, 1], -1 without a
    labelled keypoint.

    Args:
      predicted: `[N, K, D]`, truth: `[N, K, D]`, visible: `[N, K]`, in one frame.
      normaliser: a length for all, or `[N]`.
      steps: the number of thresholds.
    """
    lengths = np.broadcast_to(np.asarray(normaliser, np.float64), len(np.asarray(truth)))
    rates = [pck(predicted, truth, visible, lengths, i / steps).mean for i in range(steps)]
    return float(np.mean(rates))


def interocular(truth: np.ndarray, visible: np.ndarray, corners: tuple[int, int]) -> np.ndarray:
    """The distance between the outer corners of the eyes, the unit of 300W, COFW and WFLW.

    Args:
      truth: `[N, K, 2]`; visible: `[N, K]`.
      corners: their indices, from `EYE_CORNERS` or `eye_corners`.

    Returns:
      `[N]` float64, NaN where a corner is not labelled.

    Raises:
      InputError: fewer keypoints than the indices ask for.
    """
    points, labelled = np.asarray(truth, np.float64), np.asarray(visible) > 0
    if max(corners) >= points.shape[1]:
        raise InputError(
            f"the eye corners {corners} are not among {points.shape[1]} keypoints; these are "
            "annotations of another data set"
        )
    first, second = corners
    distance = np.linalg.norm(points[:, first] - points[:, second], axis=-1)
    return np.where(labelled[:, first] & labelled[:, second], distance, np.nan)


def eye_corners(skeleton: Skeleton) -> tuple[int, int] | None:
    """The indices of the outer corners of the eyes by name, None on a skeleton without them."""
    names = ("right_eye_outer_corner", "left_eye_outer_corner")
    if any(name not in skeleton.keypoints for name in names):
        return None
    return skeleton.index(names[0]), skeleton.index(names[1])


def box_lengths(box_xywh: np.ndarray) -> np.ndarray:
    """sqrt(width x height) of each box `[N, 4]`: the side of AFLW's square ones. `[N]` float64."""
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
        return Scored({"EPE": value}, {"EPE": "px of the photo"})


@dataclass(frozen=True)
class AUC(Metric):
    """`auc` as an object for a config: of PCK up to `up_to` pixels of the image."""

    up_to: float = 30.0
    steps: int = 20

    @property
    def figures(self) -> dict[str, Direction]:
        return {"AUC": "higher"}

    def __call__(self, estimates: Estimates) -> Scored:
        value = auc(
            estimates.keypoints, estimates.truth, estimates.labelled, self.up_to, self.steps
        )
        return Scored({"AUC": value}, {"AUC": f"of PCK, 0 to {self.up_to:g} px of the photo"})


@dataclass(frozen=True)
class NME(Metric):
    """`nme` as an object for a config.

    The unit is the distance between the outer eye corners or, on a skeleton without them, the side
    of the box.
    """

    @property
    def figures(self) -> dict[str, Direction]:
        return {"NME": "lower"}

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return ("box_xywh",) if eye_corners(skeleton) is None else ()

    def __call__(self, estimates: Estimates) -> Scored:
        corners = eye_corners(estimates.skeleton)
        if corners is None:
            lengths = box_lengths(estimates.column("box_xywh"))
            words = "sqrt(width x height) of the box"
        else:
            lengths = interocular(estimates.truth, estimates.visible, corners)
            words = "the distance between the outer eye corners"
        value = nme(estimates.keypoints, estimates.truth, estimates.labelled, lengths)
        return Scored({"NME": value}, {"NME": f"in units of {words}"})
