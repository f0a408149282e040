"""Task of actions: a class for each clip of people's keypoints."""
