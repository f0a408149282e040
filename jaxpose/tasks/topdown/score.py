"""Metrics of estimates, with all that they depend on."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxpose.data.source import Source
from jaxpose.metrics import crowdpose, error, oks, pck, wholebody
from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.report import Report
from jaxpose.skeletons import Skeleton
from jaxpose.tasks.topdown.estimate import Estimates

if TYPE_CHECKING:
    from jaxpose.tasks.topdown.experiment import TopDownExperiment

Scored = tuple[dict[str, float], dict[str, str]]
"""The metrics, the leading one first, and in words what they are measured in."""


def score(
    estimates: Estimates, experiment: "TopDownExperiment", flip_test: bool, source: Source
) -> Report:
    """The metric of the experiment, with all that it depends on.

    Args:
      source: the data set of the estimates, for what only PCKh asks: the heads' boxes.

    Raises:
      InputError: OKS asked for with a skeleton that has no sigmas.
    """
    skeleton, metric = experiment.skeleton, experiment.evaluation.metric
    metrics, notes = _SCORES[metric](estimates, skeleton, source)
    return Report(
        metrics=metrics,
        boxes=f"ground truth, padded {experiment.padding:g}x",
        flip_test=flip_test,
        decode=str(experiment.codec),
        sigmas=skeleton.describe_sigmas() if metric in USES_SIGMAS else None,
        people=len(estimates.area),
        notes=notes,
    )


def _points(estimates: Estimates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return estimates.keypoints, estimates.truth, estimates.visible > 0


def _pck(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    words = "PCK@0.2 of the torso (left shoulder to right hip), person-centric"
    return pck.person_centric_pck(*_points(estimates), skeleton), {"PCK": words}


def _pckh(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    sizes, words = _head_sizes(estimates, skeleton, source)
    return pck.pckh(*_points(estimates), sizes, skeleton), {"PCKh": words}


def _auc(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    return {"AUC": error.auc(*_points(estimates))}, {"AUC": "of PCK, 0 to 30 px of the photo"}


def _epe(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    return {"EPE": error.epe(*_points(estimates))}, {"EPE": "px of the photo"}


def _nme(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    corners = error.eye_corners(skeleton)
    if corners is None:
        lengths, words = error.box_lengths(estimates.box_xywh), "sqrt(width x height) of the box"
    else:
        lengths = error.interocular(estimates.truth, estimates.visible, corners)
        words = "the distance between the outer eye corners"
    return {"NME": error.nme(*_points(estimates), lengths)}, {"NME": f"in units of {words}"}


def _oks(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    truth, found = _people(estimates, estimates.area)
    return oks.coco_keypoint_ap(truth, found, skeleton.oks_sigmas()), {}


def _wholebody(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    return wholebody.wholebody_ap(*_people(estimates, estimates.area)), {}


def _crowdpose(estimates: Estimates, skeleton: Skeleton, source: Source) -> Scored:
    area = crowdpose.AREA_OF_BOX * np.prod(estimates.box_xywh[:, 2:], axis=1)
    truth, found = _people(estimates, area)
    words = f"{crowdpose.AREA_OF_BOX} of the box; crowd index from the annotations scored"
    return crowdpose.crowdpose_ap(truth, found, skeleton.oks_sigmas()), {"area": words}


_SCORES: dict[str, Callable[[Estimates, Skeleton, Source], Scored]] = {
    "oks": _oks,
    "pck": _pck,
    "pckh": _pckh,
    "auc": _auc,
    "epe": _epe,
    "nme": _nme,
    "wholebody": _wholebody,
    "crowdpose": _crowdpose,
}
USES_SIGMAS = ("oks", "wholebody", "crowdpose")


def _people(estimates: Estimates, area: Any) -> tuple[GroundTruth, Detections]:
    truth = GroundTruth(
        image_id=estimates.image_id,
        keypoints=estimates.truth,
        visible=estimates.visible,
        box_xywh=estimates.box_xywh,
        area=area,
    )
    found = Detections(
        image_id=estimates.image_id,
        keypoints=estimates.keypoints,
        scores=oks.instance_score(estimates.scores),
    )
    return truth, found


def _head_sizes(estimates: Estimates, skeleton: Skeleton, source: Source) -> tuple[np.ndarray, str]:
    """The unit of PCKh for each person `[N]`, and in words what it is."""
    boxes = source.head_boxes(estimates.index) if hasattr(source, "head_boxes") else np.zeros(4)
    if boxes.any():
        return pck.head_sizes(boxes), "PCK@0.5 of the head size (0.6 of the head box's diagonal)"
    segments = pck.head_segments(estimates.truth, estimates.visible > 0, skeleton)
    return segments, "PCK@0.5 of the segment from neck to head top (the data has no head boxes)"
