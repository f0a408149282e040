"""Keypoints of one person in a crop."""
