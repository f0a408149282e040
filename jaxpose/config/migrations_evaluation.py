"""Conversion of evaluations in version 0.1.0's configurations to the current form."""

from collections.abc import Mapping
from typing import Any

# Metric of 0.1.0 -> class, and the figure that selected the best checkpoint.
_METRICS = {
    "oks": ("jaxpose.metrics.oks.CocoAP", "AP"),
    "pck": ("jaxpose.metrics.pck.PCK", "PCK"),
    "pckh": ("jaxpose.metrics.pck.PCKh", "PCKh"),
    "auc": ("jaxpose.metrics.error.AUC", "AUC"),
    "epe": ("jaxpose.metrics.error.EPE", "EPE"),
    "nme": ("jaxpose.metrics.error.NME", "NME"),
    "wholebody": ("jaxpose.metrics.wholebody.WholeBodyAP", "AP"),
    "crowdpose": ("jaxpose.metrics.crowdpose.CrowdPoseAP", "AP"),
}
_MOTION_FIGURES = {"mpjpe": "MPJPE", "p_mpjpe": "P-MPJPE"}
_MOTION_METRICS = ("jaxpose.metrics.joint_error.MPJPE", "jaxpose.metrics.joint_error.PMPJPE")


def migrate_evaluation(node: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the keys of an `Evaluation` or `LiftingEvaluation` of 0.1.0 to the current form.

    `metric: "oks"` becomes `metrics: [{"class": ...CocoAP}]` with `best: "AP"`, and `pictures`
    becomes `examples`. `class` and all other keys stay; a node without these two keys does not
    change.
    """
    new = {key: value for key, value in node.items() if key not in ("metric", "pictures")}
    metric = node.get("metric")
    if metric in _METRICS:
        path, best = _METRICS[metric]
        new |= {"metrics": [{"class": path}], "best": best}
    elif metric in _MOTION_FIGURES:
        new |= {
            "metrics": [{"class": path} for path in _MOTION_METRICS],
            "best": _MOTION_FIGURES[metric],
        }
    if "pictures" in node:
        new["examples"] = node["pictures"]
    return new
