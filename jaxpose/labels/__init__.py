"""Labels of other tools: DeepLabCut, SLEAP, labelme, Label Studio, CVAT, YOLO-pose."""
