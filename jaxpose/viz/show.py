"""Display of an image: in a notebook, or in the system's viewer."""

import os
import sys
import tempfile
import webbrowser
from pathlib import Path

import cv2
import numpy as np

from jaxpose.viz.files import save_image

_NOTEBOOK_SIDE = 1200


def notebook_png(image: np.ndarray) -> bytes:
    """PNG of an image uint8 `[H, W, 3]` RGB, reduced to 1,200 pixels, for a notebook's cell."""
    factor = _NOTEBOOK_SIDE / max(image.shape[:2])
    if factor < 1:
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    encoded: bytes = cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
    return encoded


def show_image(image: np.ndarray) -> None:
    """Shows an image, uint8 `[H, W, 3]` RGB.

    In IPython and notebooks it appears below the cell. Otherwise it is written to a temporary file,
    whose path is printed, and opened where there is a screen.
    """
    if _in_notebook():
        from IPython.display import Image, display

        display(Image(notebook_png(image)))
        return
    path = Path(tempfile.mkdtemp(prefix="jaxpose-")) / "people.png"
    save_image(path, image)
    print(path)
    if _has_screen():
        webbrowser.open(path.as_uri())


def _in_notebook() -> bool:
    """True in a process with a kernel of Jupyter or Colab."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return shell is not None and hasattr(shell, "kernel")


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
