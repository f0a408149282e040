"""Synthetic people: images of articulated 3D bodies with exact keypoints, made on demand."""

from jaxpose.data.synthetic.source import (
    RENDERER_VERSION,
    SyntheticSource,
    render,
    render_image,
)

__all__ = ["RENDERER_VERSION", "SyntheticSource", "render", "render_image"]
