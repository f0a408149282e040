"""3D joints from the 2D keypoints of one person over time."""
