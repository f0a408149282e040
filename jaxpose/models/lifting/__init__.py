"""Lifters: networks from sequences of 2D keypoints to 3D joints."""
