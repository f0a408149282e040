"""How well predicted keypoints agree with annotated ones."""
