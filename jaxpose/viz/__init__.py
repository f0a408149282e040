"""Drawings of poses: on images, in 3D, heatmaps, contact sheets, videos; charts of training."""

from jaxpose.viz.animation import save_animation
from jaxpose.viz.confusion import confusion_matrix
from jaxpose.viz.curves import training_curves
from jaxpose.viz.fields import draw_fields, draw_tags
from jaxpose.viz.files import save_image
from jaxpose.viz.heatmaps import draw_heatmaps
from jaxpose.viz.keypoint_errors import keypoint_errors
from jaxpose.viz.people import draw_people, person_colors
from jaxpose.viz.pose3d import draw_space, draw_views, turning
from jaxpose.viz.sheets import comparison, contact_sheet, sample_sheet, to_uint8
from jaxpose.viz.video import VideoWriter
from jaxpose.viz.worst_people import worst_people

__all__ = [
    "VideoWriter",
    "comparison",
    "confusion_matrix",
    "contact_sheet",
    "draw_fields",
    "draw_heatmaps",
    "draw_people",
    "draw_space",
    "draw_tags",
    "draw_views",
    "keypoint_errors",
    "person_colors",
    "sample_sheet",
    "save_animation",
    "save_image",
    "to_uint8",
    "training_curves",
    "turning",
    "worst_people",
]
