"""Pictures of poses, drawn with OpenCV: people on photos, heatmaps, contact sheets."""

from jaxpose.viz.files import save_image
from jaxpose.viz.film import VideoWriter
from jaxpose.viz.heatmaps import draw_heatmaps
from jaxpose.viz.people import draw_people
from jaxpose.viz.sheets import comparison, contact_sheet, sample_sheet, to_uint8

__all__ = [
    "VideoWriter",
    "comparison",
    "contact_sheet",
    "draw_heatmaps",
    "draw_people",
    "sample_sheet",
    "save_image",
    "to_uint8",
]
