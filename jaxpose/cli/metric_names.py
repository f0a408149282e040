"""Metrics of the command line: their names, and those that suit a skeleton."""

from collections.abc import Sequence

from jaxpose.errors import InputError, nearest
from jaxpose.metrics.crowdpose import CrowdPoseAP
from jaxpose.metrics.error import AUC, EPE, NME
from jaxpose.metrics.mean_oks import MeanOKS
from jaxpose.metrics.metric import Metric
from jaxpose.metrics.oks import CocoAP
from jaxpose.metrics.pck import PCK, PCKh
from jaxpose.metrics.wholebody import WholeBodyAP
from jaxpose.skeletons import COCO_WHOLEBODY133, CROWDPOSE14, Skeleton

NAMES: dict[str, tuple[Metric, ...]] = {
    "coco": (CocoAP(),),
    "crowdpose": (CrowdPoseAP(),),
    "wholebody": (WholeBodyAP(),),
    "oks": (MeanOKS(), MeanOKS(8)),
    "pck": (PCK(),),
    "pckh": (PCKh(),),
    "auc": (AUC(),),
    "epe": (EPE(),),
    "nme": (NME(),),
}
"""Metrics by the names of `--metric`; `pck@0.1` and `pckh@0.1` have another threshold."""


def named_metrics(names: Sequence[str], skeleton: Skeleton) -> tuple[Metric, ...]:
    """Metrics of these names; without a name, those that suit the skeleton.

    Raises:
      InputError: an unknown name, with the nearest one, or a threshold that is not a number.
    """
    if not names:
        return _suitable(skeleton)
    found: list[Metric] = []
    for name in dict.fromkeys(word.strip().lower() for text in names for word in text.split(",")):
        kind, at, threshold = name.partition("@")
        if kind not in NAMES or (at and kind not in ("pck", "pckh")):
            raise InputError(
                f"--metric {name!r} is none of {', '.join(NAMES)}, pck@T and pckh@T."
                f"{nearest(kind, NAMES)}"
            )
        found += [_at(kind, threshold)] if at else NAMES[kind]
    return tuple(found)


def _at(kind: str, threshold: str) -> Metric:
    try:
        value = float(threshold)
    except ValueError:
        raise InputError(
            f"--metric {kind}@{threshold}: the threshold must be a number, such as {kind}@0.1."
        ) from None
    return PCK(value) if kind == "pck" else PCKh(value)


def _suitable(skeleton: Skeleton) -> tuple[Metric, ...]:
    if skeleton == COCO_WHOLEBODY133:
        return (WholeBodyAP(), *NAMES["oks"])
    if skeleton == CROWDPOSE14:
        return (CrowdPoseAP(), *NAMES["oks"])
    if skeleton.sigmas is not None:
        return (CocoAP(), *NAMES["oks"])
    torso = {"left_shoulder", "right_shoulder", "left_hip", "right_hip"}
    return (PCK(), EPE()) if torso <= set(skeleton.keypoints) else (NME(), EPE())
