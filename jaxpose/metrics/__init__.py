"""Metrics that compare estimated keypoints with annotated ones: functions, and config objects.

An evaluation takes one or several of the objects: `Evaluation(metrics=(CocoAP(), PCK(0.2)))`.
"""

from jaxpose.metrics.coco import Detections, GroundTruth
from jaxpose.metrics.crowdpose import CrowdPoseAP
from jaxpose.metrics.error import AUC, EPE, NME
from jaxpose.metrics.estimates import Estimates
from jaxpose.metrics.joint_error import AUC3D, MPJPE, MPJVE, NMPJPE, PCK3D, PMPJPE
from jaxpose.metrics.mean_oks import MeanOKS
from jaxpose.metrics.metric import Direction, Metric, Scored
from jaxpose.metrics.oks import CocoAP
from jaxpose.metrics.pck import PCK, PCKh
from jaxpose.metrics.people import PeopleInImages
from jaxpose.metrics.report import Report
from jaxpose.metrics.two_hands import TwoHands
from jaxpose.metrics.wholebody import WholeBodyAP

__all__ = [
    "AUC",
    "AUC3D",
    "EPE",
    "MPJPE",
    "MPJVE",
    "NME",
    "NMPJPE",
    "PCK",
    "PCK3D",
    "PMPJPE",
    "CocoAP",
    "CrowdPoseAP",
    "Detections",
    "Direction",
    "Estimates",
    "GroundTruth",
    "MeanOKS",
    "Metric",
    "PCKh",
    "PeopleInImages",
    "Report",
    "Scored",
    "TwoHands",
    "WholeBodyAP",
]
