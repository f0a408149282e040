"""Checks of annotations before training."""
