"""Drawings of poses with OpenCV: on images, in 3D, heatmaps, contact sheets, videos."""

from jaxpose.viz.animation import save_animation
from jaxpose.viz.files import save_image
from jaxpose.viz.heatmaps import draw_heatmaps
from jaxpose.viz.people import draw_people
from jaxpose.viz.pose3d import draw_space, draw_views, turning
from jaxpose.viz.sheets import comparison, contact_sheet, sample_sheet, to_uint8
from jaxpose.viz.video import VideoWriter

__all__ = [
    "VideoWriter",
    "comparison",
    "contact_sheet",
    "draw_heatmaps",
    "draw_people",
    "draw_space",
    "draw_views",
    "sample_sheet",
    "save_animation",
    "save_image",
    "to_uint8",
    "turning",
]
