"""Matplotlib figures as images, drawn without a window and without pyplot's global state."""

from typing import Any

import numpy as np

DPI = 110


def new_figure(width: float, height: float) -> Any:
    """Creates an empty `matplotlib.figure.Figure` of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def to_image(figure: Any) -> np.ndarray:
    """Draws a figure as a uint8 RGB image `[H, W, 3]`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
