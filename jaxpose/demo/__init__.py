"""A page to try a model: an image or a video in, skeletons and a table out."""
