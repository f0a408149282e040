"""Refinement of 2D tracks: from noisy keypoints of a window of frames to better ones."""
