"""Figures of each keypoint: its error, its similarity, and the share of correct ones."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from jaxpose.metrics.error import box_lengths
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.oks import oks
from jaxpose.metrics.pck import normalised_distances, pck, torso_diameters

_TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


@dataclass(frozen=True)
class KeypointFigures:
    """Figures of one keypoint; NaN where there is nothing to measure.

    Attributes:
      name: of the keypoint.
      labelled: number of people with a label of it.
      found: number of those for whom there is an estimate.
      error: median distance of those, as a share of the side of the person's box (the root of its
        area).
      oks: mean similarity, exp(-d² / (2 area (2 sigma)²)), 0 for people not found; NaN for a
        skeleton without sigmas.
      pck: share of labelled keypoints within the threshold of `PerKeypoint.pck_of`.
    """

    name: str
    labelled: int
    found: int
    error: float
    oks: float
    pck: float


@dataclass(frozen=True)
class PerKeypoint:
    """Figures of all keypoints, in the order of the skeleton.

    Attributes:
      pck_of: the threshold of `pck` in words.
    """

    rows: tuple[KeypointFigures, ...]
    pck_of: str

    def to_list(self) -> list[dict[str, Any]]:
        """JSON types; a figure that is NaN is None."""
        rows = [asdict(row) for row in self.rows]
        return [{k: None if v != v else v for k, v in row.items()} for row in rows]


def per_keypoint(estimates: Estimates) -> PerKeypoint:
    """Computes the figures of each keypoint over all people.

    The PCK is that of LSP, 0.2 of the torso, or 0.1 of the side of the box where the skeleton has
    no torso.

    Args:
      estimates: with boxes, and with areas if the skeleton has sigmas; keypoints that are NaN are
        those of people who were not found.
    """
    skeleton, labelled = estimates.skeleton, estimates.labelled
    errors = box_errors(estimates)
    arguments = estimates.keypoints, estimates.truth, labelled
    if all(name in skeleton.keypoints for name in _TORSO):
        lengths = torso_diameters(estimates.truth, labelled, skeleton)
        counts, words = pck(*arguments, lengths, 0.2), "within 0.2 of the torso"
    else:
        lengths = box_lengths(estimates.column("box_xywh"))
        counts, words = pck(*arguments, lengths, 0.1), "within 0.1 of the side of the box"
    rates, similarity = counts.per_keypoint, _similarity(estimates)
    rows = []
    for k, name in enumerate(skeleton.keypoints):
        known = errors[:, k][np.isfinite(errors[:, k])]
        number = int(labelled[:, k].sum())
        rows.append(
            KeypointFigures(
                name,
                number,
                len(known),
                float(np.median(known)) if len(known) else np.nan,
                float(similarity[labelled[:, k], k].mean()) if number else np.nan,
                float(rates[k]) if rates[k] >= 0 else np.nan,
            )
        )
    return PerKeypoint(tuple(rows), words)


def box_errors(estimates: Estimates) -> np.ndarray:
    """Distances as shares of the side of each person's box, `[N, K]`.

    NaN where a keypoint is not labelled or its person was not found.
    """
    lengths = box_lengths(estimates.column("box_xywh"))
    distances = normalised_distances(
        estimates.keypoints, estimates.truth, estimates.labelled, lengths
    )
    return np.where(np.isinf(distances), np.nan, distances)


def _similarity(estimates: Estimates) -> np.ndarray:
    """OKS of each keypoint alone `[N, K]`; NaN without a label, or without sigmas."""
    skeleton = estimates.skeleton
    if skeleton.sigmas is None:
        return np.full(estimates.labelled.shape, np.nan)
    one = oks(
        np.nan_to_num(estimates.keypoints, nan=np.inf)[:, :, None],
        estimates.truth[:, :, None],
        estimates.labelled[:, :, None],
        estimates.column("area")[:, None],
        skeleton.oks_sigmas()[:, None],
    )
    return np.where(estimates.labelled, one, np.nan)
