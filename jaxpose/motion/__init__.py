"""Skeletons that move: bone lengths, joint limits, smoothing, filling and files of motion."""
