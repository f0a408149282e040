"""Labels of other tools: DeepLabCut, labelme, Label Studio, CVAT, YOLO-pose."""
