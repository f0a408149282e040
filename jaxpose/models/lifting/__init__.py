"""Lifters: networks from sequences of 2D keypoints to 3D joints.

`lifter` joins a backbone and a head; the other files have the layers of one backbone each.
"""
