"""Detection of people: YOLOX and RTMDet."""

from jaxpose.detect.detector import Detector, Found

__all__ = ["Detector", "Found"]
