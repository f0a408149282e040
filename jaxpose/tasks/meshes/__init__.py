"""Meshes of people and hands from crops of images."""
