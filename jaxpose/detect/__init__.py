"""Detection of people: YOLOX and RTMDet."""

from jaxpose.detect.detector import Detections, Detector

__all__ = ["Detections", "Detector"]
