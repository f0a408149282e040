"""Checks of annotations, before training does."""
