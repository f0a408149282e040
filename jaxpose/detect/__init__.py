"""Detection of people: YOLOX and RTMDet."""

from jaxpose.deprecations import moved_names as _moved_names
from jaxpose.detect.detector import Detections, Detector

__all__ = ["Detections", "Detector"]

__getattr__ = _moved_names(__name__)
