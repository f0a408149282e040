"""Poses of known rigid objects in images: keypoints of each, and PnP."""
