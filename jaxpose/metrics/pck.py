"""PCK: the share of keypoints predicted within a fraction of a length of the person.

A keypoint is correct if |prediction - truth| <= alpha x normaliser. PCK depends on the normaliser,
so the caller gives it; the protocols of LSP and MPII are separate functions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jaxpose.errors import InputError
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.skeletons import Skeleton

# MPII leaves both out of its mean.
_NOT_IN_MPII_MEAN = ("pelvis", "thorax")


@dataclass(frozen=True)
class PCKCounts:
    """Counts of correct keypoints.

    Attributes:
      alpha: the threshold, in normalisers.
      correct: `[K]` int, correct ones among the labelled keypoints.
      labelled: `[K]` int, labelled keypoints of people whose normaliser is known.
      unmeasured: number of people left out because their normaliser is unknown.
    """

    alpha: float
    correct: np.ndarray
    labelled: np.ndarray
    unmeasured: int

    @property
    def per_keypoint(self) -> np.ndarray:
        """Share of correct keypoints `[K]`, float64 in [0, 1]; -1 for a keypoint without labels."""
        return np.where(self.labelled > 0, self.correct / np.maximum(self.labelled, 1), -1.0)

    @property
    def mean(self) -> float:
        """Mean over keypoints with at least one label (MMPose's average), -1 without any."""
        rates = self.per_keypoint[self.labelled > 0]
        return float(rates.mean()) if rates.size else -1.0

    def total(self, counted: np.ndarray | None = None) -> float:
        """Share over all labelled keypoints together (LSP's and MPII's mean), -1 without any.

        `counted` `[K]` bool limits it to some keypoints.
        """
        chosen = np.ones(len(self.labelled), bool) if counted is None else counted
        number = int(self.labelled[chosen].sum())
        return float(self.correct[chosen].sum() / number) if number else -1.0

    def per_joint(self, skeleton: Skeleton) -> dict[str, float]:
        """Rate of each joint, the mean of left and right, as in published tables."""
        rates = self.per_keypoint
        joints: dict[str, list[float]] = {}
        for name, rate in zip(skeleton.keypoints, rates, strict=True):
            joint = name if skeleton.side(name) == "centre" else _joint(name, skeleton)
            sides = joints.setdefault(joint, [])
            if rate >= 0:
                sides.append(float(rate))
        return {joint: float(np.mean(r)) if r else -1.0 for joint, r in joints.items()}


def normalised_distances(
    predicted: np.ndarray, truth: np.ndarray, visible: np.ndarray, normaliser: np.ndarray
) -> np.ndarray:
    """Compute distances between prediction and truth, divided by the normaliser.

    Args:
      predicted: `[N, K, D]` in the frame of `truth`; NaN counts as an infinite error.
      truth: `[N, K, D]`.
      visible: `[N, K]`, labelled where above 0.
      normaliser: `[N]` lengths in the same unit, or `[N, D]` one for each axis.

    Returns:
      `[N, K]` float64; NaN where not labelled or where the normaliser is not above 0.

    Raises:
      InputError: shapes that do not fit together.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    visible, normaliser = np.asarray(visible), np.asarray(normaliser, np.float64)
    if predicted.shape != truth.shape or visible.shape != truth.shape[:-1]:
        raise InputError(
            f"predictions {predicted.shape}, truth {truth.shape} and flags {visible.shape} must "
            "be [N, K, D], [N, K, D] and [N, K]"
        )
    if normaliser.shape not in ((len(truth),), (len(truth), truth.shape[-1])):
        raise InputError(
            f"normalisers of shape {normaliser.shape} for {len(truth)} people; give one length for "
            "each person"
        )
    lengths = normaliser.reshape(len(truth), 1, -1)
    lengths = np.where(np.isfinite(lengths) & (lengths > 0), lengths, np.nan)
    error = np.where(np.isnan(predicted), np.inf, predicted) - truth
    distances = np.linalg.norm(error / lengths, axis=-1)
    return np.where(visible > 0, distances, np.nan)


def pck(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    normaliser: np.ndarray,
    alpha: float,
) -> PCKCounts:
    """Count keypoints within `alpha` normalisers of the truth, `alpha` included.

    Arguments and errors are those of `normalised_distances`. Yang and Ramanan, "Articulated Human
    Detection with Flexible Mixtures of Parts", 2013.
    """
    distances = normalised_distances(predicted, truth, visible, normaliser)
    measured = ~np.isnan(distances)
    labelled = (np.asarray(visible) > 0).any(axis=1)
    return PCKCounts(
        alpha=alpha,
        correct=((distances <= alpha) & measured).sum(axis=0),
        labelled=measured.sum(axis=0),
        unmeasured=int((labelled & ~measured.any(axis=1)).sum()),
    )


def torso_diameters(truth: np.ndarray, visible: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Diagonal of each torso: left shoulder to right hip.

    If one of these two is not labelled, right shoulder to left hip; NaN if neither diagonal is
    labelled. Every person of LSP has the first diagonal. Sapp and Taskar, "MODEC", 2013.

    Args:
      truth: `[N, K, 2]`; visible: `[N, K]`.

    Returns:
      `[N]` float64.

    Raises:
      InputError: the skeleton has no shoulders or hips.
    """
    first = _segment(truth, visible, skeleton, "left_shoulder", "right_hip")
    second = _segment(truth, visible, skeleton, "right_shoulder", "left_hip")
    return np.where(np.isnan(first), second, first)


def head_segments(truth: np.ndarray, visible: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Length `[N]` from neck to head top, a head size for data without head boxes; else NaN."""
    neck = "upper_neck" if "upper_neck" in skeleton.keypoints else "neck"
    return _segment(truth, visible, skeleton, neck, "head_top")


def head_sizes(head_boxes_xyxy: np.ndarray) -> np.ndarray:
    """Head size of MPII's PCKh: 0.6 of the diagonal of the annotated head box.

    0.6 is the constant of MPII's evaluation. It makes the length about equal to that of the
    segment from neck to head top. Andriluka et al., "2D Human Pose Estimation", 2014.

    Args:
      head_boxes_xyxy: `[N, 4]`.

    Returns:
      `[N]` float64.
    """
    box = np.asarray(head_boxes_xyxy, np.float64)
    return 0.6 * np.linalg.norm(box[:, 2:] - box[:, :2], axis=1)


def person_centric_pck(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    skeleton: Skeleton,
    alpha: float = 0.2,
) -> dict[str, float]:
    """PCK@0.2 as on LSP with person-centric annotations (left is the left side of the person).

    The normaliser is the torso diagonal of each person (`torso_diameters`), and all labelled
    joints count, occluded ones included. With the published predictions of Convolutional Pose
    Machines it gives the published 84.32 % and 90.5 %.

    Args:
      predicted: `[N, K, 2]`, truth: `[N, K, 2]`, visible: `[N, K]`, in one frame.

    Returns:
      `PCK` over all joints, then `PCK/<joint>`, the mean of both sides; in [0, 1], -1 where nothing
      is labelled.
    """
    lengths = torso_diameters(truth, visible, skeleton)
    result = pck(predicted, truth, visible, lengths, alpha)
    joints = {f"PCK/{joint}": rate for joint, rate in result.per_joint(skeleton).items()}
    return {"PCK": result.total()} | joints


def pckh(
    predicted: np.ndarray,
    truth: np.ndarray,
    visible: np.ndarray,
    sizes: np.ndarray,
    skeleton: Skeleton,
    alpha: float = 0.5,
) -> dict[str, float]:
    """PCKh@0.5 as on MPII: distances divided by the head size.

    Args:
      predicted: `[N, K, 2]`, truth: `[N, K, 2]`, visible: `[N, K]`, in one frame.
      sizes: `[N]` from `head_sizes`.

    Returns:
      `PCKh` over all joints except pelvis and thorax (as in MPII), then `PCKh/<joint>`, the mean of
      both sides; MPII's column "head" is `head_top`. In [0, 1], -1 where nothing is labelled.
    """
    result = pck(predicted, truth, visible, sizes, alpha)
    counted = np.array([name not in _NOT_IN_MPII_MEAN for name in skeleton.keypoints])
    joints = {f"PCKh/{joint}": rate for joint, rate in result.per_joint(skeleton).items()}
    return {"PCKh": result.total(counted)} | joints


@dataclass(frozen=True)
class PCK(Metric):
    """`person_centric_pck` as an object for a config.

    The figure is named `PCK`, or `PCK@<threshold>` if the threshold is not LSP's 0.2.
    """

    threshold: float = 0.2

    def __post_init__(self) -> None:
        _check_threshold(self)

    @property
    def figures(self) -> dict[str, Direction]:
        return {_named("PCK", self.threshold, 0.2): "higher"}

    def check(self, skeleton: Skeleton) -> None:
        names = ("left_shoulder", "right_hip", "right_shoulder", "left_hip")
        _check_length(self, skeleton, names, "the length of the torso")

    def __call__(self, estimates: Estimates) -> Scored:
        values = person_centric_pck(
            estimates.keypoints,
            estimates.truth,
            estimates.labelled,
            estimates.skeleton,
            self.threshold,
        )
        name = _named("PCK", self.threshold, 0.2)
        words = f"PCK@{self.threshold:g} of the torso (left shoulder to right hip), person-centric"
        return Scored(_renamed(values, "PCK", name), {name: words})


@dataclass(frozen=True)
class PCKh(Metric):
    """`pckh` as an object for a config, with head sizes from the dataset's head boxes.

    If the dataset has no head boxes, the length from neck to head top is the normaliser. The figure
    is named `PCKh`, or `PCKh@<threshold>` if the threshold is not MPII's 0.5.
    """

    threshold: float = 0.5
    reads: ClassVar[tuple[str, ...]] = ("head_boxes",)

    def __post_init__(self) -> None:
        _check_threshold(self)

    @property
    def figures(self) -> dict[str, Direction]:
        return {_named("PCKh", self.threshold, 0.5): "higher"}

    def needs(self, skeleton: Skeleton) -> tuple[str, ...]:
        return () if _has_head_segment(skeleton) else ("head_boxes",)

    def __call__(self, estimates: Estimates) -> Scored:
        truth, labelled, skeleton = estimates.truth, estimates.labelled, estimates.skeleton
        if estimates.head_boxes is not None and np.any(estimates.head_boxes):
            sizes = head_sizes(estimates.head_boxes)
            words = "the head size (0.6 of the head box's diagonal)"
        else:
            sizes = head_segments(truth, labelled, skeleton)
            words = "the segment from neck to head top (the data has no head boxes)"
        values = pckh(estimates.keypoints, truth, labelled, sizes, skeleton, self.threshold)
        name = _named("PCKh", self.threshold, 0.5)
        return Scored(_renamed(values, "PCKh", name), {name: f"PCK@{self.threshold:g} of {words}"})


def _check_threshold(metric: PCK | PCKh) -> None:
    if not metric.threshold > 0:
        raise InputError(
            f"{type(metric).__name__}.threshold is a share of a length and must be positive; it is "
            f"{metric.threshold}."
        )


def _check_length(metric: Metric, skeleton: Skeleton, names: Sequence[str], what: str) -> None:
    missing = [name for name in names if name not in skeleton.keypoints]
    if missing:
        raise InputError(
            f"{type(metric).__name__} is measured in {what}, and skeleton {skeleton.name!r} has no "
            f"{' and no '.join(missing)}. Use NME() or EPE() instead."
        )


def _has_head_segment(skeleton: Skeleton) -> bool:
    necks = {"upper_neck", "neck"} & set(skeleton.keypoints)
    return bool(necks) and "head_top" in skeleton.keypoints


def _named(name: str, threshold: float, usual: float) -> str:
    return name if threshold == usual else f"{name}@{threshold:g}"


def _renamed(values: dict[str, float], old: str, new: str) -> dict[str, float]:
    return {new + name.removeprefix(old): value for name, value in values.items()}


def _joint(name: str, skeleton: Skeleton) -> str:
    """Joint name of a left or right keypoint without its side: `shoulder`."""
    pair = next(pair for pair in skeleton.pairs if name in pair)
    return pair[0].replace("left_", "", 1).replace("_left", "", 1)


def _segment(truth: np.ndarray, visible: np.ndarray, skeleton: Skeleton, *ends: str) -> np.ndarray:
    a, b = _indices(skeleton, ends)
    points, labelled = np.asarray(truth, np.float64), np.asarray(visible) > 0
    length = np.linalg.norm(points[:, a] - points[:, b], axis=-1)
    return np.where(labelled[:, a] & labelled[:, b], length, np.nan)


def _indices(skeleton: Skeleton, names: Sequence[str]) -> list[int]:
    missing = [name for name in names if name not in skeleton.keypoints]
    if missing:
        raise InputError(
            f"skeleton {skeleton.name!r} has no {' and no '.join(missing)}, so this length is not "
            "defined on it; call pck() with another normaliser"
        )
    return [skeleton.index(name) for name in names]
