"""Keypoints of all people in a whole image."""
