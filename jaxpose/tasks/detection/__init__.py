"""Boxes of all people in a whole image, learned from a larger detector."""
